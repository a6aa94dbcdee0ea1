import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../kernel/clock.js';
import type { TenantId } from '../../../kernel/ids.js';
import { DecryptionRefused } from '../../../platform/crypto/authenticated-cipher.js';
import { envelopeVersion } from '../../../platform/crypto/envelope-cipher.js';
import type { JobContext, JobReport } from '../../../platform/jobs/definition.js';
import type { Logger } from '../../../platform/log/logger.js';
import type { Database } from '../../../platform/storage/database.js';
import type { Counter } from '../../../platform/telemetry/instruments.js';
import type { Kms } from '../service.js';
import type { KmsStore } from '../store.js';
import type { EnvelopeStep, ResealedEnvelope, StoredEnvelope } from './envelopes.js';
import { FIRST_PACE, nextPace } from './pace.js';
import type { Cursor, PassState, RewrapPass, RewrapStore } from './store.js';

export interface PassDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly kms: Pick<Kms, 'reseal' | 'faultOf'>;
  readonly keys: Pick<KmsStore, 'findKey'>;
  readonly store: RewrapStore;
  readonly steps: readonly EnvelopeStep[];
  readonly rows: { readonly done: Counter; readonly failed: Counter };
  /** What is left of the tenant's pass, for the metrics; null = it is not worked at here. */
  onProgress(tenantId: TenantId, rowsLeft: number | null): void;
}

/** Passes of other tenants get their turn after that. */
const RUN_MS = 30_000;
/** Rows sealed between two turns of the event loop: about a millisecond. */
const SLICE_ROWS = 25;
/** What was sealed under the former version when the new one came is stored by then; a last sweep finds it. */
const SETTLE_MS = 5_000;
/** As the tenant itself is tried again (kms-admin.md §1.5). */
const SEALED_RETRY_MS = 30_000;
const FAILED_RETRY_MS = 24 * 3_600_000;
/** A key that was lost may come back sooner than an envelope that is broken. */
const LOST_KEY_RETRY_MS = 3_600_000;
const FAILURES_LOGGED_MAX = 10;

/** A newer version, or another run, has the tenant by now. */
class Overtaken extends Error {
  override readonly name = 'Overtaken';
}

/** Without its keys the pass can only wait. */
class Sealed extends Error {
  override readonly name = 'Sealed';
}

/** Works at a tenant's pass until it is over, waits for something, or has had its time (kms-admin.md §3.5). */
export function createPass(deps: PassDeps): (tenantId: TenantId, context: JobContext) => Promise<JobReport> {
  const { logger, store } = deps;

  async function untilSealed(run: Run, pass: RewrapPass, tenantId: TenantId): Promise<JobReport> {
    try {
      return await run.work();
    } catch (error) {
      if (!(error instanceof Sealed)) throw error;
      logger.warn(
        { tenant: tenantId, lease: pass.leaseId, why: error.message },
        'a rewrap waits for its keys',
      );
      await run.wait(error.message);
      return { rows: run.rows(), againInMs: SEALED_RETRY_MS };
    }
  }

  return async function work(tenantId, context) {
    const pass = await store.find(tenantId);
    if (pass?.leaseId !== context.id || pass.status === 'completed') return { rows: 0 };
    const run = createRun(deps, tenantId, pass, context);
    try {
      return await untilSealed(run, pass, tenantId);
    } catch (error) {
      if (error instanceof Overtaken) return { rows: run.rows(), againInMs: 0 };
      throw error;
    } finally {
      deps.onProgress(tenantId, null);
    }
  };
}

type Run = ReturnType<typeof createRun>;

