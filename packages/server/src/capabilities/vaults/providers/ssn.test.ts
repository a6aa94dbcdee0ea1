import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createRandom, systemRandom } from '../../../platform/crypto/random.js';
import { vaultFormatContract } from './contract.js';
import { ssnFormat } from './ssn.js';

const ssn = fc
  .tuple(fc.integer({ min: 0, max: 999_999_999 }), fc.boolean())
  .map(([number, dashed]) => String(number).padStart(9, '0') + (dashed ? '-' : ''))
  .map((text) => (text.endsWith('-') ? `${text.slice(0, 3)}-${text.slice(3, 5)}-${text.slice(5, 9)}` : text));

/** Written another way than in the source: neither an ITIN's nor an ATIN's pair. */
const TOKEN = /^9\d\d-(?:[0-4]\d|6[6-9]|89)-\d{4}$/;

vaultFormatContract('ssn', {
  fitting: ssn,
  refused: [
    '',
    '12345678',
    '1234567890',
    '123-456789',
    '12345-6789',
    '12-345-6789',
    '123 45 6789',
    ' 123-45-6789',
    '123-45-678a',
    '１２３４５６７８９',
  ],
  token: TOKEN,
});

it.each(['123-45-6789', '123456789'])('keeps the last four digits of %s', (value) => {
  expect(ssnFormat.generate(value, systemRandom)).toMatch(/-6789$/);
});

it.each([
  ['123-45-6789', 5_500],
  // Not in the space: its pair is an ITIN's.
  ['912-70-6789', 5_500],
  ['912-49-6789', 5_499],
  ['912496789', 5_499],
])('walks every token of %s: %i', (value, expected) => {
  const tokens = new Set(ssnFormat.walk?.(value, systemRandom) ?? []);
  expect(tokens.size).toBe(expected);
  expect(tokens.has('912-49-6789')).toBe(value.startsWith('123') || value.includes('-70-'));
  for (const token of tokens) if (!TOKEN.test(token)) expect.fail(token);
});

it('draws the first and the last of them', () => {
  const fixed = (byte: number) => createRandom((length) => Buffer.alloc(length, byte));
  expect(ssnFormat.generate('123456789', fixed(0))).toBe('900-00-6789');
  const own = ssnFormat.generate('900006789', fixed(0));
  expect(own).toBe('900-01-6789');
});
