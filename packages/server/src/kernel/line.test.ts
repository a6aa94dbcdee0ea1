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

it('serves owners in turns, however many one of them sends, and turns away what is beyond its share', async () => {
  const line = createLine({
    atOnceMax: 1,
    waitingMax: 6,
    ownerWaitingMax: 3,
    refusal: () => rateLimitExceeded('full', { retryAfterSeconds: 1 }),
  });
  const order: string[] = [];
  const run = (name: string) => line.inTurn(async () => void order.push(name), name[0]);
  const greedy = ['a1', 'a2', 'a3', 'a4', 'a5'].map(run);
  const others = ['b1', 'b2', 'c1'].map(run);
  const late = run('d1');
  expect(() => line.admit('b')).toThrow('full');
  const refused = expect(Promise.all([greedy[4], late])).rejects.toThrow('full');
  await expect(late).rejects.toThrow('full');
  await refused;
  await Promise.all([...greedy.slice(0, 4), ...others]);
  expect(order).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']);
});
