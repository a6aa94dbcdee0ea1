import type { Scope } from '../../kernel/ids.js';
import type { Caller } from '../../kernel/principal.js';
import type { Transaction } from '../../platform/storage/database.js';
import { triedFrom } from './chains.js';
import { changedMeanwhile } from './errors.js';
import type { StoredEgressServer } from './store.js';

/** Calls that would go by a server, or directly, as they might not have gone before. */
export interface MovedCalls {
  /** That name one of these. */
  readonly serverIds: readonly string[];
  /** That name none. */
  readonly byDefault: boolean;
}

/** Those that whoever moves calls must hold (docs/decisions/0102). */
export interface RequiredPermissions {
  /** Another one where something else would be required: what was asked before a transaction is judged by it within. */
  readonly fingerprint: string;
  /** 403 */
  require(caller: Caller): Promise<void>;
}

/** What the paths of calls of a tenant and mode to the outside are made of. */
export interface EgressPaths {
  readonly servers: readonly StoredEgressServer[];
  readonly defaultId: string | null;
}

/** Null: each call goes by what it might have gone by before, or by less. */
export function movedCalls(before: EgressPaths, after: EgressPaths): MovedCalls | null {
  const former = new Map(before.servers.map((server) => [server.id, server]));
  const stored = new Map(after.servers.map((server) => [server.id, server]));
  const isMoved = (from: string | null, to: string | null) => {
    const known = new Set(placesFrom(former, from));
    return placesFrom(stored, to).some((place) => !known.has(place));
  };
  const serverIds = after.servers.map(({ id }) => id).filter((id) => isMoved(id, id));
  const byDefault = isMoved(before.defaultId, after.defaultId);
  return serverIds.length > 0 || byDefault ? { serverIds, byDefault } : null;
}

function placesFrom(stored: ReadonlyMap<string, StoredEgressServer>, id: string | null): string[] {
  if (id === null) return ['directly'];
  return triedFrom(stored, id).map(({ kind, address, port }) => `${kind} ${address} ${port}`);
}

export interface MovingDeps {
  paths(scope: Scope, tx?: Transaction): Promise<EgressPaths>;
  readonly users: readonly {
    requiredFor(scope: Scope, moved: MovedCalls, tx?: Transaction): Promise<RequiredPermissions>;
  }[];
}

/** Asked before the transaction, since names are resolved; in it, whether the same is required by what is so then. */
export function createMoving({ paths, users }: MovingDeps) {
  async function requiredBy(scope: Scope, change: (paths: EgressPaths) => EgressPaths, tx?: Transaction) {
    const before = await paths(scope, tx);
    const moved = movedCalls(before, change(before));
    return moved ? Promise.all(users.map((user) => user.requiredFor(scope, moved, tx))) : [];
  }
  const fingerprintOf = (required: readonly RequiredPermissions[]) =>
    required.map(({ fingerprint }) => fingerprint).join('\n');

  return async (caller: Caller, change: (paths: EgressPaths) => EgressPaths) => {
    const { scope } = caller.principal;
    const asked = await requiredBy(scope, change);
    for (const permissions of asked) await permissions.require(caller);
    return {
      async confirm(tx: Transaction): Promise<void> {
        if (fingerprintOf(await requiredBy(scope, change, tx)) !== fingerprintOf(asked))
          throw changedMeanwhile();
      },
    };
  };
}

/** One server as it is to be. */
export function withServer(server: StoredEgressServer) {
  return ({ servers, defaultId }: EgressPaths): EgressPaths => ({
    servers: servers.map((one) => (one.id === server.id ? server : one)),
    defaultId,
  });
}
