import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { createKeyring, type Keyring } from './keyring.js';

let clock: ManualClock;
let keyring: Keyring;
let opened: Buffer[];
const open = async () => {
  const key = Buffer.alloc(32, opened.length + 1);
  opened.push(key);
  return key;
};
const read = (key: Buffer) => key[0];
/** Lets every promise that is settled already run its callbacks. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

beforeEach(() => {
  clock = createManualClock();
  opened = [];
  keyring = createKeyring({ clock, ttlMs: 1000, keysMax: 2 });
});

it('opens once and lends again', async () => {
  expect(await keyring.use('a', open, read)).toBe(1);
  expect(keyring.use('a', open, read)).toBe(1);
  expect(opened).toHaveLength(1);
});

it('keeps a key for as long as its opening says, never longer than its own time', async () => {
  const openFor = (keepMs: number) => async (keepFor: (ttlMs: number) => void) => {
    const key = await open();
    keepFor(keepMs);
    return key;
  };
  await keyring.use('short', openFor(300), read);
  await keyring.use('long', openFor(5000), read);
  clock.advance(299);
  expect(keyring.size).toBe(2);
  clock.advance(1);
  await settle();
  expect(keyring.size).toBe(1);
  expect(opened[0]).toEqual(Buffer.alloc(32));
  clock.advance(700);
  expect(keyring.size).toBe(0);
});

it('opens once for concurrent first uses', async () => {
  expect(await Promise.all([1, 2, 3].map(() => keyring.use('a', open, read)))).toEqual([1, 1, 1]);
  expect(opened).toHaveLength(1);
});

it('counts the time from the opening and zeroes the bytes', async () => {
  await keyring.use('a', open, read);
  clock.advance(999);
  await keyring.use('a', open, read);
  expect(opened).toHaveLength(1);
  clock.advance(1);
  await settle();
  expect(opened[0]).toEqual(Buffer.alloc(32));
  expect(keyring.size).toBe(0);
  expect(await keyring.use('a', open, read)).toBe(2);
});

it('drops the least recently used and zeroes it', async () => {
  await keyring.use('a', open, read);
  await keyring.use('b', open, read);
  await keyring.use('a', open, read);
  await keyring.use('c', open, read);
  await settle();
  expect(opened.map((key) => key[0])).toEqual([1, 0, 3]);
  expect(keyring.size).toBe(2);
});

describe('a key that leaves while it is awaited', () => {
  it('is lent whole and zeroed afterwards', async () => {
    const lent = keyring.use('a', open, (key) => Buffer.from(key));
    keyring.forget('a');
    expect(await lent).toEqual(Buffer.alloc(32, 1));
    await settle();
    expect(opened[0]).toEqual(Buffer.alloc(32));
    expect(keyring.size).toBe(0);
  });

  it('stays whole when more names than fit are used at once', async () => {
    const lent = await Promise.all(['a', 'b', 'c', 'd'].map((name) => keyring.use(name, open, read)));
    expect(lent).toEqual([1, 2, 3, 4]);
    await settle();
    expect(opened.map((key) => key[0])).toEqual([0, 0, 3, 4]);
  });
});

it('remembers no failure', async () => {
  const failing = async () => {
    throw new Error('no key');
  };
  const attempts = await Promise.allSettled([
    keyring.use('a', failing, read),
    keyring.use('a', failing, read),
  ]);
  expect(attempts.map((attempt) => attempt.status)).toEqual(['rejected', 'rejected']);
  expect(keyring.size).toBe(0);
  expect(await keyring.use('a', open, read)).toBe(1);
});

it('keeps a key whose borrower threw', async () => {
  await expect(
    keyring.use('a', open, () => {
      throw new Error('borrower');
    }),
  ).rejects.toThrow('borrower');
  expect(await keyring.use('a', open, read)).toBe(1);
  expect(opened).toHaveLength(1);
});

it('zeroes all when cleared', async () => {
  await keyring.use('a', open, read);
  await keyring.use('b', open, read);
  keyring.clear();
  await settle();
  expect(opened.every((key) => key[0] === 0)).toBe(true);
});

it('refuses a borrower that would keep the key', async () => {
  await expect(keyring.use('a', open, async (key) => key[0])).rejects.toThrow('kept');
});
