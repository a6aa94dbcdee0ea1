import type { Scope } from '../../kernel/ids.js';
import type { Database } from '../storage/database.js';
import type { MeterState } from './meters.js';
import { rateLimitsTables } from './tables.js';

export interface SharedState {
  readonly state: MeterState;
  readonly version: number;
}

export type RateLimitStore = ReturnType<typeof createRateLimitStore>;

export function createRateLimitStore(db: Database) {
  const view = db.view(rateLimitsTables);
  const byName = view.define<{ name: string }, { state: string; version: number }>(
    'rate_limits_by_name',
    (queries, arg) =>
      queries.selectFrom('rate_limits').select(['state', 'version']).where('name', '=', arg('name')),
  );

  return {
    async read(scope: Scope, name: string): Promise<SharedState | undefined> {
      const row = await byName.first(scope, { name });
      return row && { state: JSON.parse(row.state) as MeterState, version: row.version };
    },

    /** False when another process has written since; an absent row has the version 0. */
    async write(
      scope: Scope,
      name: string,
      next: { state: MeterState; expiresAtMs: number },
      since: number,
    ): Promise<boolean> {
      const state = JSON.stringify(next.state);
      const written =
        since === 0
          ? await view
              .scoped(scope)
              .insertInto('rate_limits')
              .values({ name, state, version: 1, expires_at: next.expiresAtMs })
              .onConflict((conflict) => conflict.columns(['tenant_id', 'sandbox', 'name']).doNothing())
              .returning('version')
              .executeTakeFirst()
          : await view
              .scoped(scope)
              .updateTable('rate_limits')
              .set({ state, version: since + 1, expires_at: next.expiresAtMs })
              .where('name', '=', name)
              .where('version', '=', since)
              .returning('version')
              .executeTakeFirst();
      return written !== undefined;
    },

    /** Rows of limits that nobody has drawn from for their whole window; the number removed. */
    async removeExpired(nowMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention');
      const rows = await queries
        .selectFrom('rate_limits')
        .select(['tenant_id', 'sandbox', 'name', 'version'])
        .where('expires_at', '<=', nowMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      for (const row of rows)
        await queries
          .deleteFrom('rate_limits')
          .where('tenant_id', '=', row.tenant_id)
          .where('sandbox', '=', row.sandbox)
          .where('name', '=', row.name)
          .where('version', '=', row.version)
          .execute();
      return rows.length;
    },
  };
}
