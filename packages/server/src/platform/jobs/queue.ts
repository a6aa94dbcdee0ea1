import { sql } from 'kysely';
import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import type { Database, ScopedQueries, Transaction } from '../storage/database.js';
import type { JobKind, JobPayload } from './definition.js';
import { type JobTables, jobTables } from './tables.js';

/** The one row of a recurring kind. No key of `enqueue` begins so. */
export const RECURRING_KEY = '@every';

const PAYLOAD_CHARACTERS_MAX = 16_384;
const KEY_CHARACTERS_MAX = 255;
/** Errored jobs that one "run now" takes up again. */
const TAKEN_UP_MAX = 1_000;

export interface EnqueueOptions {
  /**
   * While an open job of the kind has this key there is no second one: the newer payload replaces the older, and a
   * run that is under way is followed by one more.
   */
  readonly key?: string;
  readonly runAtMs?: number;
}

export type JobQueue = ReturnType<typeof createJobQueue>;

/** How jobs come in, are made due and leave; what lies between is in `claims.ts`. */
export function createJobQueue({ db, clock }: { db: Database; clock: Clock }) {
  const view = db.view<JobTables>(jobTables);

  return {
    /** Kinds are known to the database, so that operators see them before their first run. */
    async register(kinds: readonly JobKind[]): Promise<void> {
      const nowMs = clock.nowMs();
      await db.transaction(async (tx) => {
        const queries = view.system('jobs', tx);
        for (const { kind, title, everyMs } of kinds) {
          const row = { title, every_ms: everyMs, registered_at: nowMs };
          await queries
            .insertInto('job_kinds')
            .values({ kind, ...row })
            .onConflict((conflict) => conflict.column('kind').doUpdateSet(row))
            .execute();
          if (everyMs === null) continue;
          await queries
            .insertInto('jobs')
            .values(newRow(kind, RECURRING_KEY, '{}', nowMs, nowMs))
            .onConflict((conflict) => conflict.doNothing())
            .execute();
          // A shorter interval counts from now on, not after the end of the former one.
          await queries
            .updateTable('jobs')
            .set({ run_at: nowMs + everyMs })
            .where('kind', '=', kind)
            .where('unique_key', '=', RECURRING_KEY)
            .where('run_at', '>', nowMs + everyMs)
            .execute();
        }
      });
    },

    async insert(
      tx: Transaction,
      kind: string,
      payload: JobPayload,
      { key, runAtMs }: EnqueueOptions,
    ): Promise<number> {
      const text = payloadText(kind, payload);
      assert(
        key === undefined || (key.length <= KEY_CHARACTERS_MAX && !key.startsWith('@')),
        `${kind}: not a key`,
      );
      const nowMs = clock.nowMs();
      const row = newRow(kind, key ?? null, text, runAtMs ?? nowMs, nowMs);
      const insertion = view.system('jobs', tx).insertInto('jobs').values(row).returning('id');
      const { id } = await (key === undefined
        ? insertion
        : insertion.onConflict((conflict) =>
            conflict
              .columns(['kind', 'unique_key'])
              .where('run_at', 'is not', null)
              .doUpdateSet((eb) => ({
                payload: text,
                run_at: eb
                  .case()
                  .when('jobs.run_at', '<', eb.ref('excluded.run_at'))
                  .then(eb.ref('jobs.run_at'))
                  .else(eb.ref('excluded.run_at'))
                  .end(),
                asked_again: sql<number>`case when jobs.lease_owner is null then 0 else 1 end`,
              })),
          )
      ).executeTakeFirstOrThrow();
      return id;
    },

    /** Makes what waits due, and takes up what has failed for good; how many jobs will run. */
    async runNow(kind: string): Promise<number> {
      const nowMs = clock.nowMs();
      return db.transaction(async (tx) => {
        const queries = view.system('jobs', tx);
        const isAsked = await askAgain(queries, kind, nowMs);
        const waiting = await queries
          .updateTable('jobs')
          .set({ run_at: nowMs })
          .where('kind', '=', kind)
          .where('run_at', 'is not', null)
          .where('state', '=', 'pending')
          .returning('id')
          .execute();
        const errored = await queries
          .updateTable('jobs')
          .set({ state: 'pending', run_at: nowMs, attempts: 0 })
          .where('id', 'in', (eb) =>
            eb
              .selectFrom('jobs as failed')
              .select('failed.id')
              .where('failed.kind', '=', kind)
              .where('failed.state', '=', 'errored')
              .where(({ not, exists, selectFrom }) =>
                // Of one key the newest only, and none where one is open: that one does the work.
                not(
                  exists(
                    selectFrom('jobs as other')
                      .select('other.id')
                      .whereRef('other.kind', '=', 'failed.kind')
                      .whereRef('other.unique_key', '=', 'failed.unique_key')
                      .where(({ or, and, eb: same }) =>
                        or([
                          same('other.run_at', 'is not', null),
                          and([
                            same('other.state', '=', 'errored'),
                            same('other.id', '>', same.ref('failed.id')),
                          ]),
                        ]),
                      ),
                  ),
                ),
              )
              .orderBy('failed.id')
              .limit(TAKEN_UP_MAX),
          )
          .returning('id')
          .execute();
        return Number(isAsked) + waiting.length + errored.length;
      });
    },

    /** Removes what ended before `beforeMs`, at most `limit` rows; how many. */
    async deleteFinished(state: 'done' | 'errored', beforeMs: number, limit: number): Promise<number> {
      const deleted = await view
        .system('retention')
        .deleteFrom('jobs')
        .where('id', 'in', (eb) =>
          eb
            .selectFrom('jobs')
            .select('id')
            .where('state', '=', state)
            .where('finished_at', '<', beforeMs)
            .orderBy('finished_at')
            .limit(limit),
        )
        .returning('id')
        .execute();
      return deleted.length;
    },
  };
}

/** Asks who runs the one job of a recurring kind to run it once more; false when nobody does. */
export async function askAgain(
  queries: ScopedQueries<JobTables>,
  kind: string,
  nowMs: number,
): Promise<boolean> {
  const asked = await queries
    .updateTable('jobs')
    .set({ asked_again: 1 })
    .where('kind', '=', kind)
    .where('unique_key', '=', RECURRING_KEY)
    .where('run_at', 'is not', null)
    .where('lease_until', '>', nowMs)
    .returning('id')
    .execute();
  return asked.length > 0;
}

export function payloadText(kind: string, payload: JobPayload): string {
  const text = JSON.stringify(payload);
  assert(text.length <= PAYLOAD_CHARACTERS_MAX, `${kind}: the payload is too large`);
  return text;
}

function newRow(kind: string, uniqueKey: string | null, payload: string, runAtMs: number, nowMs: number) {
  return {
    kind,
    unique_key: uniqueKey,
    payload,
    state: 'pending' as const,
    run_at: runAtMs,
    asked_again: 0,
    attempts: 0,
    created_at: nowMs,
  };
}
