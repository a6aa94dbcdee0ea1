import type { Scope } from '../../../kernel/ids.js';
import type { Database } from '../../../platform/storage/database.js';
import { routeTables } from '../tables.js';

/** What a route is found by. */
export interface FindableRoute {
  readonly id: string;
  readonly name: string;
  readonly slug: string | null;
  readonly baseEnvironment: string;
  readonly version: number;
}

/** Rows of one read: in between, others have their turn (docs/decisions/0058). */
const WINDOW_ROWS = 2_000;

export function createRouteIndexStore(db: Database) {
  const view = db.view(routeTables);
  const window = view.define<{ id: string }, FindableRoute>('routes_findable', (queries, arg) =>
    queries
      .selectFrom('routes')
      .select(['id', 'name', 'slug', 'base_environment as baseEnvironment', 'version'])
      .where('id', '>', arg('id'))
      .orderBy('id')
      .limit(WINDOW_ROWS),
  );

  return {
    async *windows(scope: Scope): AsyncGenerator<FindableRoute[]> {
      for (let id = ''; ; ) {
        const rows = await window.all(scope, { id });
        yield rows;
        if (rows.length < WINDOW_ROWS) return;
        id = rows.at(-1)!.id;
      }
    },
  };
}
