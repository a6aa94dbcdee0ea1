import { afterEach, describe, expect, it } from 'vitest';
import type { AppError } from '../../../../kernel/errors.js';
import { Secret } from '../../../../kernel/secret.js';
import { until } from '../../../../testing/egress-rig.js';
import { type HostileMysqlOptions, startHostileMysql } from '../../../../testing/hostile-mysql.js';
import type { HostileServer } from '../../../../testing/hostile-server.js';
import { createTestCa } from '../../../../testing/tls-upstream.js';
import { allTextOf, dialingTransport } from '../engine.contract.js';
import type { EngineTarget, SslMode } from '../engine.js';
import { mysqlEngine } from './engine.js';

const PASSWORD = 'canary-Passw0rd';
const open: HostileServer[] = [];

afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function started(options: HostileMysqlOptions): Promise<HostileServer> {
  const server = await startHostileMysql(options);
  open.push(server);
  return server;
}

function connectTo(server: HostileServer, changes: Partial<EngineTarget> = {}) {
  const target: EngineTarget = {
    host: 'localhost',
    port: server.port,
    database: 'shop',
    adminUsername: 'admin',
    adminPassword: new Secret(PASSWORD),
    sslMode: 'prefer',
    sslCa: null,
    connectTimeoutMs: 2_000,
    statementTimeoutMs: 2_000,
    authSource: null,
    replicaSet: null,
    ...changes,
  };
  // `localhost` is the name in the certificates; these servers listen on IPv4 alone.
  const transport = dialingTransport();
  const toLoopback = {
    ...transport,
    open: (_: unknown, signal: AbortSignal) =>
      transport.open({ host: '127.0.0.1', port: server.port }, signal),
  };
  return mysqlEngine.connect(target, toLoopback, new AbortController().signal);
}

async function refusalOf(server: HostileServer, changes: Partial<EngineTarget> = {}): Promise<AppError> {
  const error = await connectTo(server, changes).then(
    () => expect.fail('was not refused'),
    (thrown: unknown) => thrown,
  );
  expect(allTextOf(error)).not.toContain(PASSWORD);
  expect(server.received().includes(PASSWORD)).toBe(false);
  await until(() => server.openConnectionCount === 0);
  return error as AppError;
}

const ASKING = [
  'asks-clear-password',
  'switches-to-clear-password',
  'own-public-key',
  'switches-to-own-public-key',
] as const;

/** A server whose greeting names the cleartext method is answered with a digest, and says no more. */
const patienceWith = (behaviour: (typeof ASKING)[number]) =>
  behaviour === 'asks-clear-password' ? { connectTimeoutMs: 400 } : {};

describe('a server that asks for the password itself', () => {
  it.each(
    ASKING.flatMap((behaviour) =>
      (['disable', 'prefer'] as const).map((sslMode) => ({ behaviour, sslMode })),
    ),
  )('in clear gets none ($behaviour, $sslMode)', async ({ behaviour, sslMode }) => {
    const error = await refusalOf(await started({ behaviour }), { sslMode, ...patienceWith(behaviour) });
    const type = behaviour === 'asks-clear-password' ? 'dependency_unavailable' : 'database_error';
    expect(error.type).toBe(type);
    if (type === 'database_error') expect(error).toMatchObject({ reason: 'log_in_method' });
  });

  it.each(
    ASKING.flatMap((behaviour) =>
      (['prefer', 'require'] as const).map((sslMode) => ({ behaviour, sslMode })),
    ),
  )('within TLS that nobody vouches for gets none ($behaviour, $sslMode)', async ({ behaviour, sslMode }) => {
    const certificate = await (await createTestCa()).issue(['localhost']);
    const server = await started({ behaviour, certificate });
    const error = await refusalOf(server, { sslMode, ...patienceWith(behaviour) });
    if (behaviour !== 'asks-clear-password') expect(error).toMatchObject({ reason: 'log_in_method' });
  });

  it.each(['verify-ca', 'verify-full'] as const)(
    'behind the wrong authority gets no log-in (%s)',
    async (sslMode) => {
      const certificate = await (await createTestCa()).issue(['localhost']);
      const server = await started({ behaviour: 'switches-to-clear-password', certificate });
      const sslCa = (await createTestCa('Another CA')).caPem;
      expect(await refusalOf(server, { sslMode, sslCa })).toMatchObject({
        type: 'database_error',
        reason: 'tls',
      });
      expect(server.received().includes('admin')).toBe(false);
    },
  );

  it.each(['127.0.0.1', 'db.internal'])('under the name of another gets no log-in (%s)', async (host) => {
    const ca = await createTestCa();
    const server = await started({
      behaviour: 'switches-to-clear-password',
      certificate: await ca.issue(['localhost']),
    });
    const error = await refusalOf(server, { host, sslMode: 'verify-full', sslCa: ca.caPem });
    expect(error).toMatchObject({ type: 'database_error', reason: 'tls' });
    expect(server.received().includes('admin')).toBe(false);
  });

  it.each<[HostileMysqlOptions['behaviour'], SslMode, boolean]>([
    ['switches-to-clear-password', 'verify-ca', false],
    ['switches-to-clear-password', 'verify-full', true],
    ['own-public-key', 'verify-ca', true],
    ['own-public-key', 'verify-full', true],
    ['switches-to-own-public-key', 'require', true],
  ])('and is verified: %s with %s and its authority gets it: %s', async (behaviour, sslMode, isTold) => {
    const ca = await createTestCa();
    const server = await started({ behaviour, certificate: await ca.issue(['localhost']) });
    const connecting = connectTo(server, { sslMode, sslCa: ca.caPem, connectTimeoutMs: 1_000 }).catch(
      () => {},
    );
    if (isTold) await until(() => server.received().includes(PASSWORD));
    await connecting;
    expect(server.received().includes(PASSWORD)).toBe(isTold);
  });
});

it('a server without TLS is refused where TLS is asked for, before it hears a name', async () => {
  const server = await started({ behaviour: 'switches-to-clear-password' });
  for (const sslMode of ['require', 'verify-ca', 'verify-full'] as const) {
    expect(await refusalOf(server, { sslMode })).toMatchObject({ type: 'database_error', reason: 'tls' });
  }
  expect(server.received().length).toBe(0);
});

it('a server that asks for a file of ours gets nothing', async () => {
  const server = await started({ behaviour: 'asks-local-file', fileName: '/etc/hostname' });
  const error = await refusalOf(server, { sslMode: 'disable', statementTimeoutMs: 300 });
  expect(error.type).toBe('dependency_unavailable');
  const heard = server.received();
  // The log-in, the first query, and the empty packet that says that there is no file.
  expect(heard.subarray(-4).readUIntLE(0, 3)).toBe(0);
});

it.each(['silent', 'garbage'] as const)(
  'a server whose answer is %s is left within its time',
  async (behaviour) => {
    const server = await started({ behaviour });
    const error = await refusalOf(server, { sslMode: 'disable', connectTimeoutMs: 300 });
    expect(error.type).toBe('dependency_unavailable');
  },
);

it('a server that floods is left at its first packet, which is that of an error', async () => {
  const server = await started({ behaviour: 'floods' });
  expect((await refusalOf(server, { sslMode: 'disable', connectTimeoutMs: 20_000 })).type).toBe(
    'database_error',
  );
});
