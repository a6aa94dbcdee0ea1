import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { fuzz } from '../../testing/fuzz.js';
import { DecryptionRefused } from './authenticated-cipher.js';
import { openData, sealData } from './data-cipher.js';
import { envelopeVersion, openEnvelope, sealEnvelope } from './envelope-cipher.js';
import { systemRandom } from './random.js';

const key = systemRandom.bytes(32);
const text = fc.string({ unit: 'binary', maxLength: 12 });
const place = fc.record({
  tenantId: text.map((id) => id as TenantId),
  mode: fc.constantFrom('live', 'test', '' as const),
  table: text,
  rowId: text,
  column: text,
}) as fc.Arbitrary<Parameters<typeof openEnvelope>[1]>;
const context = fc.record({ purpose: text, rowId: text, parts: fc.array(text, { maxLength: 4 }) });
const plaintext = fc.uint8Array({ maxLength: 100 });
const place32 = fc.nat(2 ** 31 - 1);

/** One change of the bytes: a byte set, some removed, some put in, two ranges exchanged, or the end of another. */
type Change = (sealed: Buffer, other: Buffer) => Buffer;
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(place32, fc.integer({ min: 1, max: 255 })).map(
    ([at, flip]): Change =>
      (sealed) => {
        const changed = Buffer.from(sealed);
        changed[at % sealed.length] = sealed[at % sealed.length]! ^ flip;
        return changed;
      },
  ),
  fc.tuple(place32, fc.integer({ min: 1, max: 40 })).map(
    ([at, count]): Change =>
      (sealed) =>
        Buffer.concat([
          sealed.subarray(0, at % sealed.length),
          sealed.subarray((at % sealed.length) + count),
        ]),
  ),
  fc.tuple(place32, fc.uint8Array({ minLength: 1, maxLength: 40 })).map(
    ([at, put]): Change =>
      (sealed) =>
        Buffer.concat([
          sealed.subarray(0, at % (sealed.length + 1)),
          put,
          sealed.subarray(at % (sealed.length + 1)),
        ]),
  ),
  place32.map(
    (at): Change =>
      (sealed, other) =>
        Buffer.concat([sealed.subarray(0, at % sealed.length), other.subarray(at % sealed.length)]),
  ),
);

/** Skipped where the change left one of the two as it was. */
function mutated(mutate: Change, sealed: Buffer, other: Buffer): Buffer | null {
  const changed = mutate(sealed, other);
  return changed.equals(sealed) || changed.equals(other) ? null : changed;
}

test('an envelope opens where it was sealed, and every mutation of it is refused by the one error', () => {
  const version = fc.integer({ min: 1, max: 2 ** 32 - 1 });
  fc.assert(
    fc.property(place, plaintext, version, change, (where, value, keyVersion, mutate) => {
      const seal = () => sealEnvelope(systemRandom, key, keyVersion, where, value);
      const sealed = seal();
      expect(envelopeVersion(sealed)).toBe(keyVersion);
      expect(openEnvelope(key, where, sealed)).toEqual(Buffer.from(value));
      const changed = mutated(mutate, sealed, seal());
      if (changed) expect(() => openEnvelope(key, where, changed)).toThrow(DecryptionRefused);
    }),
    fuzz(2000),
  );
});

test('sealed data opens in its context, and every mutation of it is refused by the one error', () => {
  fc.assert(
    fc.property(context, plaintext, change, (where, value, mutate) => {
      const seal = () => sealData(systemRandom, key, where, value);
      const sealed = seal();
      expect(openData(key, where, sealed)).toEqual(Buffer.from(value));
      const changed = mutated(mutate, sealed, seal());
      if (changed) expect(() => openData(key, where, changed)).toThrow(DecryptionRefused);
    }),
    fuzz(2000),
  );
});

test('what was sealed for one place opens in no other', () => {
  fc.assert(
    fc.property(place, place, context, context, plaintext, (here, there, one, two, value) => {
      if (JSON.stringify(here) !== JSON.stringify(there)) {
        const sealed = sealEnvelope(systemRandom, key, 1, here, value);
        expect(() => openEnvelope(key, there, sealed)).toThrow(DecryptionRefused);
      }
      if (JSON.stringify(one) !== JSON.stringify(two)) {
        const sealed = sealData(systemRandom, key, one, value);
        expect(() => openData(key, two, sealed)).toThrow(DecryptionRefused);
      }
    }),
    fuzz(1000),
  );
});

test('nor where the same text is parted at other borders', () => {
  const borders = fc.array(fc.nat(12), { minLength: 4, maxLength: 4 });
  const partsAt = (whole: string, at: readonly number[]) => {
    const sorted = [0, ...at.map((one) => Math.min(one, whole.length)), whole.length].sort((a, b) => a - b);
    return sorted.slice(1).map((end, index) => whole.slice(sorted[index], end));
  };
  const placeOf = ([tenantId, mode, table, rowId, column]: readonly string[]) =>
    ({ tenantId, mode, table, rowId, column }) as Parameters<typeof openEnvelope>[1];
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', '\0'), minLength: 1, maxLength: 12 }),
      borders,
      borders,
      (whole, one, two) => {
        const [here, there] = [partsAt(whole, one), partsAt(whole, two)];
        fc.pre(here.join() !== there.join());
        const envelope = sealEnvelope(systemRandom, key, 1, placeOf(here), Buffer.from('v'));
        expect(() => openEnvelope(key, placeOf(there), envelope)).toThrow(DecryptionRefused);
        const [from, to] = [here, there].map((parts) => ({ purpose: 'p', rowId: 'r', parts }));
        const sealed = sealData(systemRandom, key, from!, Buffer.from('v'));
        expect(() => openData(key, to!, sealed)).toThrow(DecryptionRefused);
      },
    ),
    fuzz(500),
  );
});
