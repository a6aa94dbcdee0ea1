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

/** What whoever moves calls must hold (docs/decisions/0102). */
export interface MovingLeave {
  /** Of another one, it is about something else. */
  readonly about: string;
  /** 403 */
  require(caller: Caller): Promise<void>;
}

/** Of a tenant and mode. */
export interface Ways {
  readonly servers: readonly StoredEgressServer[];
  readonly defaultId: string | null;
}

/** Null: each call goes by what it might have gone by before, or by less. */
export function movedCalls(before: Ways, after: Ways): MovedCalls | null {
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
  ways(scope: Scope, tx?: Transaction): Promise<Ways>;
  readonly users: readonly {
    leaveOf(scope: Scope, moved: MovedCalls, tx?: Transaction): Promise<MovingLeave>;
  }[];
}

/** Asked before the transaction, since names are resolved; in it, whether it was about what is so then. */
export function createMoving({ ways, users }: MovingDeps) {
  async function leavesOf(scope: Scope, change: (ways: Ways) => Ways, tx?: Transaction) {
    const before = await ways(scope, tx);
    const moved = movedCalls(before, change(before));
    return moved ? Promise.all(users.map((user) => user.leaveOf(scope, moved, tx))) : [];
  }
  const aboutOf = (leaves: readonly MovingLeave[]) => leaves.map(({ about }) => about).join('\n');

  return async (caller: Caller, change: (ways: Ways) => Ways) => {
    const { scope } = caller.principal;
    const asked = await leavesOf(scope, change);
    for (const leave of asked) await leave.require(caller);
    return {
      async confirm(tx: Transaction): Promise<void> {
        if (aboutOf(await leavesOf(scope, change, tx)) !== aboutOf(asked)) throw changedMeanwhile();
      },
    };
  };
}

/** One server as it is to be. */
export function withServer(server: StoredEgressServer) {
  return ({ servers, defaultId }: Ways): Ways => ({
    servers: servers.map((one) => (one.id === server.id ? server : one)),
    defaultId,
  });
}
