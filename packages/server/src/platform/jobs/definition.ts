import { assert } from '../../kernel/assert.js';
import type { Transaction } from '../storage/database.js';
import type { RetryRule } from './retry.js';

/** Plain JSON. Ids and numbers, never a secret: rows are read by operators. */
export type JobPayload = Readonly<Record<string, unknown>>;

export interface JobContext {
  readonly id: number;
  readonly payload: JobPayload;
  /** 1 for the first run since the last success. */
  readonly attempt: number;
  /** No run takes more rows than this. */
  readonly batchMax: number;
  /** Aborted when what the run does no longer counts: lease lost, out of time, process leaving. */
  readonly signal: AbortSignal;
  /** True when the process is about to stop: end after the row at hand and say `againInMs: 0`. */
  isStopping(): boolean;
  /** In the transaction of an effect: throws `LeaseLost` when another worker has the job by now. */
  fence(tx: Transaction): Promise<void>;
}

export interface JobReport {
  readonly rows: number;
  /** Run again that soon, 0 = at once, since there is more to do; absent = as scheduled. */
  readonly againInMs?: number;
  /** Of a recurring kind: what its next run gets as payload, such as where to go on; absent = the same again. */
  readonly payload?: JobPayload;
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/** Of a run that takes a batch: at once again where more is left. */
export function batchReport(rows: number, hasMore: boolean): JobReport {
  return hasMore ? { rows, againInMs: 0 } : { rows };
}

export interface JobDefinition {
  /** snake_case (contract README §12). */
  readonly kind: string;
  /** What it does, for the operator's list. */
  readonly title: string;
  /** `{ everyMs }`: one row for the whole installation. `on_demand`: a row for each `enqueue`. */
  readonly schedule: { readonly everyMs: number } | 'on_demand';
  readonly batchMax: number;
  /** Runs at once in one process; default 1, and always 1 for a recurring kind. */
  readonly concurrency?: number;
  /** Wakes within this time join in one run; default 0. */
  readonly wakeDelayMs?: number;
  /** How long another worker waits for a process that died; default 30 s. Renewed while the job runs. */
  readonly leaseMs?: number;
  /** A run that takes longer has failed; default 5 min. */
  readonly timeoutMs?: number;
  readonly retry?: Partial<RetryRule>;
  /** Idempotent: it may run once more than it says it did. */
  run(context: JobContext): Promise<JobReport>;
}

/** A definition with its defaults filled in and its bounds checked. */
export interface JobKind extends Required<Omit<JobDefinition, 'schedule' | 'retry'>> {
  readonly everyMs: number | null;
  readonly retry: RetryRule;
}

const RETRY_ON_DEMAND: RetryRule = { attemptsMax: 10, firstDelayMs: 1_000, delayMsMax: 3_600_000 };
const RETRY_RECURRING: RetryRule = { attemptsMax: null, firstDelayMs: 1_000, delayMsMax: 60_000 };

const CONCURRENCY_MAX = 32;
const LEASE_MS_MIN = 3_000;

export function jobKindOf(definition: JobDefinition): JobKind {
  const { schedule, ...given } = definition;
  const everyMs = schedule === 'on_demand' ? null : schedule.everyMs;
  const kind: JobKind = {
    concurrency: 1,
    wakeDelayMs: 0,
    leaseMs: 30_000,
    timeoutMs: 300_000,
    ...given,
    everyMs,
    retry: { ...(everyMs === null ? RETRY_ON_DEMAND : RETRY_RECURRING), ...definition.retry },
    run: (context) => definition.run(context),
  };
  assert(/^[a-z][a-z0-9_]{0,62}$/.test(kind.kind), `job kind "${kind.kind}" is not snake_case`);
  assert(everyMs === null || everyMs > 0, `${kind.kind}: everyMs is positive`);
  assert(everyMs === null || kind.concurrency === 1, `${kind.kind}: a recurring kind runs alone`);
  // One that gives up would never run again, and nobody enqueues it.
  assert(
    everyMs === null || kind.retry.attemptsMax === null,
    `${kind.kind}: a recurring kind never gives up`,
  );
  assert(kind.concurrency >= 1 && kind.concurrency <= CONCURRENCY_MAX, `${kind.kind}: concurrency`);
  assert(kind.batchMax >= 1 && kind.leaseMs >= LEASE_MS_MIN, `${kind.kind}: batchMax, leaseMs`);
  return kind;
}

/** Another worker has the job: nothing that this run still does may count. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}
