import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import type { IdSource } from '../../kernel/ids.js';
import type { Random } from '../crypto/random.js';
import type { Logger } from '../log/logger.js';
import type { Database, Transaction } from '../storage/database.js';
import { createJobClaims } from './claims.js';
import { type JobDefinition, type JobPayload, jobKindOf } from './definition.js';
import { createJobQueue, type EnqueueOptions } from './queue.js';
import { jobRetention } from './retention.js';
import { createScheduler, type Scheduler } from './scheduler.js';
import { createJobStatus, type JobKindStatus, type JobStatus } from './status.js';
import { createWorker } from './worker.js';

export interface JobsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly logger: Logger;
}

/** Background work: durable rows in the database of everything else, run by whichever process claims them. */
export interface Jobs {
  /** A job of an on-demand kind, committed with the change that needs it; this process takes it up at the commit. */
  enqueue(tx: Transaction, kind: string, payload: JobPayload, options?: EnqueueOptions): Promise<number>;
  /**
   * A recurring kind has work: it runs at once, here or where it runs already. Costs the caller nothing and writes
   * nothing in its transaction; call it after the commit. A wake that is lost is made good by the schedule.
   */
  wake(kind: string): void;
  /** Makes all that waits of the kind due, and takes up what was given up; how many jobs will run. */
  runNow(kind: string): Promise<number>;
  status(): Promise<JobKindStatus[]>;
  jobsOf(kind: string, limit: number): Promise<JobStatus[]>;
  /** Those of this floor, for the list of all. */
  definitions(): JobDefinition[];
  start(definitions: readonly JobDefinition[]): Promise<void>;
  /** Resolves when nothing is due here and nothing runs. */
  idle(): Promise<void>;
  stop(graceMs: number): Promise<void>;
}

export function createJobs({ db, clock, ids, random, logger }: JobsDeps): Jobs {
  const queue = createJobQueue({ db, clock });
  const claims = createJobClaims({ db, clock });
  const jobStatus = createJobStatus(db);
  let scheduler: Scheduler | null = null;
  let onDemand: ReadonlySet<string> | null = null;

  return {
    async enqueue(tx, kind, payload, options = {}) {
      assert(onDemand === null || onDemand.has(kind), `"${kind}" is not a job kind on demand`);
      const id = await queue.insert(tx, kind, payload, options);
      tx.afterCommit(() => scheduler?.wake(kind));
      return id;
    },
    wake: (kind) => scheduler?.wake(kind),
    async runNow(kind) {
      const count = await queue.runNow(kind);
      scheduler?.wake(kind);
      return count;
    },
    status: jobStatus.kinds,
    jobsOf: jobStatus.jobs,
    definitions: () => [jobRetention(queue, clock)],
    async start(definitions) {
      const kinds = definitions.map(jobKindOf);
      const names = new Set(kinds.map(({ kind }) => kind));
      assert(names.size === kinds.length, 'two job kinds have one name');
      await queue.register(kinds);
      onDemand = new Set(kinds.filter(({ everyMs }) => everyMs === null).map(({ kind }) => kind));
      const worker = createWorker({ claims, clock, random, logger });
      scheduler = createScheduler({ claims, worker, clock, logger, processId: ids.uuid(), kinds });
      scheduler.start();
    },
    idle: async () => scheduler?.idle(),
    stop: async (graceMs) => scheduler?.stop(graceMs),
  };
}
