import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../platform/crypto/random.js';
import { satisfiesLuhn, withCheckDigit } from '../../../testing/vault-harness.js';
import { vaultFormatContract } from './contract.js';
import { panFormat } from './pan.js';

const pan = fc
  .integer({ min: 12, max: 19 })
  .chain((length) =>
    fc.array(fc.integer({ min: 0, max: 9 }), { minLength: length - 1, maxLength: length - 1 }),
  )
  .map((digits) => withCheckDigit(digits.join('')));

const written = fc
  .tuple(pan, fc.constantFrom('', ' ', '-'))
  .map(([digits, separator]) => digits.replaceAll(/(.{4})(?=.)/g, `$1${separator}`));

/** One wrong digit is never right. */
function otherCheckDigits(number: string): string[] {
  return [...'0123456789']
    .filter((digit) => !number.endsWith(digit))
    .map((digit) => number.slice(0, -1) + digit);
}

vaultFormatContract('pan', {
  fitting: written,
  refused: [
    '',
    ...otherCheckDigits('4111111111111111'),
    withCheckDigit('4111111111'),
    withCheckDigit('4111111111111111111'),
    '41111111111',
    '42424242424242424242',
    '4111 1111 1111 111a',
    '４１１１１１１１１１１１１１１１',
    '4111.1111.1111.1111',
    '4111\t1111\t1111\t1111',
    ' - - ',
  ],
  token: /^[0-9]{12,19}$/,
});

it.each([
  '4111111111111111',
  '4111-1111-1111-1111',
  '5555 5555 5555 4444',
  '378282246310005',
  '6304000000000000',
])('accepts %s', (value) => {
  expect(panFormat.validate(value)).toBeNull();
});

it('keeps length, BIN and last four, satisfies Luhn and differs from the number', () => {
  fc.assert(
    fc.property(written, (value) => {
      const digits = value.replaceAll(/[ -]/g, '');
      const token = panFormat.generate(value, systemRandom);
      expect(token).toHaveLength(digits.length);
      expect(token.slice(0, 6)).toBe(digits.slice(0, 6));
      expect(token.slice(-4)).toBe(digits.slice(-4));
      expect(satisfiesLuhn(token)).toBe(true);
      expect(token).not.toBe(digits);
    }),
    { numRuns: 500 },
  );
});

describe('walk', () => {
  it.each([
    [12, 9],
    [13, 99],
    [14, 999],
    [15, 9_999],
    [16, 99_999],
  ])('passes every token of a %i-digit number: %i', (length, expected) => {
    const value = withCheckDigit('4111111111111111111'.slice(0, length - 1));
    const tokens = new Set(panFormat.walk?.(value, systemRandom) ?? []);
    expect(tokens.size).toBe(expected);
    expect(tokens.has(value)).toBe(false);
    for (const token of tokens) {
      if (!satisfiesLuhn(token) || token.length !== length) expect.fail(token);
    }
  });
});

it('draws every token about equally often', () => {
  const value = withCheckDigit('41111111111');
  const counts = new Map<string, number>();
  for (let i = 0; i < 9_000; i += 1) {
    const token = panFormat.generate(value, systemRandom);
    counts.set(token, (counts.get(token) ?? 0) + 1);
  }
  expect(counts.size).toBe(9);
  // 1,000 each; a deviation of 250 has a chance below 1e-14.
  for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(250);
});
