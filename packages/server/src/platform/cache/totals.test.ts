import { expect, test } from 'vitest';
import { createManualClock } from '../../testing/manual-clock.js';
import { createTotals, EXACT_ROWS_MAX } from './totals.js';

function countsOf(...answers: number[]) {
  return async () => answers.shift() ?? Number.NaN;
}

test('a list of up to 5,000 rows is counted each time', async () => {
  const totals = createTotals({ clock: createManualClock() });
  const count = countsOf(EXACT_ROWS_MAX, EXACT_ROWS_MAX - 1);
  expect(await totals.of('a', count)).toBe(EXACT_ROWS_MAX);
  expect(await totals.of('a', count)).toBe(EXACT_ROWS_MAX - 1);
});

test('the total of a longer one is given out again for 10 s, to that list alone', async () => {
  const clock = createManualClock();
  const totals = createTotals({ clock });
  const count = countsOf(5_001, 6_000);
  expect(await totals.of('a', count)).toBe(5_001);
  clock.advance(9_999);
  expect(await totals.of('a', count)).toBe(5_001);
  expect(await totals.of('b', countsOf(7))).toBe(7);
  clock.advance(1);
  expect(await totals.of('a', count)).toBe(6_000);
});

test('a count that fails is not kept', async () => {
  const totals = createTotals({ clock: createManualClock() });
  await expect(totals.of('a', () => Promise.reject(new Error('no database')))).rejects.toThrow('no database');
  expect(await totals.of('a', countsOf(9_000))).toBe(9_000);
});

test('of 1,001 long lists the one counted first is counted again', async () => {
  const totals = createTotals({ clock: createManualClock() });
  for (let list = 0; list <= 1_000; list++) await totals.of(`${list}`, countsOf(6_000));
  expect(await totals.of('1', countsOf(1))).toBe(6_000);
  expect(await totals.of('0', countsOf(6_001))).toBe(6_001);
});
