import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../platform/crypto/random.js';
import { formats } from '../providers/index.js';
import type { VaultFormat } from '../providers/types.js';
import { candidateTokens } from './candidates.js';

async function collect(format: VaultFormat, value: string, taken: (token: string) => boolean) {
  const asked: number[] = [];
  const tokens: string[] = [];
  const listTaken = async (batch: readonly string[]) => {
    asked.push(batch.length);
    return new Set(batch.filter(taken));
  };
  for await (const token of candidateTokens(format, value, systemRandom, listTaken)) tokens.push(token);
  return { asked, tokens };
}

describe('where tokens cannot run out', () => {
  it('draws a few and gives up: something is broken', async () => {
    const { asked, tokens } = await collect(formats.generic, 'anything', () => false);
    expect(new Set(tokens).size).toBe(4);
    expect(asked).toEqual([]);
  });
});

describe('where tokens can run out', () => {
  it('offers every free token of a small space once, after the random ones', async () => {
    const { asked, tokens } = await collect(formats.pan, '411111111111114', (token) =>
      /[02468]\d{4}$/.test(token),
    );
    const walked = tokens.slice(4);
    expect(asked.every((size) => size <= 1_000)).toBe(true);
    expect(walked.length).toBe(100);
    expect(new Set(walked).size).toBe(100);
    expect(walked.every((token) => /[13579]\d{4}$/.test(token))).toBe(true);
  });

  it('ends after one batch when all ten tokens of a 12-digit number are taken', async () => {
    const { asked, tokens } = await collect(formats.pan, '411111111114', () => true);
    expect(tokens).toHaveLength(4);
    expect(asked).toEqual([9]);
  });

  it('reads at most 100,000 tokens of the largest space', async () => {
    const { asked, tokens } = await collect(formats.pan, '4111111111111111110', () => true);
    expect(tokens).toHaveLength(4);
    expect(asked).toEqual(Array.from({ length: 100 }, () => 1_000));
  });
});
