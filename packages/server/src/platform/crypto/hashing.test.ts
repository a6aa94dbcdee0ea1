import { expect, it } from 'vitest';
import { equalInConstantTime, sha256, sha256Base64, sha256Hex } from './hashing.js';

it('gives the SHA-256 of FIPS 180-4', () => {
  expect(sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  expect(sha256(Buffer.from('abc')).toString('hex')).toBe(sha256Hex('abc'));
  expect(Buffer.from(sha256Base64('abc'), 'base64').toString('hex')).toBe(sha256Hex('abc'));
});

it.each([
  ['same', 'same', true],
  ['same', 'sama', false],
  ['same', 'longer', false],
  ['', '', true],
  ['', 'a', false],
])('compares %j and %j: %s', (a, b, equal) => {
  expect(equalInConstantTime(Buffer.from(a), Buffer.from(b))).toBe(equal);
});
