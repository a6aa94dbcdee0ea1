import { modeOf, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import type { EgressServer } from '../../platform/egress/egress.js';
import { egressUnavailable } from '../../platform/egress/errors.js';
import type { TenantKeys } from '../kms/index.js';
import { PASSWORD } from './envelope-columns.js';
import type { StoredEgressServer } from './store.js';

/** A server that is on, and those that stand in for it, in the order in which they are tried. */
export type EgressChain = readonly EgressServer[];

export interface Chains {
  /** Of no server that is there: no way at all. */
  of(id: string): EgressChain;
  readonly defaultId: string | null;
}

export interface LoginDeps {
  readonly tenantKeys: Pick<TenantKeys, 'open'>;
  find(scope: Scope, id: string): Promise<StoredEgressServer | undefined>;
}

const NO_WAY: EgressChain = [];

export function createChains(
  deps: LoginDeps,
  servers: readonly StoredEgressServer[],
  defaultId: string | null,
): Chains {
  const stored = new Map(servers.map((server) => [server.id, server]));
  const usable = new Map(servers.map((server) => [server.id, egressServer(deps, server)]));
  const chains = new Map(
    servers.map((server) => [server.id, triedFrom(stored, server.id).map(({ id }) => usable.get(id)!)]),
  );
  return { of: (id) => chains.get(id) ?? NO_WAY, defaultId };
}

/** Those that are on, in the order in which they are tried. */
export function triedFrom(
  stored: ReadonlyMap<string, StoredEgressServer>,
  id: string,
): readonly StoredEgressServer[] {
  const tried: StoredEgressServer[] = [];
  const seen = new Set<string>();
  for (let at: string | null = id; at !== null && !seen.has(at); ) {
    const server = stored.get(at);
    if (!server) break;
    seen.add(at);
    if (server.enabled && tried.length < LIMITS.egressServersTriedMax) tried.push(server);
    at = server.failoverId;
  }
  return tried;
}

/** Its password is read where a connection is made: what is kept in memory is of an older wrapping after a rewrap. */
export function egressServer({ tenantKeys, find }: LoginDeps, server: StoredEgressServer): EgressServer {
  const { id, version, kind, address, port, scope, username } = server;
  return {
    id,
    version,
    kind,
    address,
    port,
    async login() {
      if (username === null) return null;
      const row = await find(scope, id);
      // A later password is for where a later version leads.
      if (!row?.sealedPassword || row.version !== version)
        throw egressUnavailable(`${id} was changed while a call began`);
      const plain = await tenantKeys.open(passwordPlace(scope, id), row.sealedPassword);
      const password = new Secret(plain.toString('utf8'));
      plain.fill(0);
      return { username, password };
    },
  };
}

export function passwordPlace(scope: Scope, rowId: string) {
  const { table, column } = PASSWORD;
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
