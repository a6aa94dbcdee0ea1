import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../kernel/clock.js';
import { notFound } from '../../kernel/errors.js';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { offsetOf } from '../../platform/http/pagination.js';
import type { Database } from '../../platform/storage/database.js';
import type { LogLeaf } from './anchors/leaf.js';
import type { ApiLog, ApiLogEntry } from './api-log.js';
import { decodeCursor, encodeCursor } from './cursor.js';
import { type ApiLogFilter, isFiltered } from './filter.js';
import { createLogQueue, type LogQueue } from './log-queue.js';
import { createScopeWalk, type ScopeWalk } from './scope-walk.js';
import { createApiLogStore, type NumberedRow, type TalliedCalls } from './store.js';

export interface ApiLogsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly retention: LogRetention;
  /** How much one call of the feed looks through. */
  readonly feedReads?: FeedReads;
  onLostRow(entry: ApiLogEntry, cause: unknown): void;
}

/** How long rows are kept. */
export interface LogRetention {
  logKeptMs(tenantId: TenantId): Promise<number>;
  /** Of any tenant. */
  readonly logKeptMsMax: number;
}

/** Rows looked through in one query of the feed, and queries in one call: a filter may match little. */
export interface FeedReads {
  readonly windowRows: number;
  readonly windowsMax: number;
}

export interface Trimmed {
  readonly rows: number;
  /** Partitions of PostgreSQL, dropped without counting their rows. */
  readonly days: number;
  /** Where to go on, or null: every tenant has had its turn. */
  readonly rest: TrimRest | null;
}

export interface TrimRest {
  /** The last tenant that is done with; null = none is. */
  readonly after: TenantId | null;
}

export interface RoutePage {
  readonly page: number;
  readonly perPage: number;
}

export interface ApiLogPage {
  readonly rows: readonly ApiLog[];
  /** Goes on behind what was looked through; null = drained to the watermark. */
  readonly nextCursor: string | null;
  readonly watermarkSeconds: number;
}

export interface ApiLogs extends LogQueue, ScopeWalk {
  list(scope: Scope, filter: ApiLogFilter, cursor: string | undefined, limit: number): Promise<ApiLogPage>;
  get(scope: Scope, requestId: string): Promise<ApiLog>;
  /** Leaves of rows behind that number, ascending, among which none can appear any more: for work that takes each exactly once. */
  settledLeaves(scope: Scope, afterId: number, limit: number): Promise<LogLeaf[]>;
  /** Of the same rows, how many are alike. */
  tally(scope: Scope, afterId: number, limit: number): Promise<TalliedCalls[]>;
  /** How long after it was written a row counts as settled, at most. */
  readonly settledAfterMs: number;
  /** Leaves of the rows of a range of numbers, both inclusive, ascending. */
  leavesBetween(scope: Scope, fromId: number, toId: number, limit: number): Promise<LogLeaf[]>;
  /** The first row with that number or a higher one. */
  firstFrom(scope: Scope, id: number): Promise<NumberedRow | undefined>;
  /** Calls of a route, the newest first, and how many there are. */
  ofRoute(scope: Scope, routeId: string, page: RoutePage): Promise<{ rows: ApiLog[]; total: number }>;
  /** A cursor of the feed behind which every call is that began at that time or later. */
  cursorAt(scope: Scope, fromMs: number): Promise<string>;
  /** Removes rows that are kept no longer, of every tenant, until its time is over or it is asked to stop. */
  trim(rowsMax: number, isStopping: () => boolean, rest?: TrimRest | null): Promise<Trimmed>;
}

/**
 * Several processes number rows on PostgreSQL, and a lower number may become visible after a higher one. The feed
 * stays behind by more than twice what a commit takes, so that no cursor passes a row still under way. On SQLite one
 * writer numbers and commits in order.
 */
const WATERMARK_SECONDS = { sqlite: 0, postgres: 5 } as const;

/**
 * What is taken once must not miss a row: an insertion on PostgreSQL may take 8 s until it is answered or given up, and clocks
 * of processes may be 10 s apart (README of platform/jobs). The feed is at least once, and need not wait so long.
 */
const SETTLED_SECONDS = { sqlite: 0, postgres: 20 } as const;

/** Numbers follow the times of writing within this, however the clock was set. */
const DISORDER_MS = 60_000;

const FEED_READS: FeedReads = { windowRows: 5_000, windowsMax: 20 };

