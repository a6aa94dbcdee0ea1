import { expect, it } from 'vitest';
import { createManualClock } from '../../testing/manual-clock.js';
import { createCountWindows } from './count-windows.js';

it('counts each name by itself until its window ends, and forgets the oldest name first', () => {
  const clock = createManualClock();
  const windowOf = createCountWindows(clock, { windowMs: 1_000, namesMax: 2 });
  windowOf('a').count += 2;
  clock.advance(400);
  expect([windowOf('a').count, windowOf('a').leftMs(), windowOf('b').count]).toEqual([2, 600, 0]);
  clock.advance(600);
  expect([windowOf('a').count, windowOf('a').leftMs()]).toEqual([0, 1_000]);
  windowOf('a').count++;
  for (const name of ['c', 'd']) windowOf(name);
  expect(windowOf('a').count).toBe(0);
});
