import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Secret } from '../../kernel/secret.js';
import { createInstruments } from '../../platform/telemetry/instruments.js';
import { openTestSqlite, type TestDatabase } from '../../testing/databases.js';
import { base64Url, createProofMaker } from '../../testing/dpop-proofs.js';
import { fuzz } from '../../testing/fuzz.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { DpopError } from './errors.js';
import { normalizedHtu } from './htu.js';
import { createDpop, type Dpop, migrations } from './index.js';

const clock = createManualClock();
const maker = createProofMaker();
const url = 'https://api.knoxcall.test/oauth/token';
const claims = { htm: 'POST', htu: url, iat: clock.nowMs() / 1000 };
let db: TestDatabase;
let dpop: Dpop;

beforeAll(async () => {
  db = await openTestSqlite(migrations);
  const rootKey = new Secret(Buffer.alloc(32, 1));
  dpop = createDpop({ db, clock, rootKey, iatWindowMs: 60_000, instruments: createInstruments() });
});
afterAll(() => db.cleanup());

/** True where it was taken; anything but the one refusal is a bug. */
async function isTaken(proof: string): Promise<boolean> {
  try {
    await dpop.verify({ proofs: [proof], method: 'POST', url, isNonceRequired: false });
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(DpopError);
    // Fit for a quoted string of a header and for error_description (RFC 6749 §5.2).
    expect((error as DpopError).reason).toMatch(/^[ !#-[\]-~]{1,300}$/);
    return false;
  }
}

it('any text is refused and nothing else happens', async () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.array(fc.base64String({ maxLength: 60 }), { maxLength: 5 }).map((parts) => parts.join('.')),
    fc.array(fc.json(), { minLength: 3, maxLength: 3 }).map((parts) => parts.map(base64Url).join('.')),
  );
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      expect(await isTaken(text)).toBe(false);
    }),
    fuzz(1_000),
  );
});

it('any value of any member is refused, or was one that is good', async () => {
  const members = fc.constantFrom('typ', 'alg', 'jwk', 'crit', 'b64', 'jti', 'htm', 'htu', 'iat');
  await fc.assert(
    fc.asyncProperty(members, fc.jsonValue(), async (member, value) => {
      const isHeader = ['typ', 'alg', 'jwk', 'crit', 'b64'].includes(member);
      const proof = isHeader
        ? maker.make(claims, { header: { [member]: value } })
        : maker.make({ ...claims, [member]: value });
      const isGood =
        (member === 'b64' && value === true) ||
        (member === 'jti' && typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= 512);
      expect(await isTaken(proof)).toBe(isGood);
    }),
    fuzz(500),
  );
});

it('any value of any member of the key is refused', async () => {
  const members = fc.constantFrom('kty', 'crv', 'x', 'y', 'd', 'k');
  const values = fc.oneof(
    fc.jsonValue(),
    fc.uint8Array({ maxLength: 80 }).map((bytes) => base64Url(Buffer.from(bytes))),
  );
  await fc.assert(
    fc.asyncProperty(members, values, async (member, value) => {
      const jwk = { ...maker.publicJwk, [member]: value };
      expect(await isTaken(maker.make(claims, { header: { jwk } }))).toBe(false);
    }),
    fuzz(500),
  );
});

it('one letter that is changed anywhere is refused', async () => {
  const proof = maker.make(claims);
  const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/,'];
  await fc.assert(
    fc.asyncProperty(fc.nat(proof.length - 1), fc.constantFrom(...letters), async (at, letter) => {
      const changed = proof.slice(0, at) + letter + proof.slice(at + 1);
      fc.pre(changed !== proof);
      expect(await isTaken(changed)).toBe(false);
    }),
    fuzz(500),
  );
});

it('what is normalised stays as it is when it is normalised again, and names no user', () => {
  const uris = fc.oneof(
    fc.webUrl({ withFragments: true, withQueryParameters: true }),
    fc
      .string({ unit: fc.constantFrom(...'hts:/@?#%2eE.~aZ[]\\'), maxLength: 30 })
      .map((text) => `https://${text}`),
  );
  fc.assert(
    fc.property(uris, (uri) => {
      const normal = normalizedHtu(uri);
      if (normal === null) return;
      expect(normalizedHtu(normal)).toBe(normal);
      expect(new URL(normal)).toMatchObject({ username: '', password: '', search: '', hash: '' });
    }),
    fuzz(2_000),
  );
});
