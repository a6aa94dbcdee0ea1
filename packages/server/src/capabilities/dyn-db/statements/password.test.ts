import { expect, it } from 'vitest';
import { createRandom, systemRandom } from '../../../platform/crypto/random.js';
import { generatePassword } from './password.js';

it('has 32 characters, one of each class, and is never the same', () => {
  const passwords = Array.from({ length: 500 }, () => generatePassword(systemRandom).reveal());
  for (const password of passwords) {
    expect(password).toMatch(/^(?=.*[A-Z])(?=.*[a-z])(?=.*[0-9])[A-Za-z0-9]{32}$/);
  }
  expect(new Set(passwords).size).toBe(500);
});

it('is drawn anew where a class is missing', () => {
  const draws = ['a'.repeat(32), 'aB'.repeat(16), 'aB3'.padEnd(32, 'x')];
  expect(generatePassword({ text: () => draws.shift()! }).reveal()).toBe('aB3'.padEnd(32, 'x'));
  expect(draws).toEqual([]);
});

it('no character is likelier: a byte beyond the last whole multiple of 62 is drawn again', () => {
  const bytes = [248, 255, 0, 26, 52];
  const random = createRandom((length) => Buffer.from(Array.from({ length }, () => bytes.shift() ?? 1)));
  expect(generatePassword(random).reveal()).toBe(`Aa0${'B'.repeat(29)}`);
});
