import type { Clock } from '../../kernel/clock.js';
import { notFound } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import type { Database } from '../../platform/storage/database.js';
import type { ApiLog, ApiLogEntry } from './api-log.js';
import { decodeCursor, encodeCursor } from './cursor.js';
import { createLogQueue, type LogQueue } from './log-queue.js';
import { type ApiLogFilter, createApiLogStore } from './store.js';

export interface ApiLogsDeps {
  readonly db: Database;
  readonly clock: Clock;
  onLostRow(entry: ApiLogEntry, cause: unknown): void;
}

export interface ApiLogPage {
  readonly rows: readonly ApiLog[];
  /** Null = drained to the watermark. */
  readonly nextCursor: string | null;
  readonly watermarkSeconds: number;
}

export interface ApiLogs extends LogQueue {
  list(scope: Scope, filter: ApiLogFilter, cursor: string | undefined, limit: number): Promise<ApiLogPage>;
  get(scope: Scope, requestId: string): Promise<ApiLog>;
}

/**
 * Several processes number rows on PostgreSQL, and a lower number may become visible after a higher one. The feed
 * stays behind by more than twice what a commit takes, so that no cursor passes a row still under way. On SQLite one
 * writer numbers and commits in order.
 */
const WATERMARK_SECONDS = { sqlite: 0, postgres: 5 } as const;

export function createApiLogs(deps: ApiLogsDeps): ApiLogs {
  const store = createApiLogStore(deps.db);
  const queue = createLogQueue({ ...deps, store });
  const watermarkSeconds = WATERMARK_SECONDS[deps.db.dialect];

  return {
    ...queue,

    async list(scope, filter, cursor, limit) {
      const afterId = cursor === undefined ? 0 : decodeCursor(cursor);
      // Whoever asks at once after a call finds its row.
      await queue.flush();
      const youngSinceMs = watermarkSeconds === 0 ? null : deps.clock.nowMs() - watermarkSeconds * 1000;
      const rows = await store.feed(scope, filter, { afterId, limit: limit + 1, youngSinceMs });
      const shown = rows.slice(0, limit);
      const last = shown.at(-1);
      const nextCursor = rows.length > limit && last !== undefined ? encodeCursor(last.id) : null;
      return { rows: shown, nextCursor, watermarkSeconds };
    },

    async get(scope, requestId) {
      await queue.flush();
      const log = await store.findByRequestId(scope, requestId);
      if (log === undefined) throw notFound('Log entry');
      return log;
    },
  };
}
