import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Mode, TenantId } from '../../kernel/ids.js';
import { DecryptionRefused } from './authenticated-cipher.js';
import { type EnvelopePlace, envelopeVersion, openEnvelope, sealEnvelope } from './envelope-cipher.js';
import { createRandom, systemRandom } from './random.js';

interface EnvelopeVector {
  masterKey: string;
  version: number;
  salt: string;
  iv: string;
  place: { tenantId: string; mode: Mode | ''; table: string; rowId: string; column: string };
  plaintext: string;
  envelope: string;
}

// Made with another implementation (Python's `cryptography`): they fix the format for ever.
const vectors = (
  JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8')) as {
    envelopes: EnvelopeVector[];
  }
).envelopes;

const bytes = (hex: string) => Buffer.from(hex, 'hex');
const placeOf = (vector: EnvelopeVector): EnvelopePlace => ({
  ...vector.place,
  tenantId: vector.place.tenantId as TenantId,
});

/** Hands out the given pieces in order. */
function scripted(...pieces: Buffer[]) {
  return createRandom((length) => {
    const next = pieces.shift();
    expect(next).toHaveLength(length);
    return next as Buffer;
  });
}

describe('golden vectors', () => {
  it.each(vectors)('version $version seals to the recorded bytes and opens', (vector) => {
    const key = bytes(vector.masterKey);
    const random = scripted(bytes(vector.salt), bytes(vector.iv));
    const sealed = sealEnvelope(random, key, vector.version, placeOf(vector), bytes(vector.plaintext));
    expect(sealed.toString('hex')).toBe(vector.envelope);
    expect(openEnvelope(key, placeOf(vector), sealed).toString('hex')).toBe(vector.plaintext);
    expect(envelopeVersion(sealed)).toBe(vector.version);
  });
});

describe('refusals', () => {
  const vector = vectors[0] as EnvelopeVector;
  const key = bytes(vector.masterKey);
  const place = placeOf(vector);
  const envelope = bytes(vector.envelope);

  it('refuses every single flipped bit', () => {
    for (let bit = 0; bit < envelope.length * 8; bit += 1) {
      const changed = Buffer.from(envelope);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => openEnvelope(key, place, changed), `bit ${bit}`).toThrow(DecryptionRefused);
    }
  });

  it('refuses every truncation and an added byte', () => {
    for (let length = 0; length < envelope.length; length += 1) {
      expect(() => openEnvelope(key, place, envelope.subarray(0, length)), `length ${length}`).toThrow(
        DecryptionRefused,
      );
    }
    expect(() => openEnvelope(key, place, Buffer.concat([envelope, Buffer.of(0)]))).toThrow(
      DecryptionRefused,
    );
  });

  it('names the key version of no other format', () => {
    for (const at of [0, 4]) {
      const other = Buffer.from(envelope);
      other[at]! += 1;
      expect(() => envelopeVersion(other)).toThrow(DecryptionRefused);
    }
    expect(() => envelopeVersion(envelope.subarray(0, 8))).toThrow(DecryptionRefused);
  });

  it.each([
    ['tenant', { tenantId: '7b1f2c3d-0000-4000-8000-000000000009' as TenantId }],
    ['mode', { mode: 'test' }],
    ['no mode', { mode: '' }],
    ['table', { table: 'secrets' }],
    ['row', { rowId: '7b1f2c3d-0000-4000-8000-000000000008' }],
    ['column', { column: 'other_envelope' }],
    ['a shifted border of two parts', { table: 'crypto_key_version', rowId: `s${place.rowId}` }],
  ] as [string, Partial<EnvelopePlace>][])('refuses another %s', (_what, change) => {
    expect(() => openEnvelope(key, { ...place, ...change }, envelope)).toThrow(DecryptionRefused);
  });

  it('refuses another key, and says the same as for every other cause', () => {
    const messages = [
      () => openEnvelope(Buffer.alloc(32, 1), place, envelope),
      () => openEnvelope(key, { ...place, rowId: 'x' }, envelope),
      () => openEnvelope(key, place, envelope.subarray(0, 5)),
      () => openEnvelope(key, place, Buffer.from('not an envelope at all, but long enough to be one....')),
    ].map((attempt) => {
      try {
        attempt();
        return 'opened';
      } catch (error) {
        return String(error);
      }
    });
    expect(new Set(messages)).toEqual(new Set(['DecryptionRefused: decryption refused']));
  });

  it('opens no arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        expect(() => openEnvelope(key, place, Buffer.from(noise))).toThrow(DecryptionRefused);
        const headed = Buffer.concat([envelope.subarray(0, 9), noise]);
        expect(() => openEnvelope(key, place, headed)).toThrow(DecryptionRefused);
      }),
    );
  });
});

it('round-trips any plaintext, and never seals alike', () => {
  const place = placeOf(vectors[0] as EnvelopeVector);
  const key = systemRandom.bytes(32);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (plaintext) => {
      const first = sealEnvelope(systemRandom, key, 3, place, plaintext);
      expect(openEnvelope(key, place, first)).toEqual(Buffer.from(plaintext));
      expect(sealEnvelope(systemRandom, key, 3, place, plaintext).equals(first)).toBe(false);
    }),
  );
});

it('asserts key length and version', () => {
  const place = placeOf(vectors[0] as EnvelopeVector);
  for (const version of [0, -1, 1.5, 2 ** 32]) {
    expect(() => sealEnvelope(systemRandom, Buffer.alloc(32), version, place, Buffer.alloc(1))).toThrow(
      'version',
    );
  }
});
