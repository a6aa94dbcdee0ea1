import { expect, it } from 'vitest';
import { luhnSum } from './luhn.js';

it.each([
  ['', 0],
  ['0', 0],
  ['9', 9],
  ['90', 9],
  ['50', 1],
  ['18', 10],
  ['4111111111111111', 30],
  ['4111111111111112', 31],
  ['378282246310005', 60],
])('sums %s to %i', (digits, sum) => {
  expect(luhnSum(digits)).toBe(sum);
});
