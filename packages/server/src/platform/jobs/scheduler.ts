import type { Clock } from '../../kernel/clock.js';
import type { Logger } from '../log/logger.js';
import type { Claim, JobClaims } from './claims.js';
import type { JobKind } from './definition.js';
import type { Worker } from './worker.js';

export interface SchedulerDeps {
  readonly claims: Pick<JobClaims, 'defineNextRuns' | 'claim' | 'claimWoken' | 'askAgain'>;
  readonly worker: Worker;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Another one for each process. */
  readonly processId: string;
  readonly kinds: readonly JobKind[];
}

export interface Scheduler {
  start(): void;
  /** Something of the kind may be due; a recurring kind is made due. */
  wake(kind: string): void;
  /** Resolves when nothing is being looked for and nothing runs. */
  idle(): Promise<void>;
  /** Claims no more, waits `graceMs` for what is under way, then gives its leases back. */
  stop(graceMs: number): Promise<void>;
}

/** How late this process notices what another one enqueued, or left behind. */
const POLL_MS = 1_000;
/** A wake that finds the job between two owners looks again. */
const WAKE_TRIES = 2;

/** What one process runs of a kind. Kinds have no slots in common: a slow one starves no other. */
interface Lane {
  readonly kind: JobKind;
  running: number;
  isClaiming: boolean;
  /** What came while the lane was claiming or full is looked after once that is over. */
  isDue: boolean;
  isWoken: boolean;
  isWakeSet: boolean;
}

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const { claims, worker, clock, logger, processId } = deps;
  const lanes = new Map<string, Lane>(
    deps.kinds.map((kind) => [
      kind.kind,
      { kind, running: 0, isClaiming: false, isDue: false, isWoken: false, isWakeSet: false },
    ]),
  );
  const nextRuns = claims.defineNextRuns([...lanes.keys()]);
  const work = new Set<Promise<void>>();
  let claimCount = 0;
  let isRunning = false;
  let isCutOff = false;
  let cancelPoll = () => {};

  function track(promise: Promise<void>): void {
    const tracked: Promise<void> = promise.finally(() => work.delete(tracked));
    work.add(tracked);
  }

  async function poll(): Promise<void> {
    let delayMs = POLL_MS;
    await whileConnected(async () => {
      for (const { kind, runAtMs } of await nextRuns()) {
        const inMs = runAtMs - clock.nowMs();
        if (inMs <= 0) fill(lanes.get(kind)!, false);
        else delayMs = Math.min(delayMs, inMs);
      }
    });
    if (isRunning) cancelPoll = clock.setTimer(delayMs, () => track(poll()));
  }

  /** Claims for every free slot of the lane, one at a time. */
  function fill(lane: Lane, isWoken: boolean): void {
    if (!isRunning) return;
    if (lane.isClaiming || lane.running >= lane.kind.concurrency) {
      lane.isDue = true;
      lane.isWoken ||= isWoken;
      return;
    }
    lane.isClaiming = true;
    track(claimAll(lane, isWoken));
  }

  async function claimAll(lane: Lane, isWoken: boolean): Promise<void> {
    await whileConnected(async () => {
      let claim = await (isWoken ? claimWoken(lane.kind) : claims.claim(lane.kind.kind, leaseOf(lane.kind)));
      while (claim) {
        launch(lane, claim);
        if (!isRunning || lane.running >= lane.kind.concurrency) break;
        claim = await claims.claim(lane.kind.kind, leaseOf(lane.kind));
      }
    });
    lane.isClaiming = false;
    if (lane.isDue) again(lane);
  }

  async function claimWoken(kind: JobKind): Promise<Claim | undefined> {
    if (kind.everyMs === null) return claims.claim(kind.kind, leaseOf(kind));
    for (let tries = 0; tries < WAKE_TRIES; tries++) {
      const claim = await claims.claimWoken(kind.kind, leaseOf(kind));
      if (claim || (await claims.askAgain(kind.kind))) return claim;
    }
    return undefined;
  }

  function launch(lane: Lane, claim: Claim): void {
    lane.running++;
    track(
      worker.run(lane.kind, claim).then((nextRunAtMs) => {
        lane.running--;
        again(lane);
        const inMs = (nextRunAtMs ?? Number.POSITIVE_INFINITY) - clock.nowMs();
        if (inMs < POLL_MS) clock.setTimer(Math.max(inMs, 0), () => fill(lane, false));
      }),
    );
  }

  function again(lane: Lane): void {
    const { isWoken } = lane;
    lane.isDue = false;
    lane.isWoken = false;
    fill(lane, isWoken);
  }

  function leaseOf({ leaseMs }: JobKind) {
    return { owner: `${processId}:${++claimCount}`, leaseMs };
  }

  /** Told once: a database that is away is asked again at each poll. */
  async function whileConnected(ask: () => Promise<void>): Promise<void> {
    try {
      await ask();
      if (isCutOff) logger.info('jobs can be claimed again');
      isCutOff = false;
    } catch (error) {
      if (!isCutOff) logger.warn({ err: error }, 'jobs cannot be claimed');
      isCutOff = true;
    }
  }

  function wake(kind: string): void {
    const lane = lanes.get(kind);
    // Another version's kind: a process that knows it will find it.
    if (!lane || !isRunning) return;
    const { wakeDelayMs } = lane.kind;
    if (wakeDelayMs === 0) fill(lane, true);
    else if (!lane.isWakeSet) {
      lane.isWakeSet = true;
      clock.setTimer(wakeDelayMs, () => {
        lane.isWakeSet = false;
        fill(lane, true);
      });
    }
  }

  async function idle(): Promise<void> {
    while (work.size > 0) await Promise.all(work);
  }

  return {
    start() {
      isRunning = true;
      track(poll());
    },
    wake,
    idle,
    async stop(graceMs) {
      isRunning = false;
      cancelPoll();
      worker.askToStop();
      const cancelGrace = clock.setTimer(graceMs, () => worker.abandon());
      await idle();
      cancelGrace();
    },
  };
}
