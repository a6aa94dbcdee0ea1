import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import { isAppError } from '../../kernel/errors.js';
import type { Random } from '../crypto/random.js';
import type { Logger } from '../log/logger.js';
import type { Claim, JobClaims, Settlement } from './claims.js';
import { type JobContext, type JobKind, type JobReport, LeaseLost } from './definition.js';
import { payloadText } from './queue.js';
import { backOffMs, errorText } from './retry.js';

export interface WorkerDeps {
  readonly claims: Pick<JobClaims, 'renew' | 'fence' | 'settle' | 'giveBack'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface Worker {
  /** Runs a claimed job to its settlement; when it is due again, where that is known. Never rejects. */
  run(kind: JobKind, claim: Claim): Promise<number | null>;
  /** Tells the jobs under way that the process will stop. */
  askToStop(): void;
  /** Gives back the leases of what is still under way. */
  abandon(): void;
}

type Outcome =
  | { readonly is: 'done'; readonly report: JobReport }
  | { readonly is: 'failed'; readonly error: unknown }
  | { readonly is: 'left' }
  | { readonly is: 'lost' };

/** A lease outlives two renewals that fail. */
const RENEWALS_PER_LEASE = 3;
const SETTLE_RETRY_MS = 1_000;
const REPORT_CHARACTERS_MAX = 4_096;

class TimedOut extends Error {
  override readonly name = 'TimedOut';
}
class Abandoned extends Error {
  override readonly name = 'Abandoned';
}

export function createWorker({ claims, clock, random, logger }: WorkerDeps): Worker {
  const underWay = new Set<AbortController>();
  let isStopping = false;
  let isAbandoned = false;

  async function run(kind: JobKind, claim: Claim): Promise<number | null> {
    const abort = new AbortController();
    const startedAtMs = clock.monotonicMs();
    underWay.add(abort);
    const lease = holdLease(kind, claim, abort);
    try {
      const outcome = await attempt(kind, claim, abort);
      return await conclude(kind, claim, outcome, {
        durationMs: Math.round(clock.monotonicMs() - startedAtMs),
        isHeld: lease.isHeld,
      });
    } finally {
      lease.release();
      underWay.delete(abort);
    }
  }

  async function attempt(kind: JobKind, claim: Claim, abort: AbortController): Promise<Outcome> {
    const { attemptsMax } = kind.retry;
    // The runs before were not settled by anybody: the process ended under each of them, maybe because of it.
    if (attemptsMax !== null && claim.attempts > attemptsMax)
      return { is: 'failed', error: new Error('the process that ran it ended each time') };
    const { signal } = abort;
    const aborted = new Promise<Outcome>((resolve) =>
      signal.addEventListener('abort', () => resolve(outcomeOfAbort(signal.reason)), { once: true }),
    );
    const cancelTimeout = clock.setTimer(kind.timeoutMs, () =>
      abort.abort(new TimedOut(`the run did not end within ${kind.timeoutMs} ms`)),
    );
    const context: JobContext = {
      id: claim.id,
      payload: claim.payload,
      attempt: claim.attempts,
      batchMax: kind.batchMax,
      signal,
      isStopping: () => isStopping,
      fence: (tx) => claims.fence(tx, claim),
    };
    try {
      return await Promise.race([outcomeOf(kind, context), aborted]);
    } finally {
      cancelTimeout();
    }
  }

  /** Renews until released. A renewal that fails is tried again; past the lease's end the run no longer counts. */
  function holdLease({ leaseMs }: JobKind, claim: Claim, abort: AbortController) {
    let endsAtMs = clock.monotonicMs() + leaseMs;
    let isOver = false;
    let cancelTimer = () => {};
    const isHeld = () => clock.monotonicMs() < endsAtMs;

    async function renew(): Promise<void> {
      const askedAtMs = clock.monotonicMs();
      try {
        if (await claims.renew(claim, leaseMs)) endsAtMs = askedAtMs + leaseMs;
        else endsAtMs = askedAtMs;
      } catch {
        // The database is away: until the lease ends it may come back.
      }
      if (isOver) return;
      if (!isHeld()) abort.abort(new LeaseLost(`the lease of job ${claim.id} has ended`));
      else schedule();
    }

    function schedule(): void {
      cancelTimer = clock.setTimer(leaseMs / RENEWALS_PER_LEASE, () => void renew());
    }

    schedule();
    return {
      isHeld,
      release() {
        isOver = true;
        cancelTimer();
      },
    };
  }

  async function conclude(
    kind: JobKind,
    claim: Claim,
    outcome: Outcome,
    run: { durationMs: number; isHeld(): boolean },
  ): Promise<number | null> {
    const fields = { job: claim.id, kind: kind.kind, attempt: claim.attempts, duration_ms: run.durationMs };
    if (outcome.is === 'lost') {
      logger.warn(fields, 'a job was lost to another worker');
      return null;
    }
    if (outcome.is === 'left') {
      logger.info(fields, 'a job was given back at the stop');
      await untilWritten(() => claims.giveBack(claim), run.isHeld);
      return null;
    }
    const settlement =
      outcome.is === 'done'
        ? success(kind, outcome.report, run.durationMs)
        : failure(kind, claim, outcome.error);
    if (outcome.is === 'failed') {
      const level = settlement.state === 'errored' ? 'error' : 'warn';
      logger[level]({ ...fields, err: outcome.error }, 'a job failed');
    }
    await untilWritten(async () => {
      const isWritten = await claims.settle(claim, settlement);
      if (!isWritten) logger.warn(fields, 'the result of a job came after its lease and was not written');
    }, run.isHeld);
    return settlement.runAtMs;
  }

  /** While the lease lasts: what has been done should not be done again only because the database was away. */
  async function untilWritten(write: () => Promise<void>, isHeld: () => boolean): Promise<void> {
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (!isAppError(error, 'dependency_unavailable') || !isHeld() || isAbandoned)
          return logger.error({ err: error }, 'the result of a job could not be written');
      }
      await new Promise<void>((resolve) => clock.setTimer(SETTLE_RETRY_MS, resolve));
    }
  }

  function success(kind: JobKind, report: JobReport, durationMs: number): Settlement {
    const { rows, againInMs, payload, details } = report;
    const delayMs = againInMs ?? kind.everyMs;
    const text = JSON.stringify({ rows, duration_ms: durationMs, ...(details && { details }) });
    return {
      state: delayMs === null ? 'done' : 'pending',
      runAtMs: delayMs === null ? null : clock.nowMs() + delayMs,
      attempts: 0,
      error: null,
      ...(payload && { payload: payloadText(kind.kind, payload) }),
      report: text.length <= REPORT_CHARACTERS_MAX ? text : JSON.stringify({ rows, duration_ms: durationMs }),
    };
  }

  function failure({ retry }: JobKind, { attempts }: Claim, error: unknown): Settlement {
    const isOver = retry.attemptsMax !== null && attempts >= retry.attemptsMax;
    return {
      state: isOver ? 'errored' : 'pending',
      runAtMs: isOver ? null : clock.nowMs() + backOffMs(retry, attempts, random),
      attempts,
      error: errorText(error),
    };
  }

  return {
    run,
    askToStop() {
      isStopping = true;
    },
    abandon() {
      isAbandoned = true;
      for (const abort of underWay) abort.abort(new Abandoned('the process stops'));
    },
  };
}

async function outcomeOf(kind: JobKind, context: JobContext): Promise<Outcome> {
  try {
    const report = await kind.run(context);
    assert(
      report.againInMs === undefined || report.againInMs >= 0,
      `${kind.kind}: againInMs is not negative`,
    );
    assert(report.payload === undefined || kind.everyMs !== null, `${kind.kind}: payloads come by enqueue`);
    return { is: 'done', report };
  } catch (error) {
    return error instanceof LeaseLost ? { is: 'lost' } : { is: 'failed', error };
  }
}

function outcomeOfAbort(reason: unknown): Outcome {
  if (reason instanceof LeaseLost) return { is: 'lost' };
  if (reason instanceof Abandoned) return { is: 'left' };
  return { is: 'failed', error: reason };
}
