import { describe, expect, it } from 'vitest';
import { createRandom, systemRandom } from '../crypto/random.js';
import { backOffMs, errorText } from './retry.js';

const rule = { attemptsMax: null, firstDelayMs: 1_000, delayMsMax: 60_000 };
const lowest = createRandom((length) => Buffer.alloc(length));

describe('the delay after a failure', () => {
  it('doubles up to its bound', () => {
    const shortest = [1, 2, 3, 6, 7, 50, 5_000].map((attempts) => backOffMs(rule, attempts, lowest));
    expect(shortest).toEqual([500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('is drawn from the upper half', () => {
    const delays = Array.from({ length: 500 }, () => backOffMs(rule, 1, systemRandom));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(500);
    expect(Math.max(...delays)).toBeLessThanOrEqual(1_000);
    expect(new Set(delays).size).toBeGreaterThan(100);
  });
});

describe('the text of an error', () => {
  it.each([
    [new TypeError('a\x1b[2J\nb\0'), 'TypeError: a [2J b '],
    [new Error('Bearer abcdefghijkl'), 'Error: Bearer [REDACTED]'],
    [new Error('\ud800'), 'Error:  '],
    ['text', 'a value that is no Error was thrown'],
  ])('%j', (error, text) => {
    expect(errorText(error)).toBe(text);
  });

  it('is cut, and not within a character', () => {
    const text = errorText(new Error('🔑'.repeat(1_000)));
    expect(text.length).toBeLessThanOrEqual(1_000);
    expect(Buffer.from(text).toString()).toBe(text);
  });
});
