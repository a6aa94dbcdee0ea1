import { expect, it } from 'vitest';
import { createTurns } from './turns.js';

/** Calls that end when they are told to. */
function holdCalls() {
  const ends: (() => void)[] = [];
  const act = () => new Promise<void>((resolve) => void ends.push(resolve));
  return { act, ends, endNext: () => ends.shift()!() };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

it('two RSA keys are made at a time, the others in their order', async () => {
  const turns = createTurns();
  const { act, ends, endNext } = holdCalls();
  const done: number[] = [];
  const calls = [1, 2, 3, 4].map((n) => turns.forKey('rsa-4096', act).then(() => done.push(n)));
  await settled();
  expect(ends).toHaveLength(2);
  for (const n of [1, 2, 3, 4]) {
    endNext();
    await settled();
    expect(done).toHaveLength(n);
  }
  await Promise.all(calls);
  expect(done).toEqual([1, 2, 3, 4]);
});

it('one that fails gives its turn on', async () => {
  const turns = createTurns();
  const fail = async () => {
    throw new Error('no key');
  };
  for (let n = 0; n < 5; n += 1) await expect(turns.forKey('rsa-2048', fail)).rejects.toThrow('no key');
  expect(await turns.forKey('rsa-2048', async () => 'made')).toBe('made');
});

it('keys of curves wait for nobody, and more than 50 wait for none', async () => {
  const turns = createTurns();
  const { act, endNext } = holdCalls();
  const calls = Array.from({ length: 52 }, () => turns.forKey('rsa-3072', act));
  await settled();
  expect(await turns.forKey('ecdsa-p384', async () => 'made')).toBe('made');
  await expect(turns.forKey('rsa-2048', act)).rejects.toMatchObject({
    type: 'dependency_unavailable',
    retryAfterSeconds: 5,
  });
  for (let n = 0; n < 52; n += 1) {
    endNext();
    await settled();
  }
  await Promise.all(calls);
});
