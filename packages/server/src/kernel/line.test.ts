import { expect, it } from 'vitest';
import { rateLimitExceeded } from './errors.js';
import { createLine } from './line.js';

it('serves some at once, the next in their order, and turns away the rest; a failure gives its place on', async () => {
  const line = createLine({
    atOnceMax: 2,
    waitingMax: 2,
    refusal: () => rateLimitExceeded('full', { retryAfterSeconds: 1 }),
  });
  const started: number[] = [];
  const ends: ((error?: Error) => void)[] = [];
  const run = (number: number) =>
    line.inTurn(() => {
      started.push(number);
      return new Promise<number>((resolve, reject) => {
        ends[number] = (error) => (error ? reject(error) : resolve(number));
      });
    });
  const [first, second, third, fourth] = [0, 1, 2, 3].map(run);
  expect(started).toEqual([0, 1]);
  expect(() => line.admit()).toThrow('full');
  await expect(run(4)).rejects.toThrow('full');

  ends[1]!(new Error('failed'));
  await expect(second).rejects.toThrow('failed');
  expect(started).toEqual([0, 1, 2]);
  expect(() => line.admit()).not.toThrow();
  ends[0]!();
  expect(await first).toBe(0);
  expect(started).toEqual([0, 1, 2, 3]);
  ends[2]!();
  ends[3]!();
  expect(await Promise.all([third, fourth])).toEqual([2, 3]);

  const again = [run(5), run(6)];
  expect(started.slice(4)).toEqual([5, 6]);
  ends[5]!();
  ends[6]!();
  expect(await Promise.all(again)).toEqual([5, 6]);
});
