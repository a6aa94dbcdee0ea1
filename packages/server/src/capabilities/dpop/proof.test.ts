import { constants, createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { generateKeyPair, generateProof } from 'dpop';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../kernel/secret.js';
import { createSignatureVerifier, type SignatureVerifier } from '../../platform/crypto/jws.js';
import { createInstruments } from '../../platform/telemetry/instruments.js';
import { openTestSqlite, type TestDatabase } from '../../testing/databases.js';
import { base64Url, createProofMaker, type ProofChanges, tokenHash } from '../../testing/dpop-proofs.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { DpopError } from './errors.js';
import { createDpop, type Dpop, type ProofRequest } from './index.js';
import { PROOF_CHECKS } from './proof.js';
import { migrations } from './tables.js';

const URL_OF_TOKENS = 'https://api.knoxcall.test/oauth/token';
const TOKEN_CALL: Omit<ProofRequest, 'proofs'> = {
  method: 'POST',
  url: URL_OF_TOKENS,
  isNonceRequired: false,
};
const maker = createProofMaker();

let db: TestDatabase;
let clock: ManualClock;
let dpop: Dpop;
let signatures: SignatureVerifier & { checks: number };
let instruments: ReturnType<typeof createInstruments>;

beforeAll(async () => {
  db = await openTestSqlite(migrations);
});
afterAll(() => db.cleanup());
beforeEach(() => {
  clock = createManualClock(Math.floor(Date.now() / 1000) * 1000);
  signatures = countedSignatures();
  instruments = createInstruments();
  dpop = createDpop({
    db,
    clock,
    rootKey: new Secret(Buffer.alloc(32, 1)),
    iatWindowMs: 60_000,
    instruments,
    signatures,
  });
});

function countedSignatures() {
  const verifier = createSignatureVerifier({ keysMax: 10 });
  return {
    checks: 0,
    verify(...args: Parameters<SignatureVerifier['verify']>) {
      this.checks++;
      return verifier.verify(...args);
    },
  };
}

const nowSeconds = () => clock.nowMs() / 1000;
const claims = (changes: Record<string, unknown> = {}) => ({
  htm: 'POST',
  htu: URL_OF_TOKENS,
  iat: nowSeconds(),
  ...changes,
});
const proofOf = (changes: Record<string, unknown> = {}, form: ProofChanges = {}) =>
  maker.make(claims(changes), form);

/** `ok`, or code and check of the refusal. */
async function outcomeOf(proof: string | readonly string[], request: Partial<ProofRequest> = {}) {
  const proofs = typeof proof === 'string' ? [proof] : proof;
  try {
    await dpop.verify({ ...TOKEN_CALL, ...request, proofs });
    return 'ok';
  } catch (error) {
    if (!(error instanceof DpopError)) throw error;
    expect(error.reason).toMatch(/^[ !#-[\]-~]+$/);
    return `${error.code} ${error.check}`;
  }
}

describe('what real clients make is taken', () => {
  it.each(['ES256', 'Ed25519', 'PS256', 'RS256'] as const)('the package dpop with %s', async (alg) => {
    const keys = await generateKeyPair(alg);
    const proof = await generateProof(keys, URL_OF_TOKENS, 'POST');
    const { jkt, jti, iat } = await dpop.verify({ ...TOKEN_CALL, proofs: [proof] });
    const { calculateThumbprint } = await import('dpop');
    expect(jkt).toBe(await calculateThumbprint(keys.publicKey));
    expect(jti).not.toBe('');
    expect(Math.abs(iat - nowSeconds())).toBeLessThan(60);
  });

  it('the package dpop at the API, with ath and nonce', async () => {
    const keys = await generateKeyPair('ES256');
    const call = { method: 'GET', url: 'https://acme.knoxcall.test/api/orders', accessToken: 'kc_live_x' };
    const proof = await generateProof(keys, call.url, 'GET', dpop.nonce(), call.accessToken);
    expect(await outcomeOf(proof, { ...call, isNonceRequired: true })).toBe('ok');
  });

  it.each(['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256'])('a key of %s', async (alg) => {
    const other = createProofMaker(alg);
    expect(dpop.algorithms).toContain(alg);
    // Twice: the second time the imported key is kept.
    for (const _ of [1, 2]) expect(await outcomeOf(other.make(claims()))).toBe('ok');
    const tampered = other.make(claims()).replace(/\.[^.]+$/, `.${other.make(claims()).split('.')[2]}`);
    expect(await outcomeOf(tampered)).toBe('invalid_dpop_proof signature');
  });

  it.each([3072, 4096])('an RSA key of %i bits', async (modulusLength) => {
    const other = createProofMaker('PS256', generateKeyPairSync('rsa', { modulusLength }));
    expect(await outcomeOf(other.make(claims()))).toBe('ok');
  });

  it('the thumbprint is that of RFC 7638 §3.1 and the replay entry outlives the window', async () => {
    const iat = nowSeconds() + 60;
    const verified = await dpop.verify({ ...TOKEN_CALL, proofs: [proofOf({ iat, jti: 'x' })] });
    expect(verified).toMatchObject({ jti: 'x', iat, expiresAtMs: iat * 1000 + 120_000 });
    expect(verified.replayKey).toHaveLength(32);
  });
});

describe('header and form', () => {
  it('D01: none', async () => {
    expect(await outcomeOf([])).toBe('invalid_dpop_proof count');
    expect(await outcomeOf('')).toBe('invalid_dpop_proof count');
  });

  it('D03: two, in one header or in two, even when one is good', async () => {
    const [first, second] = [proofOf(), proofOf()];
    for (const proofs of [[`${first}, ${second}`], [`${first},${second}`], [first, second], [first, first]])
      expect(await outcomeOf(proofs)).toBe('invalid_dpop_proof count');
  });

  it.each([
    ['D05: header no JSON', { headerText: 'x' }],
    ['header an array', { headerText: '[]' }],
    ['header null', { headerText: 'null' }],
    ['header not UTF-8', { headerText: Buffer.from([0x7b, 0xff, 0x7d]) }],
    ['header behind a byte order mark', { headerText: '\ufeff{"alg":"ES256"}' }],
    ['D05: payload no JSON', { payloadText: 'x' }],
    ['payload a string', { payloadText: '"x"' }],
    ['payload a number', { payloadText: '1' }],
    ['payload an array', { payloadText: '[{}]' }],
    ['payload empty', { payloadText: '' }],
    ['deep payload', { payloadText: '['.repeat(2_000) }],
  ])('%s', async (_name, form) => {
    expect(await outcomeOf(proofOf({}, form))).toBe('invalid_dpop_proof form');
  });

  it('a member twice, good where the last of both is read: others read the first (RFC 8725 §2.4)', async () => {
    const header = JSON.stringify({ alg: maker.alg, typ: 'dpop+jwt', jwk: maker.publicJwk });
    const payload = JSON.stringify(claims({ jti: 'x' }));
    const twice = (text: string, member: string) => text.replace('{', `{${member},`);
    for (const form of [
      { payloadText: twice(payload, '"htm":"GET"') },
      { payloadText: twice(payload, '"\\u0068tm":"GET"') },
      { payloadText: twice(payload, '"a":[{"b":1,"b":2}]') },
      { headerText: twice(header, '"alg":"none"') },
    ])
      expect(await outcomeOf(proofOf({}, form))).toBe('invalid_dpop_proof form');
  });

  it.each([
    ['one part', (proof: string) => proof.split('.')[0]!],
    ['two parts', (proof: string) => proof.split('.').slice(0, 2).join('.')],
    ['four parts', (proof: string) => `${proof}.x`],
    ['five parts, as of a JWE', (proof: string) => `${proof}.x.y`],
    ['padding', (proof: string) => proof.replace('.', '=.')],
    ['standard base64', (proof: string) => `${proof.slice(0, -3)}+/A`],
    ['a space', (proof: string) => ` ${proof}`],
    ['a quoted proof', (proof: string) => `"${proof}"`],
    ['bits beyond the last byte', (proof: string) => `${proof.slice(0, -1)}_`],
    ['a letter that is none', (proof: string) => proof.replace(/.$/, 'é')],
  ])('%s', async (_name, change) => {
    expect(await outcomeOf(change(proofOf()))).toBe('invalid_dpop_proof form');
  });

  it.each(['DPOP+JWT', 'application/dpop+jwt', 'Application/DPoP+JWT'])(
    'D07: typ %s is taken',
    async (typ) => {
      expect(await outcomeOf(proofOf({}, { header: { typ } }))).toBe('ok');
    },
  );

  it.each([undefined, null, 'JWT', 'dpop', '', 'application/jwt', 'dpop+jwt; a=b', 1, ['dpop+jwt']])(
    'typ %s is not',
    async (typ) => {
      expect(await outcomeOf(proofOf({}, { header: { typ } }))).toBe('invalid_dpop_proof typ');
    },
  );

  it.each([
    undefined,
    null,
    'none',
    'None',
    'HS256',
    'HS512',
    'es256',
    'ES512',
    'RS512',
    'ES256K',
    '',
    1,
    'toString',
  ])('D09: alg %s', async (alg) => {
    const form = { header: { alg }, signature: () => Buffer.alloc(0) };
    expect(await outcomeOf(proofOf({}, form))).toBe('invalid_dpop_proof alg');
  });

  it('D09: HS256 with the key in jwk as its secret', async () => {
    const jwk = { kty: 'oct', k: base64Url('secret') };
    const signature = (message: Buffer) => createHmac('sha256', 'secret').update(message).digest();
    expect(await outcomeOf(proofOf({}, { header: { alg: 'HS256', jwk }, signature }))).toBe(
      'invalid_dpop_proof alg',
    );
    expect(await outcomeOf(proofOf({}, { header: { jwk }, signature }))).toBe('invalid_dpop_proof jwk');
  });

  it.each([
    ['D19: b64 false', { b64: false }],
    ['D19: b64 false, said to be critical', { b64: false, crit: ['b64'] }],
    ['b64 null', { b64: null }],
    ['crit b64', { b64: true, crit: ['b64'] }],
    ['an unknown critical member', { crit: ['x'], x: 1 }],
    ['an empty crit', { crit: [] }],
  ])('%s', async (_name, header) => {
    expect(await outcomeOf(proofOf({}, { header }))).toBe('invalid_dpop_proof crit');
  });

  it('other members of the header are ignored and never fetched', async () => {
    const header = {
      kid: 'x',
      jku: 'https://evil.test/keys',
      x5u: 'https://evil.test/',
      cty: 'x',
      b64: true,
    };
    expect(await outcomeOf(proofOf({}, { header }))).toBe('ok');
  });
});

describe('key', () => {
  const rsa = createProofMaker('RS256');
  const [p384, ed25519] = [createProofMaker('ES384'), createProofMaker('EdDSA')];

  it.each([
    ['D11: RS256 with an EC key', 'RS256', maker.publicJwk],
    ['ES256 with an RSA key', 'ES256', rsa.publicJwk],
    ['ES256 with a key of P-384', 'ES256', p384.publicJwk],
    ['ES384 with a key of P-256', 'ES384', maker.publicJwk],
    ['EdDSA with an EC key', 'EdDSA', maker.publicJwk],
    ['ES256 with an Ed25519 key', 'ES256', ed25519.publicJwk],
    ['no key', 'ES256', undefined],
    ['a key as text', 'ES256', JSON.stringify(maker.publicJwk)],
    ['D13: a private key', 'ES256', maker.privateKey.export({ format: 'jwk' })],
    ['D13: a private RSA key', 'RS256', rsa.privateKey.export({ format: 'jwk' })],
    ['D15: a point off the curve', 'ES256', { ...maker.publicJwk, y: maker.publicJwk.x }],
    ['D15: RSA 1024', 'RS256', rsaKey(1024)],
    ['D15: e=1', 'RS256', { ...rsa.publicJwk, e: 'AQ' }],
    ['D59: RSA 8192', 'RS256', numbers(8192)],
    ['D61: e=3', 'RS256', { ...rsa.publicJwk, e: 'Aw' }],
    ['D63: e of 3072 bits', 'RS256', { ...numbers(3072), e: numbers(3072).n }],
  ])('%s, no signature check', async (_name, alg, jwk) => {
    expect(await outcomeOf(proofOf({}, { header: { alg, jwk } }))).toBe('invalid_dpop_proof jwk');
    expect(signatures.checks).toBe(0);
  });

  function rsaKey(modulusLength: number) {
    return generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' });
  }

  /** Of that many bits, and of no known factors. */
  function numbers(bits: number) {
    return { kty: 'RSA', e: 'AQAB', n: Buffer.alloc(bits / 8, 0xff).toString('base64url') };
  }
});

describe('claims', () => {
  it.each([
    ['D21: jti missing', { jti: undefined }],
    ['D21: jti a number', { jti: 1 }],
    ['D21: jti empty', { jti: '' }],
    ['D21: jti of 513 bytes', { jti: 'x'.repeat(513) }],
    ['jti of 257 two-byte letters', { jti: 'é'.repeat(257) }],
    ['jti null', { jti: null }],
    ['htm missing', { htm: undefined }],
    ['htm a list', { htm: ['POST'] }],
    ['htu missing', { htu: undefined }],
    ['htu null', { htu: null }],
    ['iat missing', { iat: undefined }],
    ['iat a text', { iat: '1' }],
    ['iat null', { iat: null }],
  ])('%s', async (_name, changes) => {
    expect(await outcomeOf(proofOf(changes))).toBe('invalid_dpop_proof claims');
  });

  it('claims behind __proto__ are none', async () => {
    const payloadText = `{"__proto__":${JSON.stringify(claims({ jti: 'x' }))}}`;
    expect(await outcomeOf(proofOf({}, { payloadText }))).toBe('invalid_dpop_proof claims');
  });

  it.each([
    ['jti of 512 bytes', { jti: 'x'.repeat(512) }],
    ['jti of one byte', { jti: ' ' }],
    ['unknown claims', { nbf: 9e12, sub: 'x', aud: [] }],
    ['an ath at the token endpoint', { ath: 'x' }],
    ['a nonce that nobody asked for', { nonce: 'x' }],
  ])('%s is taken', async (_name, changes) => {
    expect(await outcomeOf(proofOf(changes))).toBe('ok');
  });

  it('D23: the method with its case', async () => {
    for (const htm of ['post', 'Post', 'GET', '', 'POST '])
      expect(await outcomeOf(proofOf({ htm }))).toBe('invalid_dpop_proof htm');
    expect(await outcomeOf(proofOf({ htm: 'post' }), { method: 'post' })).toBe('ok');
  });

  it.each([
    'https://api.knoxcall.test/oauth/tokens',
    'https://api.knoxcall.test/oauth/token/',
    'https://api.knoxcall.test/OAuth/token',
    'https://api.knoxcall.test/oauth%2Ftoken',
    'https://api.knoxcall.test//oauth/token',
    'https://sandbox.knoxcall.test/oauth/token',
    'https://api.knoxcall.test.evil.test/oauth/token',
    'https://api.knoxcall.test@evil.test/oauth/token',
    'https://user@api.knoxcall.test/oauth/token',
    'http://api.knoxcall.test/oauth/token',
    'https://api.knoxcall.test:8443/oauth/token',
    'http://api.knoxcall.test:443/oauth/token',
    'https:\\\\api.knoxcall.test\\oauth\\token',
    ' https://api.knoxcall.test/oauth/token',
    'https://api.knoxcall.test/oauth/token\n',
    '//api.knoxcall.test/oauth/token',
    '/oauth/token',
    'https:///api.knoxcall.test/oauth/token',
    'https:api.knoxcall.test/oauth/token',
    '',
  ])('D25: htu %j', async (htu) => {
    expect(await outcomeOf(proofOf({ htu }))).toBe('invalid_dpop_proof htu');
  });

  it.each([
    'https://API.KnoxCall.test/oauth/token',
    'HTTPS://api.knoxcall.test/oauth/token',
    'https://api.knoxcall.test:443/oauth/token',
    'https://api.knoxcall.test/oauth/%74oken',
    'https://api.knoxcall.test/a/../oauth/token',
    'https://api.knoxcall.test/a/%2e%2E/oauth/./token',
    'https://api.knoxcall.test/oauth/token?a=b',
    'https://api.knoxcall.test/oauth/token#f',
  ])('D27, D53: htu %s is taken', async (htu) => {
    expect(await outcomeOf(proofOf({ htu }))).toBe('ok');
  });

  it('D27: %7E is ~, and D57: the URL that the caller used is what counts', async () => {
    const url = 'https://acme.knoxcall.test/api/~me?x=1';
    expect(await outcomeOf(proofOf({ htu: 'https://acme.knoxcall.test/api/%7Eme' }), { url })).toBe('ok');
    expect(await outcomeOf(proofOf({ htu: 'https://api.knoxcall.test/api/~me' }), { url })).toBe(
      'invalid_dpop_proof htu',
    );
  });

  it('a target with characters that no URI has is matched by the same text alone', async () => {
    const url = 'https://acme.knoxcall.test/api/a|"b"';
    expect(await outcomeOf(proofOf({ htu: url }), { url })).toBe('ok');
    for (const htu of ['', 'x', 'https://acme.knoxcall.test/api/a|b', url.toUpperCase(), `${url}?`])
      expect(await outcomeOf(proofOf({ htu }), { url })).toBe('invalid_dpop_proof htu');
  });

  it.each([
    ['D29: 301 s old', -301, 'invalid_dpop_proof iat'],
    ['61 s old', -61, 'invalid_dpop_proof iat'],
    ['60 s old', -60, 'ok'],
    ['D31: 10 s old', -10, 'ok'],
    ['half a second old', -0.5, 'ok'],
    ['D31: 10 s ahead', 10, 'ok'],
    ['60 s ahead', 60, 'ok'],
    ['61 s ahead', 61, 'invalid_dpop_proof iat'],
    ['milliseconds for seconds', 1e12, 'invalid_dpop_proof iat'],
    ['at the end of time', 1e300, 'invalid_dpop_proof iat'],
  ])('%s', async (_name, offset, outcome) => {
    expect(await outcomeOf(proofOf({ iat: nowSeconds() + offset }))).toBe(outcome);
  });

  it('an exp that is over refuses, one that is not or is none does not', async () => {
    for (const exp of [nowSeconds(), nowSeconds() - 300, 0, -1])
      expect(await outcomeOf(proofOf({ exp }))).toBe('invalid_dpop_proof exp');
    for (const exp of [nowSeconds() + 1, 'x', null]) expect(await outcomeOf(proofOf({ exp }))).toBe('ok');
  });

  it('ath is the hash of the token of the call', async () => {
    const accessToken = 'kc_live_token';
    const ath = tokenHash(accessToken);
    expect(await outcomeOf(proofOf({ ath }), { accessToken })).toBe('ok');
    for (const wrong of [undefined, null, '', tokenHash('other'), `${ath}=`, accessToken])
      expect(await outcomeOf(proofOf({ ath: wrong }), { accessToken })).toBe('invalid_dpop_proof ath');
  });
});

describe('nonce', () => {
  const required = { isNonceRequired: true };

  it('D37: required and not sent, unknown or no text', async () => {
    for (const nonce of [undefined, null, 1, '', 'x', `${dpop.nonce()}x`]) {
      const request = { ...TOKEN_CALL, ...required, proofs: [proofOf({ nonce })] };
      const refused = await dpop.verify(request).catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: 'use_dpop_nonce', check: 'nonce', nonce: dpop.nonce() });
    }
    expect(await outcomeOf(proofOf({ nonce: dpop.nonce() }), required)).toBe('ok');
  });

  it('D39: good for two steps more, and a newer one is offered', async () => {
    const nonce = dpop.nonce();
    const verify = () => dpop.verify({ ...TOKEN_CALL, ...required, proofs: [proofOf({ nonce })] });
    expect(await verify()).not.toHaveProperty('nextNonce');
    for (const _ of [1, 2]) {
      clock.advance(60_000);
      expect(dpop.nonce()).not.toBe(nonce);
      expect(await verify()).toHaveProperty('nextNonce', dpop.nonce());
    }
    clock.advance(60_000);
    await expect(verify()).rejects.toMatchObject({ code: 'use_dpop_nonce', nonce: dpop.nonce() });
  });

  it('one of a process whose clock is ahead is taken; one of another root key is not', async () => {
    const other = (atMs: number, fill: number) =>
      createDpop({
        db,
        clock: createManualClock(atMs),
        rootKey: new Secret(Buffer.alloc(32, fill)),
        iatWindowMs: 60_000,
        instruments: createInstruments(),
      }).nonce();
    const ahead = (steps: number) => other(clock.nowMs() + steps * 60_000, 1);
    expect(await outcomeOf(proofOf({ nonce: ahead(2) }), required)).toBe('ok');
    expect(await outcomeOf(proofOf({ nonce: ahead(3) }), required)).toBe('use_dpop_nonce nonce');
    expect(await outcomeOf(proofOf({ nonce: other(clock.nowMs(), 2) }), required)).toBe(
      'use_dpop_nonce nonce',
    );
  });
});

describe('signature', () => {
  it.each([
    ['D17: DER', (message: Buffer) => sign('sha256', message, maker.privateKey)],
    ['D17: r=s=0', () => Buffer.alloc(64)],
    ['r=0', () => Buffer.concat([Buffer.alloc(32), Buffer.alloc(32, 1)])],
    ['s=0', () => Buffer.concat([Buffer.alloc(32, 1), Buffer.alloc(32)])],
    ['none', () => Buffer.alloc(0)],
    ['of 63 bytes', () => Buffer.alloc(63, 1)],
    ['of 65 bytes', () => Buffer.alloc(65, 1)],
    ['of 5,000 bytes', () => Buffer.alloc(5_000, 1)],
  ])('%s is refused by its form', async (_name, signature) => {
    expect(await outcomeOf(proofOf({}, { signature }))).toBe('invalid_dpop_proof signature');
    expect(signatures.checks).toBe(0);
  });

  it('of another key, of other bytes, of large r and s', async () => {
    const other = createProofMaker();
    const wrong = [
      proofOf({}, { header: { jwk: other.publicJwk } }),
      proofOf({}, { signature: () => Buffer.alloc(64, 0xff) }),
      proofOf().replace(/\.[^.]+\./, `.${base64Url(JSON.stringify(claims({ jti: 'other' })))}.`),
    ];
    for (const proof of wrong) expect(await outcomeOf(proof)).toBe('invalid_dpop_proof signature');
    expect(signatures.checks).toBe(wrong.length);
  });

  it('PS256 by a key of RS256 and the other way round, and a salt of another length', async () => {
    const rsa = createProofMaker('RS256');
    const pss = (saltLength: number) => (message: Buffer) =>
      sign('sha256', message, { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
    const asPs256 = { header: { alg: 'PS256' } };
    expect(await outcomeOf(rsa.make(claims(), asPs256))).toBe('invalid_dpop_proof signature');
    expect(await outcomeOf(rsa.make(claims(), { signature: pss(32) }))).toBe('invalid_dpop_proof signature');
    expect(await outcomeOf(rsa.make(claims(), { ...asPs256, signature: pss(20) }))).toBe(
      'invalid_dpop_proof signature',
    );
    expect(await outcomeOf(rsa.make(claims(), { ...asPs256, signature: pss(32) }))).toBe('ok');
  });

  it('a point that is on no curve Ed25519 has is refused, not an error', async () => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.alloc(32, 2).toString('base64url') };
    const form = { header: { alg: 'EdDSA', jwk }, signature: () => Buffer.alloc(64, 1) };
    expect(await outcomeOf(proofOf({}, form))).toBe('invalid_dpop_proof signature');
  });
});

describe('what is hostile costs no signature check', () => {
  it('D65: more than 8 KiB, up to a megabyte', async () => {
    const long = (bytes: number) => 'x'.repeat(bytes);
    for (const proof of [long(8193), long(1024 * 1024), `${proofOf()}${long(8192)}`])
      expect(await outcomeOf(proof)).toBe('invalid_dpop_proof size');
    expect(await outcomeOf([long(5_000), long(5_000)])).toBe('invalid_dpop_proof size');
    expect(await outcomeOf(long(8192))).toBe('invalid_dpop_proof form');
    expect(signatures.checks).toBe(0);
  });

  it('a good proof of 8 KiB is taken', async () => {
    const [used, room] = [proofOf({ pad: '' }).length, 8192];
    const pad = 'x'.repeat(Math.floor(((room - used) * 3) / 4) - 3);
    expect(await outcomeOf(proofOf({ pad }))).toBe('ok');
  });

  it('D67: a good signature with a stale iat, or replayed', async () => {
    expect(await outcomeOf(proofOf({ iat: nowSeconds() - 61 }))).toBe('invalid_dpop_proof iat');
    expect(signatures.checks).toBe(0);
    const proof = proofOf();
    await dpop.consume(await dpop.verify({ ...TOKEN_CALL, proofs: [proof] }));
    expect(signatures.checks).toBe(1);
    expect(await outcomeOf(proof)).toBe('invalid_dpop_proof replay');
    expect(signatures.checks).toBe(1);
  });

  it('nothing but what was accepted and used is counted as such', async () => {
    await outcomeOf(proofOf());
    await outcomeOf([]);
    await dpop.consume(await dpop.verify({ ...TOKEN_CALL, proofs: [proofOf()] }));
    const family = instruments.families().find(({ name }) => name === 'knox_dpop_proofs_total');
    const counted = family?.series.map(({ labels, instrument }) => [labels.outcome, instrument]);
    const values = Object.fromEntries(counted ?? []);
    expect(values).toMatchObject({ accepted: { value: 1 }, count: { value: 1 }, replay: { value: 0 } });
    expect(Object.keys(values)).toHaveLength(PROOF_CHECKS.length + 1);
  });
});

describe('replay', () => {
  it('D33: the same proof twice; verifying alone uses nothing', async () => {
    const request = { ...TOKEN_CALL, proofs: [proofOf()] };
    const verified = await dpop.verify(request);
    await dpop.verify(request);
    await dpop.consume(verified);
    await expect(dpop.consume(verified)).rejects.toMatchObject({
      code: 'invalid_dpop_proof',
      check: 'replay',
    });
    await expect(dpop.verify(request)).rejects.toMatchObject({ check: 'replay' });
  });

  it('a jti that is used again in another proof of the same key is a replay too', async () => {
    const proof = (iat: number) => proofOf({ jti: 'once', iat });
    await dpop.consume(await dpop.verify({ ...TOKEN_CALL, proofs: [proof(nowSeconds())] }));
    expect(await outcomeOf(proof(nowSeconds() + 1))).toBe('invalid_dpop_proof replay');
  });

  it('D35: the same jti of another key is none', async () => {
    const other = createProofMaker();
    await dpop.consume(await dpop.verify({ ...TOKEN_CALL, proofs: [proofOf({ jti: 'shared' })] }));
    expect(await outcomeOf(other.make(claims({ jti: 'shared' })))).toBe('ok');
  });

  it('of twenty at once one is taken', async () => {
    const verified = await dpop.verify({ ...TOKEN_CALL, proofs: [proofOf()] });
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => dpop.consume(verified)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });
});

describe('explain', () => {
  const explain = (proofs: readonly string[], request: Partial<ProofRequest> = {}) =>
    dpop.explain({ ...TOKEN_CALL, ...request, proofs });

  it('names every check of a good proof, and uses nothing', async () => {
    const proof = proofOf();
    for (const _ of [1, 2])
      expect(await explain([proof])).toEqual(PROOF_CHECKS.map((name) => ({ name, ok: true })));
    await dpop.consume(await dpop.verify({ ...TOKEN_CALL, proofs: [proof] }));
    const failed = (await explain([proof])).filter(({ ok }) => !ok);
    expect(failed).toEqual([{ name: 'replay', ok: false, reason: expect.stringContaining('used before') }]);
  });

  it('goes on behind what stands by itself, so that all that is wrong is told at once', async () => {
    const proof = proofOf(
      { htm: 'post', htu: 'https://other.test/', iat: nowSeconds() - 999, exp: 0 },
      { header: { typ: 'JWT' }, signature: () => Buffer.alloc(64) },
    );
    const results = await explain([proof], { accessToken: 'x', isNonceRequired: true });
    expect(results.map(({ name }) => name)).toEqual([...PROOF_CHECKS]);
    const failed = results.filter(({ ok }) => !ok).map(({ name }) => name);
    expect(failed).toEqual(['typ', 'htm', 'htu', 'iat', 'exp', 'ath', 'nonce', 'signature']);
  });

  it.each([
    ['no proof', [], 'count'],
    ['a long one', ['x'.repeat(9_000)], 'size'],
    ['no JWS', ['x'], 'form'],
    ['an unknown algorithm', [maker.make({}, { header: { alg: 'none' } })], 'alg'],
    ['no key', [maker.make({}, { header: { jwk: null } })], 'jwk'],
    ['no claims', [maker.make({})], 'claims'],
  ])('ends where nothing can be said any more: %s', async (_name, proofs, check) => {
    const results = await explain(proofs);
    expect(results.at(-1)).toMatchObject({ name: check, ok: false, reason: expect.stringContaining(check) });
    expect(signatures.checks).toBe(0);
  });
});
