import { createLine, type Line } from '../../kernel/line.js';
import { databaseUnavailable } from './engine.js';

/** Reads whose cost grows with the rows of a tenant: some at once, one of a tenant, in turn. */
export interface Aside {
  inTurn<T>(tenantId: string, read: () => Promise<T>): Promise<T>;
}

/** They share SQLite's one reading thread, and leave most connections of PostgreSQL to calls that are short. */
const AT_ONCE_MAX = 2;
const WAITING_MAX = 1_000;
const WAITING_PER_TENANT_MAX = 250;

export function createAside(): Aside {
  const all = lineOf(AT_ONCE_MAX, WAITING_MAX);
  const tenants = new Map<string, { readonly line: Line; users: number }>();
  return {
    // A tenant has one place in the common line, so that each waits for one read of each other.
    async inTurn(tenantId, read) {
      const own = tenants.get(tenantId) ?? { line: lineOf(1, WAITING_PER_TENANT_MAX), users: 0 };
      tenants.set(tenantId, own);
      own.users++;
      try {
        return await own.line.inTurn(() => all.inTurn(read));
      } finally {
        own.users--;
        if (own.users === 0) tenants.delete(tenantId);
      }
    },
  };
}

function lineOf(atOnceMax: number, waitingMax: number): Line {
  return createLine({
    atOnceMax,
    waitingMax,
    refusal: () => databaseUnavailable('too many long reads are waiting'),
  });
}
