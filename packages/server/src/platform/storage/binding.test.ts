import { describe, expect, it } from 'vitest';
import { endOf, startSource } from '../../testing/child-process.js';
import { assertBindable, UnbindableValue } from './binding.js';

const TAKEN = [
  // As the value of a column without which the row can do.
  'undefined',
  'null',
  'empty string',
  'string',
  'astral character',
  'zero',
  'minus zero',
  'integer',
  'largest safe integer',
  'smallest safe integer',
  'fraction',
  'smallest number',
  'bigint',
  'largest int64',
  'smallest int64',
  'empty Buffer',
  'Buffer',
  'slice of a Buffer',
  'Buffer over shared memory',
];

describe('assertBindable', () => {
  it.each([
    ['', 'text', '\u{1d4b3}', 0, -0, 42, Number.MAX_SAFE_INTEGER, 0.5, 7n, 2n ** 63n - 1n, null],
    [Buffer.alloc(0), Buffer.from('a')],
  ])('lets through what both databases take', (...values) => {
    for (const value of values) expect(() => assertBindable(value)).not.toThrow();
  });

  it('never quotes what it refuses', () => {
    const canary = 'canary-4111111111111111';
    for (const value of [`${canary}\0`, { canary }, Object(canary), [canary], () => canary, Symbol(canary)]) {
      const refused = (() => {
        try {
          assertBindable(value);
        } catch (error) {
          return error;
        }
      })();
      expect(refused).toBeInstanceOf(UnbindableValue);
      expect(String(refused)).not.toContain(canary);
    }
  });
});

describe('a value of any kind bound to SQLite', () => {
  it('ends in a row or an exception, never in a signal', async () => {
    const child = startSource(new URL('../../testing/bind-child.ts', import.meta.url), []);
    const { code, signal, lines } = await endOf(child);
    expect({ code, signal, last: lines.at(-1) }).toEqual({ code: 0, signal: null, last: 'done' });
    const written = lines.filter((line) => /: x*r/.test(line)).map((line) => line.split(':')[0]);
    expect(written).toEqual(TAKEN);
    // Sixty-odd kinds, each by thirteen ways; all but those above are refused by all.
    expect(lines.length).toBeGreaterThan(60);
    expect(lines.slice(0, -1).every((line) => /: [rx]{13}$/.test(line))).toBe(true);
  });
});
