import { assert } from '../../../kernel/assert.js';
import { luhnSum } from '../../../kernel/luhn.js';
import { type DigitSpace, drawFrom, walkThrough } from './digit-space.js';
import type { VaultFormat } from './types.js';

/**
 * Card numbers (dataplane.md §6.2): the token has the length, the first 6 and the last 4 digits of the number and
 * satisfies Luhn. The last digit stays, so one middle digit is chosen for Luhn and the others are free: a 16-digit
 * number has 10^5 tokens, a 12-digit one 10.
 */
const BIN_DIGITS = 6;
const LAST_DIGITS = 4;
const FITS = /^[0-9]{12,19}$/;

export const panFormat: VaultFormat = {
  validate(value) {
    const digits = digitsOf(value);
    if (!FITS.test(digits)) return 'must be a card number of 12 to 19 digits, spaces and dashes aside';
    if (luhnSum(digits) % 10 !== 0) return 'must satisfy the Luhn check of card numbers';
    return null;
  },

  generate: (value, random) => drawFrom(tokenSpace(digitsOf(value)), random),
  walk: (value, random) => walkThrough(tokenSpace(digitsOf(value)), random),
};

function tokenSpace(digits: string): DigitSpace {
  const bin = digits.slice(0, BIN_DIGITS);
  const last = digits.slice(-LAST_DIGITS);
  const freeDigits = digits.length - BIN_DIGITS - LAST_DIGITS - 1;
  assert(freeDigits >= 1, 'a card number has at least 12 digits');
  return {
    size: 10 ** freeDigits,
    ownIndex: Number(digits.slice(BIN_DIGITS, BIN_DIGITS + freeDigits)),
    tokenAt(index) {
      const free = String(index).padStart(freeDigits, '0');
      // The chosen digit is fifth from the right, which Luhn does not double: it counts as itself.
      const missing = (10 - (luhnSum(`${bin}${free}0${last}`) % 10)) % 10;
      return `${bin}${free}${missing}${last}`;
    },
  };
}

function digitsOf(value: string): string {
  return value.replaceAll(/[ -]/g, '');
}