function createRun(deps: PassDeps, tenantId: TenantId, pass: RewrapPass, context: JobContext) {
  const { db, clock, logger, kms, keys, store, steps } = deps;
  const { targetVersion } = pass;
  const endsAtMs = clock.monotonicMs() + RUN_MS;
  /** Of versions, why they do not open. */
  const faults = new Map<number, string>();
  let state: PassState = pass;
  let rows = 0;
  let failuresLogged = 0;
  let pace = FIRST_PACE;

  const isTimeUp = () =>
    context.isStopping() ||
    context.signal.aborted ||
    clock.monotonicMs() >= endsAtMs ||
    rows >= context.batchMax;

  /** One transaction: the envelopes, how far the pass has come, and that it is still ours to say so. */
  async function commit(next: PassState, step?: EnvelopeStep, envelopes: readonly ResealedEnvelope[] = []) {
    const askedAtMs = clock.monotonicMs();
    let enteredAtMs = askedAtMs;
    const saved = await db.exclusively(`rewrap ${tenantId}`, async (tx) => {
      await context.fence(tx);
      enteredAtMs = clock.monotonicMs();
      const replaced = step ? await step.replace(tx, tenantId, envelopes) : 0;
      const rowsDone = next.rowsDone + replaced;
      const result: PassState = {
        ...next,
        rowsDone,
        sweepDone: next.sweepDone + replaced,
        rowsTotal: next.rowsTotal === null ? null : Math.max(next.rowsTotal, rowsDone + next.rowsFailed),
      };
      if (!(await store.save(tx, tenantId, pass, result))) throw new Overtaken();
      return { result, replaced };
    });
    if (saved === null) throw new Overtaken();
    state = saved.result;
    rows += saved.replaced;
    deps.rows.done.add(saved.replaced);
    deps.onProgress(tenantId, (state.rowsTotal ?? 0) - state.rowsDone - state.rowsFailed);
    return { waitedMs: enteredAtMs - askedAtMs, heldMs: clock.monotonicMs() - enteredAtMs };
  }

  async function begin(): Promise<void> {
    let rowsTotal = state.rowsTotal;
    if (rowsTotal === null) {
      rowsTotal = 0;
      for (const step of steps) rowsTotal += await step.countBelow(tenantId, targetVersion);
    }
    const isAgain = state.status === 'failed';
    await commit({
      ...state,
      ...(isAgain && FIRST_OF_SWEEP),
      status: 'running',
      rowsTotal,
      lastError: isAgain ? null : state.lastError,
      startedAtMs: state.startedAtMs ?? clock.nowMs(),
      finishedAtMs: null,
    });
  }

  async function work(): Promise<JobReport> {
    await begin();
    for (;;) {
      let at = Math.max(
        0,
        steps.findIndex(({ name }) => name === state.cursor?.step),
      );
      while (at < steps.length) {
        if (isTimeUp()) {
          await commit(state);
          return { rows, againInMs: 0 };
        }
        const step = steps[at]!;
        const isOver = await goOn(step, state.cursor?.step === step.name ? state.cursor.rowId : '');
        if (isOver) at += 1;
      }
      const report = await endSweep();
      if (report) return report;
    }
  }

  /** The next rows of the step; true when there are no more. */
  async function goOn(step: EnvelopeStep, afterRowId: string): Promise<boolean> {
    if (pace.pauseMs > 0) await new Promise<void>((resolve) => clock.setTimer(pace.pauseMs, resolve));
    const found = await step.read(tenantId, afterRowId, pace.rows);
    const last = found.at(-1);
    if (!last) return true;
    const isOver = found.length < pace.rows;
    const { resealed, failed, loopLagMs } = await resealAll(step, found);
    const cursor: Cursor = { step: step.name, rowId: last.rowId };
    const next = { ...state, cursor, rowsFailed: state.rowsFailed + failed };
    if (resealed.length > 0 || failed > 0) {
      const cost = await commit(next, step, resealed);
      pace = nextPace(pace, { ...cost, loopLagMs });
    } else {
      // Nothing to write: where the sweep is matters only to the next run.
      state = next;
      pace = nextPace(pace, { loopLagMs, waitedMs: 0, heldMs: 0 });
    }
    return isOver;
  }

  async function resealAll(step: EnvelopeStep, found: readonly StoredEnvelope[]) {
    const resealed: ResealedEnvelope[] = [];
    let failed = 0;
    let loopLagMs = 0;
    let sinceTurn = 0;
    for (const { rowId, from } of dueOf(found)) {
      const to = await resealOne(step, rowId, from);
      if (to) resealed.push({ rowId, from, to });
      else failed += 1;
      sinceTurn += 1;
      if (sinceTurn < SLICE_ROWS) continue;
      sinceTurn = 0;
      loopLagMs = Math.max(loopLagMs, await turn());
    }
    loopLagMs = Math.max(loopLagMs, await turn());
    return { resealed, failed, loopLagMs };
  }

  /** Lets others go on, and says for how long they did. */
  async function turn(): Promise<number> {
    const leftAtMs = clock.monotonicMs();
    await nextTurn();
    return clock.monotonicMs() - leftAtMs;
  }

  /** Those of former versions, and what is no envelope at all; of rows with one id that share an envelope the first. */
  function dueOf(found: readonly StoredEnvelope[]): { rowId: string; from: Buffer }[] {
    const due: { rowId: string; from: Buffer }[] = [];
    for (const { rowId, envelope } of found) {
      if (envelope === null || isWiped(envelope)) continue;
      const version = versionOf(envelope);
      if (version !== null && version >= targetVersion) continue;
      const before = due.at(-1);
      if (before?.rowId === rowId && before.from.equals(envelope)) continue;
      due.push({ rowId, from: envelope });
    }
    return due;
  }

  /** Null where the row has failed, and is recorded. */
  async function resealOne(step: EnvelopeStep, rowId: string, from: Buffer): Promise<Buffer | null> {
    const version = versionOf(from);
    if (version === null) return fail(step, rowId, 'is no envelope');
    const fault = await faultOf(version);
    if (fault !== null) return fail(step, rowId, fault);
    try {
      return await kms.reseal(step.placeOf(tenantId, rowId), from, targetVersion);
    } catch (error) {
      if (error instanceof DecryptionRefused)
        return fail(step, rowId, `does not open under version ${version}`);
      throw error;
    }
  }

  function fail(step: EnvelopeStep, rowId: string, why: string): null {
    const lastError = `${step.name} ${rowId}: ${why}`;
    state = { ...state, lastError };
    deps.rows.failed.add();
    failuresLogged += 1;
    if (failuresLogged <= FAILURES_LOGGED_MAX) {
      logger.error(
        { tenant: tenantId, lease: pass.leaseId, row: lastError },
        'an envelope was not rewrapped',
      );
    }
    return null;
  }

  /**
   * A version that the same key wraps as the target will come back with it, so the pass waits. One that is revoked, or
   * that another key wraps, must not keep the others from going on.
   */
  async function faultOf(version: number): Promise<string | null> {
    const known = faults.get(version);
    if (known !== undefined) return known;
    const targetFault = await kms.faultOf(tenantId, targetVersion);
    if (targetFault !== null) throw new Sealed(targetFault);
    const fault = await kms.faultOf(tenantId, version);
    if (fault === null) return null;
    const [key, target] = await Promise.all([
      keys.findKey(tenantId, version),
      keys.findKey(tenantId, targetVersion),
    ]);
    const comesBack = key?.wrapped && key.wrapMethod === target?.wrapMethod && key.kmsKey === target.kmsKey;
    if (comesBack) throw new Sealed(fault);
    faults.set(version, fault);
    return fault;
  }

  /** Null where another sweep has to follow at once. */
  async function endSweep(): Promise<JobReport | null> {
    const settledInMs = pass.issuedAtMs + SETTLE_MS - clock.nowMs();
    if (state.sweepDone > 0 || settledInMs > 0) {
      const isClean = state.sweepDone === 0;
      await commit({ ...state, ...FIRST_OF_SWEEP });
      return isClean ? { rows, againInMs: settledInMs } : null;
    }
    const status = state.rowsFailed > 0 ? 'failed' : 'completed';
    const lastError = status === 'failed' ? state.lastError : null;
    await commit({ ...state, status, cursor: null, lastError, finishedAtMs: clock.nowMs() });
    const { rowsDone, rowsFailed } = state;
    const fields = { tenant: tenantId, lease: pass.leaseId, target: targetVersion };
    logger.info({ ...fields, done: rowsDone, failed: rowsFailed }, `a rewrap has ${status}`);
    const details = { done: rowsDone, failed: rowsFailed };
    if (status === 'completed') return { rows, details };
    return { rows, details, againInMs: faults.size > 0 ? LOST_KEY_RETRY_MS : FAILED_RETRY_MS };
  }

  return {
    work,
    rows: () => rows,
    async wait(why: string): Promise<void> {
      await commit({ ...state, status: 'pending', lastError: why });
    },
  };
}

/** Failures are counted anew by each sweep: what failed before fails again, or does not any more. */
const FIRST_OF_SWEEP = { cursor: null, rowsFailed: 0, sweepDone: 0 } as const;

/** Of a key that was destroyed only zeros are left. */
function isWiped(envelope: Buffer): boolean {
  return envelope.every((byte) => byte === 0);
}

function versionOf(envelope: Buffer): number | null {
  try {
    return envelopeVersion(envelope);
  } catch (error) {
    if (error instanceof DecryptionRefused) return null;
    throw error;
  }
}
