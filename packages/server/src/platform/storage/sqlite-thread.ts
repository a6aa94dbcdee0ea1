import { Worker } from 'node:worker_threads';
import { databaseUnavailable } from './engine.js';
import type { InsertRun } from './insert-runs.js';

/** Uses of the connection that may wait for it. Group commits are one use each, however many rows they hold. */
const WAITING_MAX = 1_000;

/** What the driver said, as plain data; it crosses threads. */
export interface DriverFailure {
  readonly errcode: number;
  readonly message: string;
}

export class DriverError extends Error {
  override readonly name = 'DriverError';
  constructor(readonly failure: DriverFailure) {
    super(failure.message);
  }
}

export type WriterMessage =
  | { op: 'run'; sql: string; parameters: readonly unknown[]; returnsRows: boolean; begin: boolean }
  /** The runs of all groups, which have so many rows each; as JSON where every value survives that. */
  | {
      op: 'insert';
      texts: readonly string[];
      runs: string | readonly InsertRun[];
      sizes: readonly number[];
    }
  | { op: 'exec'; sql: string }
  | { op: 'commit' }
  | { op: 'rollback' }
  | { op: 'close' };

/** Talks to the worker; valid while the use that was given it lasts. */
export type Ask = <T>(message: WriterMessage) => Promise<T>;

export interface SqliteThread {
  /** First come, first served: nobody else reaches the connection until the promise of `use` settles. */
  exclusive<T>(use: (ask: Ask) => Promise<T>): Promise<T>;
  /** After all that came before it. */
  close(): Promise<void>;
}

export interface SqliteThreadOptions {
  readonly module: string;
  readonly path: string;
  readonly pragmas: readonly string[];
  readonly isReadOnly?: boolean;
  /** A module that the thread loads: `commitHook` of `open-database.ts`. */
  readonly commitHook?: string | undefined;
}

type WorkerMessage =
  | { id: number; result?: unknown; failure?: DriverFailure }
  | { hookFailure: DriverFailure };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Starts the thread that owns the only writing connection of a database file, or one that only reads. */
export async function startSqliteThread(
  options: SqliteThreadOptions,
  onHookFailure: (failure: DriverFailure) => void,
): Promise<SqliteThread> {
  const worker = new Worker(new URL('./sqlite-worker.mjs', import.meta.url), {
    name: options.isReadOnly ? 'sqlite-reader' : 'sqlite-writer',
    workerData: options,
    execArgv: [],
    env: {},
    resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 256 },
  });
  const answers = new Map<number, Waiting>();
  let lastId = 0;
  let dead: Error | null = null;

  function die(cause: unknown): void {
    dead ??= databaseUnavailable('the writer thread has ended', cause);
    for (const waiting of answers.values()) waiting.reject(dead);
    answers.clear();
  }

  function expect<T>(id: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      answers.set(id, { resolve: resolve as (value: unknown) => void, reject });
      worker.ref();
    });
  }

  worker.on('message', (message: WorkerMessage) => {
    if ('hookFailure' in message) return onHookFailure(message.hookFailure);
    const waiting = answers.get(message.id);
    answers.delete(message.id);
    if (answers.size === 0) worker.unref();
    if (message.failure) waiting?.reject(new DriverError(message.failure));
    else waiting?.resolve(message.result);
  });
  worker.on('error', die);
  worker.on('exit', die);

  const ask: Ask = (message) => {
    if (dead) return Promise.reject(dead);
    const id = ++lastId;
    const answer = expect<never>(id);
    worker.postMessage({ id, ...message });
    return answer;
  };

  await expect<void>(0);
  const exclusive = createExclusive(ask);
  return {
    exclusive,
    async close() {
      if (dead) return;
      const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
      await exclusive((last) => last({ op: 'close' }));
      worker.ref();
      await exited;
    },
  };
}

function createExclusive(ask: Ask): SqliteThread['exclusive'] {
  let tail: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return (use) => {
    if (waiting >= WAITING_MAX) return Promise.reject(databaseUnavailable('too many wait for the writer'));
    waiting++;
    const turn = tail.then(() => {
      waiting--;
      return use(ask);
    });
    tail = turn.catch(() => {});
    return turn;
  };
}
