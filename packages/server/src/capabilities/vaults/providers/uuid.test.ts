import fc from 'fast-check';
import { expect, it } from 'vitest';
import { systemRandom } from '../../../platform/crypto/random.js';
import { vaultFormatContract } from './contract.js';
import { uuidFormat } from './uuid.js';

vaultFormatContract('uuid', {
  fitting: fc.string({ minLength: 1, unit: 'binary' }),
  refused: [],
  token: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
});

it('does not repeat, and uses every digit and variant', () => {
  const tokens = Array.from({ length: 10_000 }, () => uuidFormat.generate('x', systemRandom));
  expect(new Set(tokens).size).toBe(10_000);
  for (let at = 0; at < 36; at += 1) {
    const seen = new Set(tokens.map((token) => token[at])).size;
    expect([at, seen]).toEqual([at, [8, 13, 14, 18, 23].includes(at) ? 1 : at === 19 ? 4 : 16]);
  }
});
