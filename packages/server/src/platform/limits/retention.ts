import { batchReport, type JobDefinition } from '../jobs/definition.js';
import type { RateLimiter } from './rate-limiter.js';

export function rateLimitRetention(limiter: Pick<RateLimiter, 'removeExpired'>): JobDefinition {
  return {
    kind: 'rate_limit_retention',
    title: 'Removes shared counts of rate limits that nobody drew from for their window',
    schedule: { everyMs: 3_600_000 },
    batchMax: 1_000,
    async run({ batchMax }) {
      const rows = await limiter.removeExpired(batchMax);
      return batchReport(rows, rows >= batchMax);
    },
  };
}
