import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DecryptionRefused } from './authenticated-cipher.js';
import { type DataContext, openData, sealData } from './data-cipher.js';
import { createRandom, systemRandom } from './random.js';

interface DataVector {
  dataKey: string;
  context: DataContext;
  iv: string;
  plaintext: string;
  sealed: string;
}

const vectors = (
  JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8')) as { data: DataVector[] }
).data;
const bytes = (hex: string) => Buffer.from(hex, 'hex');

describe('golden vectors', () => {
  it.each(vectors)('$context.parts', ({ dataKey, context, iv, plaintext, sealed }) => {
    const random = createRandom(() => bytes(iv));
    expect(sealData(random, bytes(dataKey), context, bytes(plaintext)).toString('hex')).toBe(sealed);
    expect(openData(bytes(dataKey), context, bytes(sealed)).toString('hex')).toBe(plaintext);
  });
});

describe('refusals', () => {
  const { dataKey, context, sealed } = vectors[0] as DataVector;

  it('refuses every flipped bit and every truncation', () => {
    const original = bytes(sealed);
    for (let bit = 0; bit < original.length * 8; bit += 1) {
      const changed = Buffer.from(original);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => openData(bytes(dataKey), context, changed), `bit ${bit}`).toThrow(DecryptionRefused);
    }
    for (let length = 0; length < original.length; length += 1) {
      expect(() => openData(bytes(dataKey), context, original.subarray(0, length))).toThrow(
        DecryptionRefused,
      );
    }
  });

  it.each(context.parts.map((_part, index) => index))('refuses another context part %i', (index) => {
    const parts = context.parts.map((part, i) => (i === index ? `${part}x` : part));
    expect(() => openData(bytes(dataKey), { ...context, parts }, bytes(sealed))).toThrow(DecryptionRefused);
  });

  it('gives each row and purpose a key of its own', () => {
    const random = createRandom((length) => Buffer.alloc(length, 5));
    const seal = (change: Partial<DataContext>) =>
      sealData(random, bytes(dataKey), { ...context, ...change }, Buffer.alloc(32))
        .subarray(28)
        .toString('hex');
    expect(seal({ rowId: 'a' })).not.toBe(seal({ rowId: 'b' }));
    expect(seal({ purpose: 'a' })).not.toBe(seal({ purpose: 'b' }));
  });

  it('refuses another data key', () => {
    expect(() => openData(systemRandom.bytes(32), context, bytes(sealed))).toThrow(DecryptionRefused);
  });
});
