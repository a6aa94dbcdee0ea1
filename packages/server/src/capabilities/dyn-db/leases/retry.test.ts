import { expect, it } from 'vitest';
import { retryDelayMs } from './retry.js';

const middle = { below: () => 5_000 };

it('doubles from ten seconds to an hour', () => {
  const delays = [1, 2, 3, 4, 5, 9, 10, 1_000].map((failures) => retryDelayMs(failures, middle) / 1_000);
  expect(delays).toEqual([10, 20, 40, 80, 160, 2_560, 3_600, 3_600]);
});

it('is up to a fifth shorter or longer', () => {
  expect(retryDelayMs(1, { below: () => 0 })).toBe(8_000);
  expect(retryDelayMs(1, { below: (bound) => bound - 1 })).toBe(12_000);
});
