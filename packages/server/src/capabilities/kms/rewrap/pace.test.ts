import { expect, it } from 'vitest';
import { type BatchCost, FIRST_PACE, nextPace, type Pace } from './pace.js';

const IDLE: BatchCost = { loopLagMs: 0, waitedMs: 0, heldMs: 5 };

function after(count: number, cost: BatchCost, pace: Pace = FIRST_PACE): Pace {
  let now = pace;
  for (let batch = 0; batch < count; batch += 1) now = nextPace(now, cost);
  return now;
}

it('takes more and more rows without a pause where nobody else is at work, up to a bound', () => {
  expect(nextPace(FIRST_PACE, IDLE)).toEqual({ rows: 300, pauseMs: 0 });
  expect(after(100, IDLE)).toEqual({ rows: 500, pauseMs: 0 });
});

it.each([
  ['the event loop is busy', { ...IDLE, loopLagMs: 11 }],
  ['others write', { ...IDLE, waitedMs: 21 }],
])('goes back at once where %s, never below 100 rows in 5 s', (_why, cost) => {
  expect(nextPace({ rows: 500, pauseMs: 0 }, cost)).toEqual({ rows: 250, pauseMs: 20 });
  expect(after(100, cost)).toEqual({ rows: 100, pauseMs: 5_000 });
});

it('comes up again once the others are gone', () => {
  expect(nextPace({ rows: 100, pauseMs: 5_000 }, IDLE)).toEqual({ rows: 200, pauseMs: 2_500 });
  expect(after(20, IDLE, { rows: 100, pauseMs: 5_000 })).toEqual({ rows: 500, pauseMs: 0 });
});

it('takes fewer rows where the database is slow, without standing back', () => {
  expect(nextPace({ rows: 500, pauseMs: 0 }, { ...IDLE, heldMs: 31 })).toEqual({ rows: 350, pauseMs: 0 });
  expect(after(100, { ...IDLE, heldMs: 500 })).toEqual({ rows: 100, pauseMs: 0 });
});
