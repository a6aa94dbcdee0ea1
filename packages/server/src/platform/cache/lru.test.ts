import { describe, expect, it } from 'vitest';
import { createLru } from './lru.js';

describe('createLru', () => {
  it('drops what was used longest ago', async () => {
    const lru = createLru<string, number>({ entriesMax: 2 });
    await lru.load('a', async () => 1);
    await lru.load('b', async () => 2);
    expect(lru.get('a')).toBe(1);
    await lru.load('c', async () => 3);
    expect([lru.get('a'), lru.get('b'), lru.get('c'), lru.size]).toEqual([1, undefined, 3, 2]);
  });

  it('holds as many heavy entries as fit', async () => {
    const lru = createLru<string, number>({ entriesMax: 5, weigh: (value) => value });
    for (const [key, weight] of [
      ['a', 2],
      ['b', 1],
      ['c', 2],
    ] as const)
      await lru.load(key, async () => weight);
    expect(lru.size).toBe(3);
    await lru.load('d', async () => 3);
    expect([lru.get('a'), lru.get('b'), lru.get('c'), lru.get('d')]).toEqual([undefined, undefined, 2, 3]);
    lru.delete('d');
    await lru.load('e', async () => 3);
    expect([lru.get('c'), lru.get('e'), lru.size]).toEqual([2, 3, 2]);
  });

  it('gives out nothing of an older generation', async () => {
    let generation = 1;
    const lru = createLru<string, number>({ entriesMax: 2, generation: () => generation });
    await lru.load('a', async () => 1);
    generation = 2;
    expect(lru.get('a')).toBeUndefined();
    expect(await lru.load('a', async () => 2)).toBe(2);
  });

  it('does not keep as new what was read before a change', async () => {
    let generation = 1;
    const lru = createLru<string, number>({ entriesMax: 2, generation: () => generation });
    let finish = (_value: number) => {};
    const old = lru.load('a', () => new Promise((resolve) => (finish = resolve)));
    generation = 2;
    const current = lru.load('a', async () => 2);
    finish(1);
    expect([await old, await current, lru.get('a')]).toEqual([1, 2, 2]);
  });

  it('shares one read, and forgets one that failed', async () => {
    const lru = createLru<string, number>({ entriesMax: 2 });
    let reads = 0;
    const read = async () => ++reads;
    expect(await Promise.all([lru.load('a', read), lru.load('a', read)])).toEqual([1, 1]);
    await expect(lru.load('b', () => Promise.reject(new Error('down')))).rejects.toThrow('down');
    expect(await lru.load('b', read)).toBe(2);
  });

  it('is not refilled by a read that began before a delete', async () => {
    const lru = createLru<string, number>({ entriesMax: 2 });
    let finish = (_value: number) => {};
    const reading = lru.load('a', () => new Promise((resolve) => (finish = resolve)));
    lru.delete('a');
    finish(1);
    expect([await reading, lru.get('a')]).toEqual([1, undefined]);
  });

  it('gives out nothing while changes may go unseen', async () => {
    let fresh = true;
    const lru = createLru<string, number>({ entriesMax: 2, isFresh: () => fresh });
    await lru.load('a', async () => 1);
    fresh = false;
    expect(lru.get('a')).toBeUndefined();
    fresh = true;
    expect(lru.get('a')).toBe(1);
  });
});
