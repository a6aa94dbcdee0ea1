import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { atTurnEnd } from './turn-end.js';

it('runs what was put off in order, behind all microtasks, and what is put off meanwhile in the next turn', async () => {
  const order: string[] = [];
  const note = (name: string) => () => void order.push(name);
  atTurnEnd(() => {
    order.push('first');
    atTurnEnd(note('next turn'));
    queueMicrotask(note('microtask of the first'));
  });
  atTurnEnd(note('second'));
  queueMicrotask(note('microtask'));
  process.nextTick(note('tick'));
  expect(order).toEqual([]);
  await nextTurn();
  expect(order.toSorted()).toEqual(['first', 'microtask', 'microtask of the first', 'second', 'tick']);
  expect(order.slice(-3)).toEqual(['first', 'second', 'microtask of the first']);
  await nextTurn();
  expect(order.at(-1)).toBe('next turn');
});

it('goes on behind one that throws', async () => {
  const failure = new Error('thrown');
  const caught = new Promise((resolve) => setUncaught(resolve));
  const order: string[] = [];
  atTurnEnd(() => {
    throw failure;
  });
  atTurnEnd(() => void order.push('behind'));
  expect(await caught).toBe(failure);
  await nextTurn();
  expect(order).toEqual(['behind']);
});

/** In place of those who would fail the run. */
function setUncaught(handle: (error: unknown) => void): void {
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.once('uncaughtException', (error) => {
    for (const listener of listeners) process.on('uncaughtException', listener);
    handle(error);
  });
}
