import type { Clock } from '../../kernel/clock.js';
import { batchReport, type JobDefinition } from './definition.js';
import type { JobQueue } from './queue.js';

const DAY_MS = 24 * 3_600_000;
const KEPT_MS = { done: DAY_MS, errored: 30 * DAY_MS } as const;

/** Jobs that are over leave after a while; rows of recurring kinds are never over. */
export function jobRetention(queue: Pick<JobQueue, 'deleteFinished'>, clock: Clock): JobDefinition {
  return {
    kind: 'job_retention',
    title: 'Removes jobs that succeeded a day ago, or were given up 30 days ago',
    schedule: { everyMs: 10 * 60_000 },
    batchMax: 1_000,
    async run({ batchMax }) {
      let rows = 0;
      for (const state of ['done', 'errored'] as const) {
        const beforeMs = clock.nowMs() - KEPT_MS[state];
        rows += await queue.deleteFinished(state, beforeMs, batchMax - rows);
      }
      return batchReport(rows, rows >= batchMax);
    },
  };
}
