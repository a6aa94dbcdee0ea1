import fc from 'fast-check';
import { expect, it } from 'vitest';
import { systemRandom } from '../../../platform/crypto/random.js';
import { vaultFormatContract } from './contract.js';
import { genericFormat } from './generic.js';

vaultFormatContract('generic', {
  fitting: fc.string({ minLength: 9, unit: 'binary' }),
  refused: [],
  token: /^tok_[0-9A-HJKMNP-TV-Z]{20}$/,
});

it('does not repeat', () => {
  const tokens = new Set(Array.from({ length: 10_000 }, () => genericFormat.generate('x', systemRandom)));
  expect(tokens.size).toBe(10_000);
});
