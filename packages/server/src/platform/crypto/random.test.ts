import { describe, expect, it } from 'vitest';
import { createIds, createRandom, systemIds, systemRandom } from './random.js';

describe('bytes', () => {
  it('are given to one alone, and stay what they were', () => {
    const drawn = Array.from({ length: 2_000 }, (_, n) => systemRandom.bytes(n % 70));
    const copies = drawn.map((bytes) => bytes.toString('hex'));
    for (const [n, bytes] of drawn.entries())
      expect([bytes.length, bytes.toString('hex')]).toEqual([n % 70, copies[n]]);
    const whole = copies.filter((text) => text.length >= 32);
    expect(new Set(whole.map((text) => text.slice(0, 32))).size).toBe(whole.length);
    for (const bytes of drawn) bytes.fill(0);
    expect(systemRandom.bytes(32)).not.toEqual(Buffer.alloc(32));
  });
});

describe('below', () => {
  it('draws again what would favour small results', () => {
    const drawn = [Buffer.alloc(6, 0xff), Buffer.from([0, 0, 0, 0, 0, 17])];
    const random = createRandom(() => drawn.shift() as Buffer);
    expect(random.below(10)).toBe(7);
    expect(drawn).toHaveLength(0);
  });

  it('reaches every result and nothing else', () => {
    const seen = new Set<number>();
    for (let i = 0; i < 2000; i += 1) seen.add(systemRandom.below(10));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(systemRandom.below(1)).toBe(0);
  });

  it.each([0, -1, 1.5, 2 ** 49, Number.NaN])('asserts the bound %s', (bound) => {
    expect(() => systemRandom.below(bound)).toThrow('bound');
  });
});

describe('text', () => {
  it('skips bytes past the last whole multiple of the alphabet', () => {
    const drawn = [Buffer.from([250, 255, 9]), Buffer.from([13, 251]), Buffer.from([0])];
    const random = createRandom(() => drawn.shift() as Buffer);
    expect(random.text('0123456789', 3)).toBe('930');
  });

  it('has each character about equally often', () => {
    const counts = new Map<string, number>();
    for (const character of systemRandom.text('abc', 30_000)) {
      counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    // 10,000 each; a deviation of 600 has a chance below 1e-12.
    for (const character of 'abc') expect(Math.abs((counts.get(character) ?? 0) - 10_000)).toBeLessThan(600);
  });
});

it('makes UUIDs of version 4', () => {
  expect(systemIds.uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

it('makes UUIDs in the order of time, 74 bits of each drawn at random', () => {
  let nowMs = Date.UTC(2026, 0, 1);
  const ids = createIds({ nowMs: () => nowMs });
  const first = ids.uuid();
  const second = ids.uuid();
  expect(Number.parseInt(first.replaceAll('-', '').slice(0, 12), 16)).toBe(nowMs);
  expect(second.slice(0, 14)).toBe(first.slice(0, 14));
  expect(second.slice(14)).not.toBe(first.slice(14));
  nowMs += 1;
  expect(ids.uuid() > second).toBe(true);
});
