import type { Scope } from '../../../kernel/ids.js';
import type { Secret } from '../../../kernel/secret.js';
import { tooManyActs } from '../errors.js';
import type { Databases, OpenDatabase, Reachable } from './databases.js';
import type { Connection } from './store.js';

/** Acts of callers under way in this process: at a database that hangs each stays for as long as an act may take. */
export const CALLS_OF_CONNECTION_MAX = 32;
export const CALLS_OF_TENANT_MAX = 128;

export interface CallersDatabases extends Omit<Databases, 'open' | 'openAs'> {
  open(scope: Scope, connection: Connection): Promise<OpenDatabase>;
  openAs(scope: Scope, reachable: Reachable, password: Secret<string>): Promise<OpenDatabase>;
}

/** For all but the worker, which has places of its own. `dependency_unavailable` where there is no room. */
export function createCallersDatabases(databases: Databases): CallersDatabases {
  const underWay = new Map<string, number>();

  function enter(bounds: readonly (readonly [key: string, max: number, what: string])[]): () => void {
    for (const [key, max, what] of bounds) if ((underWay.get(key) ?? 0) >= max) throw tooManyActs(what);
    for (const [key] of bounds) underWay.set(key, (underWay.get(key) ?? 0) + 1);
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      for (const [key] of bounds) {
        const left = (underWay.get(key) ?? 0) - 1;
        if (left > 0) underWay.set(key, left);
        else underWay.delete(key);
      }
    };
  }

  const ofTenant = ({ tenantId }: Scope) =>
    [`tenant ${tenantId}`, CALLS_OF_TENANT_MAX, 'databases of this tenant'] as const;
  const ofConnection = ({ id }: Connection) =>
    [`connection ${id}`, CALLS_OF_CONNECTION_MAX, 'this database'] as const;

  async function untilClosed(leave: () => void, open: () => Promise<OpenDatabase>): Promise<OpenDatabase> {
    try {
      const { session, close } = await open();
      return { session, close: () => close().finally(leave) };
    } catch (error) {
      leave();
      throw error;
    }
  }

  return {
    ...databases,
    async open(scope, connection) {
      const leave = enter([ofTenant(scope), ofConnection(connection)]);
      return untilClosed(leave, () => databases.open(scope, connection));
    },
    async openAs(scope, reachable, password) {
      const leave = enter([ofTenant(scope)]);
      return untilClosed(leave, () => databases.openAs(reachable, password));
    },
    async use(scope, connection, act) {
      const leave = enter([ofTenant(scope), ofConnection(connection)]);
      try {
        return await databases.use(scope, connection, act);
      } finally {
        leave();
      }
    },
  };
}
