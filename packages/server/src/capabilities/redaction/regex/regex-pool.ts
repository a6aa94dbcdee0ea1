import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import type { Clock } from '../../../kernel/clock.js';
import { redactionFailed } from '../errors.js';
import { COMPILE_MS, startRegexThread } from './regex-thread.js';

/** Expressions that are matched together, compiled once in each thread that meets them. */
export interface RegexSet {
  readonly id: number;
  /** Who waits in one line: the rules of one tenant and mode. */
  readonly owner: object;
  readonly patterns: readonly string[];
}

export interface RegexJob {
  readonly set: RegexSet;
  /** Texts one behind the other, and where each ends. */
  readonly text: string;
  readonly ends: Uint32Array;
  /** Where each expression begins to search; absent: at the start. Only with one text. */
  readonly froms?: Int32Array | undefined;
  readonly timeMs: number;
  readonly findsMax: number;
}

/** A job as it crosses to the thread. */
export interface RegexQuestion extends Omit<RegexJob, 'set'> {
  readonly set: number;
  /** When the thread does not know the set yet. */
  readonly patterns: readonly string[] | null;
  readonly forget: readonly number[];
}

export interface RegexAnswer {
  /** Text, expression, start, end, again and again; null when the time or the number of finds was over. */
  readonly finds: Int32Array | null;
  readonly spentMs: number;
}

export interface RegexPool {
  /** Throws `redaction_failed` when nothing can be said of the texts. */
  run(job: RegexJob): Promise<RegexAnswer>;
  /** Jobs that wait are refused, those that run end by themselves or by their time. */
  close(): Promise<void>;
}

export interface RegexPoolOptions {
  readonly clock: Pick<Clock, 'setTimer' | 'monotonicMs'>;
  readonly threadsMax?: number;
  readonly jobsWaitingMax?: number;
  /** What a thread runs. */
  readonly script?: URL;
}

const THREADS_MAX = 4;
const JOBS_WAITING_MAX = 256;
/** Of one owner, so that there is room for others. */
const OWNER_SHARE = 4;
const CHARACTERS_WAITING_MAX = 32 * 1024 * 1024;
const SETS_KEPT_MAX = 32;
/** A thread notices by itself that the time is over, but inside one match. */
const GRACE_MS = 100;
/** So long a set whose first job ended its thread is not tried again: each try keeps all others waiting. */
const STOPPED_MS = 60_000;

interface Waiting {
  readonly job: RegexJob;
  resolve(answer: RegexAnswer): void;
  reject(error: unknown): void;
}

interface Thread {
  readonly worker: Worker;
  /** Sets it has compiled, the oldest use first. */
  readonly sets: Set<number>;
  isReady: boolean;
  current: (Waiting & { readonly stopTimer: () => void; readonly isCompiling: boolean }) | null;
}

/**
 * A few threads for the regexes of all tenants, so that none of them holds up the thread of the requests. Started
 * when first needed; one that hangs or dies is replaced, and its answer is not passed on.
 */
export function createRegexPool(options: RegexPoolOptions): RegexPool {
  const { clock } = options;
  const threadsMax = options.threadsMax ?? Math.max(1, Math.min(THREADS_MAX, availableParallelism() - 1));
  const jobsWaitingMax = options.jobsWaitingMax ?? JOBS_WAITING_MAX;
  const threads = new Set<Thread>();
  /** A line for each owner; who had a turn goes behind the others. */
  const lines = new Map<object, Waiting[]>();
  const stoppedUntilMs = new WeakMap<RegexSet, number>();
  let jobsWaiting = 0;
  let charactersWaiting = 0;
  let isClosed = false;
  let whenIdle: (() => void) | null = null;

  function start(): void {
    const worker = startRegexThread('redaction-regex', options.script);
    const thread: Thread = { worker, sets: new Set(), isReady: false, current: null };
    threads.add(thread);
    worker.on('message', (message: 'ready' | RegexAnswer) => {
      if (message === 'ready') thread.isReady = true;
      else settle(thread, (job) => job.resolve(message));
      dispatch();
    });
    worker.on('error', () => lose(thread));
    worker.on('exit', () => lose(thread));
  }

  function settle(thread: Thread, how: (job: Waiting) => void): void {
    const job = thread.current;
    thread.current = null;
    job?.stopTimer();
    if (job) how(job);
    if (whenIdle && ![...threads].some(({ current }) => current)) whenIdle();
  }

  function lose(thread: Thread): void {
    if (!threads.delete(thread)) return;
    const { current } = thread;
    if (current?.isCompiling) stoppedUntilMs.set(current.job.set, clock.monotonicMs() + STOPPED_MS);
    settle(thread, (job) => job.reject(redactionFailed('its regex rules were stopped')));
    // Threads that do not even start would be started for ever.
    if (!thread.isReady) refuseWaiting('its regex rules cannot be run');
    dispatch();
  }

  function refuseWaiting(reason: string): void {
    while (jobsWaiting > 0) next().reject(redactionFailed(reason));
  }

  function next(): Waiting {
    const [owner, line] = lines.entries().next().value!;
    const job = line.shift()!;
    lines.delete(owner);
    if (line.length > 0) lines.set(owner, line);
    jobsWaiting--;
    charactersWaiting -= job.job.text.length;
    return job;
  }

  function dispatch(): void {
    for (const thread of threads) {
      if (jobsWaiting === 0) return;
      if (thread.isReady && !thread.current) give(thread, next());
    }
    const starting = [...threads].filter(({ isReady }) => !isReady).length;
    if (jobsWaiting > starting && threads.size < threadsMax) start();
  }

  function give(thread: Thread, taken: Waiting): void {
    const { set, ...job } = taken.job;
    const isKnown = thread.sets.delete(set.id);
    thread.sets.add(set.id);
    const forget = [...thread.sets].slice(0, -SETS_KEPT_MAX);
    for (const id of forget) thread.sets.delete(id);
    // To compile is not of the answer's own time.
    const limitMs = job.timeMs + GRACE_MS + (isKnown ? 0 : COMPILE_MS);
    const stopTimer = clock.setTimer(limitMs, () => void thread.worker.terminate());
    thread.current = { ...taken, stopTimer, isCompiling: !isKnown };
    const question: RegexQuestion = { ...job, set: set.id, patterns: isKnown ? null : set.patterns, forget };
    thread.worker.postMessage(question);
  }

  return {
    run(job) {
      return new Promise((resolve, reject) => {
        const line = lines.get(job.set.owner) ?? [];
        const isFull = jobsWaiting >= jobsWaitingMax || line.length >= jobsWaitingMax / OWNER_SHARE;
        const isStopped = (stoppedUntilMs.get(job.set) ?? Number.NEGATIVE_INFINITY) > clock.monotonicMs();
        if (isClosed) reject(redactionFailed('the server is stopping'));
        else if (isStopped) reject(redactionFailed('its regex rules were stopped'));
        else if (isFull || charactersWaiting + job.text.length > CHARACTERS_WAITING_MAX) {
          reject(redactionFailed('too many answers wait for regex rules'));
        } else {
          jobsWaiting++;
          charactersWaiting += job.text.length;
          line.push({ job, resolve, reject });
          lines.set(job.set.owner, line);
          dispatch();
        }
      });
    },

    async close() {
      isClosed = true;
      refuseWaiting('the server is stopping');
      if ([...threads].some(({ current }) => current)) {
        await new Promise<void>((resolve) => {
          whenIdle = resolve;
        });
      }
      await Promise.all([...threads].map(({ worker }) => worker.terminate()));
    },
  };
}
