import { type DigitSpace, drawFrom, walkThrough } from './digit-space.js';
import type { VaultFormat } from './types.js';

/**
 * Social security numbers (dataplane.md §6.2): the token is `9XX-XX-NNNN` with the last four digits of the number.
 * No number has an area of 900 to 999, but other numbers of persons do, told apart by the pair in the middle: those
 * pairs are left out, so 55 are drawn from, and a number has 5,500 tokens (docs/decisions/0050).
 */
const AREAS_FROM = 900;
const AREAS = 100;
/** ITIN 50-65, 70-88, 90-92, 94-99; ATIN 93. */
const PAIRS = Array.from({ length: 100 }, (_, pair) => pair).filter(
  (pair) => pair < 50 || (pair > 65 && pair < 70) || pair === 89,
);

const FITS = /^(?:[0-9]{9}|[0-9]{3}-[0-9]{2}-[0-9]{4})$/;

export const ssnFormat: VaultFormat = {
  validate: (value) =>
    FITS.test(value) ? null : 'must be a social security number: 9 digits, or NNN-NN-NNNN',
  generate: (value, random) => drawFrom(tokenSpace(value), random),
  walk: (value, random) => walkThrough(tokenSpace(value), random),
};

function tokenSpace(value: string): DigitSpace {
  const digits = value.replaceAll('-', '');
  const last = digits.slice(5);
  const area = Number(digits.slice(0, 3)) - AREAS_FROM;
  const pair = PAIRS.indexOf(Number(digits.slice(3, 5)));
  return {
    size: AREAS * PAIRS.length,
    ownIndex: area >= 0 && pair >= 0 ? area * PAIRS.length + pair : null,
    tokenAt(index) {
      const middle = String(PAIRS[index % PAIRS.length]).padStart(2, '0');
      return `${AREAS_FROM + Math.floor(index / PAIRS.length)}-${middle}-${last}`;
    },
  };
}
