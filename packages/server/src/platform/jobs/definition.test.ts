import { describe, expect, it } from 'vitest';
import { type JobDefinition, jobKindOf } from './definition.js';

const recurring: JobDefinition = {
  kind: 'sweep',
  title: 'Sweeps',
  schedule: { everyMs: 1_000 },
  batchMax: 10,
  run: async () => ({ rows: 0 }),
};
const onDemand: JobDefinition = { ...recurring, kind: 'mail', schedule: 'on_demand' };

describe('a job definition', () => {
  it('has defaults: endless tries when it recurs, ten on demand', () => {
    expect(jobKindOf(recurring)).toMatchObject({
      everyMs: 1_000,
      concurrency: 1,
      wakeDelayMs: 0,
      leaseMs: 30_000,
      timeoutMs: 300_000,
      retry: { attemptsMax: null, firstDelayMs: 1_000, delayMsMax: 60_000 },
    });
    expect(jobKindOf({ ...onDemand, retry: { firstDelayMs: 5 } })).toMatchObject({
      everyMs: null,
      retry: { attemptsMax: 10, firstDelayMs: 5, delayMsMax: 3_600_000 },
    });
  });

  it('may be tried without end on demand too', () => {
    expect(jobKindOf({ ...onDemand, retry: { attemptsMax: null } }).retry.attemptsMax).toBeNull();
  });

  it.each([
    ['a kind that is not snake_case', { ...onDemand, kind: 'Mail' }],
    ['an interval of nothing', { ...recurring, schedule: { everyMs: 0 } }],
    ['a recurring kind beside itself', { ...recurring, concurrency: 2 }],
    ['a recurring kind that gives up', { ...recurring, retry: { attemptsMax: 3 } }],
    ['too many at once', { ...onDemand, concurrency: 33 }],
    ['a lease too short to be renewed', { ...onDemand, leaseMs: 2_999 }],
    ['an empty batch', { ...onDemand, batchMax: 0 }],
  ])('refuses %s', (_what, definition) => {
    expect(() => jobKindOf(definition)).toThrow();
  });
});
