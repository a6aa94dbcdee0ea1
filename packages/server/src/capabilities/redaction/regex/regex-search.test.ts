import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../../testing/manual-clock.js';
import { regex } from '../../../testing/redaction-rules.js';
import type { RegexJob } from './regex-pool.js';
import { RegexRules, RegexSearch } from './regex-search.js';

function searchSpending(spentMs: number, finds: Int32Array | null = new Int32Array(0)) {
  const clock = createManualClock();
  const jobs: RegexJob[] = [];
  const pool = {
    async run(job: RegexJob) {
      jobs.push(job);
      return { finds, spentMs };
    },
    close: async () => {},
  };
  const rules = new RegexRules([{ rank: 0, spec: regex('a') }], {});
  return { clock, jobs, search: new RegexSearch(rules, { pool, clock }) };
}

describe('the time of one answer', () => {
  it('is 200 ms in all', async () => {
    const { jobs, search } = searchSpending(80);
    for (let i = 0; i < 3; i++) await search.searchOne('x');
    expect(jobs.map(({ timeMs }) => timeMs)).toEqual([200, 120, 40]);
    await expect(search.searchOne('x')).rejects.toMatchObject({ type: 'redaction_failed' });
  });

  it('comes back at a hundredth of what passes, never above 200 ms', async () => {
    const { clock, jobs, search } = searchSpending(150);
    await search.searchOne('x');
    clock.advance(5_000);
    await search.searchOne('x');
    clock.advance(3_600_000);
    await search.searchOne('x');
    expect(jobs.map(({ timeMs }) => timeMs)).toEqual([200, 100, 200]);
  });

  it('is over when the thread says so', async () => {
    const { search } = searchSpending(10, null);
    await expect(search.searchOne('x')).rejects.toMatchObject({ type: 'redaction_failed' });
  });
});
