import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../kernel/canonical-json.js';
import { JsonText } from '../../kernel/json-text.js';
import { LIMITS } from '../../kernel/limits.js';
import { sha256 } from '../../platform/crypto/hashing.js';
import { hashOfData } from './pinned-data.js';

const hashed = (text: string) => hashOfData(new JsonText(Buffer.from(text))).toString('hex');

describe('the hash of pinned data', () => {
  it('is that of its canonical JSON (RFC 8785), however it is written', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.nat(3), (value, indent) => {
        // What a text with a lone surrogate is no UTF-8 of, nobody can send.
        const text = JSON.stringify(value, null, indent);
        expect(hashed(text)).toBe(sha256(canonicalJson(JSON.parse(text))).toString('hex'));
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['{"a":1,"b":2}', ' { "b" : 2.0 , "\\u0061":1 } '],
    ['[1e2,-0]', '[100,0]'],
    ['"\\u00e9"', '"é"'],
  ])('%s is %s', (one, other) => expect(hashed(one)).toBe(hashed(other)));

  it.each([
    ['{"a":1}', '{"a":2,"a":1}'],
    ['{"a":1,"a":2}', '{"a":2,"a":1}'],
    ['1e400', '1e401'],
    ['1e400', '"1e400"'],
    ['[1,[2]]', '[[1],2]'],
    ['[]', '{}'],
    ['["a,b"]', '["a","b"]'],
    ['null', '"null"'],
    ['{"__proto__":1}', '{}'],
  ])('%s is not %s', (one, other) => expect(hashed(one)).not.toBe(hashed(other)));

  it('is of so many values and no more', () => {
    const most = LIMITS.pinnedValuesMax - 1;
    for (const value of ['0', '[]', '{"":0}']) {
      const fits = value === '{"":0}' ? Math.floor(most / 2) : most;
      const list = (count: number) => `[${Array(count).fill(value).join()}]`;
      expect(hashed(list(fits))).toHaveLength(64);
      expect(() => hashed(list(fits + 1))).toThrow(/data/);
    }
  });
});
