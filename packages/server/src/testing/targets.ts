import type { EngineTarget } from '../capabilities/dyn-db/providers/engine.js';
import { Secret } from '../kernel/secret.js';
import { systemRandom } from '../platform/crypto/random.js';

type Where = Pick<EngineTarget, 'host' | 'port' | 'database'>;

/** With the time-outs of the suites, and TLS where the server has it. */
export function engineTarget(
  where: Where & Pick<EngineTarget, 'adminUsername' | 'adminPassword'> & Partial<EngineTarget>,
): EngineTarget {
  return {
    sslMode: 'prefer',
    sslCa: null,
    connectTimeoutMs: 10_000,
    statementTimeoutMs: 10_000,
    authSource: null,
    replicaSet: null,
    ...where,
  };
}

/** A database and two users of one suite, on a server that it shares with others. */
export function newGuests({ host, port }: Omit<Where, 'database'>) {
  const tag = systemRandom.bytes(4).toString('hex');
  const database = `target_${tag}`;
  const guest = (name: string, password: string) => ({
    name,
    password,
    target: engineTarget({
      host,
      port,
      database,
      adminUsername: name,
      adminPassword: new Secret(password),
    }),
  });
  return {
    database,
    admin: guest(`target_admin_${tag}`, `Adm1n${tag}Adm1n${tag}`),
    powerless: guest(`target_powerless_${tag}`, `P0wer${tag}less${tag}`),
  };
}