/** Of one statement: the log's writer waits for it. */
const TRIMMED_AT_ONCE = 1_000;
/** A run of a job may take five minutes. */
const TRIM_MS = 60_000;

export function createApiLogs(deps: ApiLogsDeps): ApiLogs {
  const store = createApiLogStore(deps.db);
  const queue = createLogQueue({ ...deps, store });
  const { windowRows, windowsMax } = deps.feedReads ?? FEED_READS;
  const watermarkSeconds = WATERMARK_SECONDS[deps.db.dialect];
  const settledAfterMs = SETTLED_SECONDS[deps.db.dialect] * 1000;

  const youngSinceMs = () => (settledAfterMs === 0 ? null : deps.clock.nowMs() - settledAfterMs);

  return {
    ...queue,
    ...createScopeWalk(deps, store),
    settledAfterMs,
    leavesBetween: store.leavesBetween,
    firstFrom: store.firstFrom,

    settledLeaves: (scope, afterId, limit) => store.settledLeaves(scope, afterId, limit, youngSinceMs()),
    tally: (scope, afterId, limit) => store.tally(scope, afterId, limit, youngSinceMs()),

    // A call is written after it began: rows written before that time are of earlier ones, and numbers follow the writing.
    async cursorAt(scope, fromMs) {
      let [low, high] = [0, (await store.lastId(scope)) + 1];
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2);
        const row = await store.firstFrom(scope, middle);
        if (row === undefined || row.loggedAtMs >= fromMs - DISORDER_MS) high = middle;
        else low = row.id;
      }
      return encodeCursor(low);
    },

    async list(scope, filter, cursor, limit) {
      let afterId = cursor === undefined ? 0 : decodeCursor(cursor);
      // Whoever asks at once after a call finds its row.
      await queue.flush();
      const youngSinceMs = watermarkSeconds === 0 ? null : deps.clock.nowMs() - watermarkSeconds * 1000;
      const windowed = isFiltered(filter);
      const found: ApiLog[] = [];
      for (let window = 0; window < windowsMax; window++) {
        // Without a filter the first rows are those that are wanted: the limit is the window.
        const upToId = windowed ? await store.windowEnd(scope, { afterId, youngSinceMs }, windowRows) : null;
        const wanted = limit + 1 - found.length;
        found.push(...(await store.feed(scope, filter, { afterId, upToId, limit: wanted, youngSinceMs })));
        if (found.length > limit) {
          const rows = found.slice(0, limit);
          return { rows, nextCursor: encodeCursor(rows.at(-1)!.id), watermarkSeconds };
        }
        if (upToId === null) return { rows: found, nextCursor: null, watermarkSeconds };
        afterId = upToId;
        await nextTurn();
      }
      return { rows: found, nextCursor: encodeCursor(afterId), watermarkSeconds };
    },

    async ofRoute(scope, routeId, { page, perPage }) {
      await queue.flush();
      const offset = offsetOf(page, perPage);
      const [rows, total] = await Promise.all([
        store.ofRoute(scope, routeId, perPage, offset),
        store.countOfRoute(scope, routeId),
      ]);
      return { rows, total };
    },

    async get(scope, requestId) {
      await queue.flush();
      const log = await store.findByRequestId(scope, requestId);
      if (log === undefined) throw notFound('Log entry');
      return log;
    },

    async trim(rowsMax, isStopping, rest = null) {
      const { db, clock, retention } = deps;
      const nowMs = clock.nowMs();
      const endMs = clock.monotonicMs() + TRIM_MS;
      const days = await db.dropDays('api_logs', nowMs - retention.logKeptMsMax);
      let rows = 0;
      const mayGoOn = () => rows < rowsMax && clock.monotonicMs() < endMs && !isStopping();
      let after = rest?.after ?? null;
      for (;;) {
        const tenantId = await store.nextTenant(after);
        if (tenantId === null) return { rows, days, rest: null };
        const beforeMs = nowMs - (await retention.logKeptMs(tenantId));
        for (const sandbox of [false, true]) {
          for (let removed = 1; removed > 0; rows += removed) {
            if (!mayGoOn()) return { rows, days, rest: { after } };
            const limit = Math.min(TRIMMED_AT_ONCE, rowsMax - rows);
            removed = await store.deleteOldest({ tenantId, sandbox }, beforeMs, limit);
          }
        }
        after = tenantId;
      }
    },
  };
}
