import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { calculateJwkThumbprint } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  base64Url,
  createProofMaker,
  type ProofChanges,
  type ProofMaker,
  tokenHash,
} from '../../testing/dpop-proofs.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { askOAuth, basicOfKey, FORM } from '../../testing/oauth-calls.js';

/**
 * Cases D of oauth-dpop.md as a client meets them: each proof at the token endpoint and, with the token that it is for, at
 * the API. What each check says by itself is in capabilities/dpop.
 */
const ORIGIN = 'https://knox.example';
const TOKEN = `${ORIGIN}/oauth/token`;
const VAULTS = `${ORIGIN}/v1/vaults`;
const JTI_BYTES_MAX = 512;
const PROOF_BYTES_MAX = 8192;

let rig: MatrixRig;
let maker: ProofMaker;
let rsa: ProofMaker;
let token: string;
beforeAll(async () => {
  rig = await openMatrixRig({ publicUrl: () => ORIGIN });
  maker = createProofMaker();
  rsa = createProofMaker('RS256');
  token = (await mint(proofFor('POST', TOKEN))).json.access_token;
});
afterAll(() => rig.close());

type Claims = Readonly<Record<string, unknown>>;
const nowSeconds = () => Math.floor(rig.clock.nowMs() / 1000);

function proofFor(
  htm: string,
  htu: string,
  claims: Claims = {},
  form: ProofChanges = {},
  by = maker,
): string {
  return by.make({ htm, htu, iat: nowSeconds(), ...claims }, form);
}

const mint = (dpop: string, headers: Record<string, string> = {}) =>
  askOAuth(rig.ask, '/oauth/token', {
    authorization: basicOfKey(rig.tenant.live.apiKey),
    form: { grant_type: 'client_credentials', scope: 'vaults:read proxy:invoke' },
    headers: { dpop, ...headers },
  });

const use = (dpop: string, headers: Record<string, string> = {}) =>
  rig.ask('GET', '/v1/vaults', { headers: { authorization: `DPoP ${token}`, dpop, ...headers } });

/** What is wrong with a proof, however it is asked for. */
interface Case {
  readonly claims?: (htu: string) => Claims;
  readonly form?: ProofChanges | (() => ProofChanges);
  readonly by?: () => ProofMaker;
  /** Of the proof as text. */
  readonly change?: (proof: string, another: string) => string;
}

function proofsOf(
  { claims, form = {}, by = () => maker, change = (proof) => proof }: Case,
  api: boolean,
): string {
  const [htm, htu] = api ? ['GET', VAULTS] : ['POST', TOKEN];
  const changes = typeof form === 'function' ? form() : form;
  const good = { ...(api && { ath: tokenHash(token) }) };
  const make = () => proofFor(htm, htu, { ...good, ...claims?.(htu) }, changes, by());
  return change(make(), make());
}

const jwk = (alg: string, key: unknown): Case => ({ form: { header: { alg, jwk: key } } });
/** A modulus of that many bits, and of no known factors. */
const numbers = (bits: number) => ({
  kty: 'RSA',
  e: 'AQAB',
  n: Buffer.alloc(bits / 8, 0xff).toString('base64url'),
});
const rsaOf = (modulusLength: number) =>
  generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' });

describe('is refused at the token endpoint and at the API', () => {
  it.each<[string, () => Case]>([
    ['D03 two proofs joined with a comma', () => ({ change: (proof, other) => `${proof}, ${other}` })],
    ['D03 two proofs joined, no space', () => ({ change: (proof, other) => `${proof},${other}` })],
    ['D05 a header that is no JSON', () => ({ form: { headerText: 'x' } })],
    ['D05 a payload that is no object', () => ({ form: { payloadText: '["x"]' } })],
    ['D05 two parts', () => ({ change: (proof) => proof.split('.').slice(0, 2).join('.') })],
    ['typ JWT', () => ({ form: { header: { typ: 'JWT' } } })],
    ['alg none', () => ({ form: { header: { alg: 'none' }, signature: () => Buffer.alloc(0) } })],
    [
      'D09 HS256 with the key as its secret',
      () => ({
        form: {
          header: { alg: 'HS256', jwk: { kty: 'oct', k: base64Url('secret') } },
          signature: (message) => createHmac('sha256', 'secret').update(message).digest(),
        },
      }),
    ],
    ['D11 RS256 with an EC key', () => jwk('RS256', maker.publicJwk)],
    ['D11 ES256 with an RSA key', () => jwk('ES256', rsa.publicJwk)],
    ['D13 a private key', () => jwk('ES256', maker.privateKey.export({ format: 'jwk' }))],
    ['D15 a point off the curve', () => jwk('ES256', { ...maker.publicJwk, y: maker.publicJwk['x'] })],
    ['D15 RSA 1024', () => jwk('RS256', rsaOf(1024))],
    ['D15 e=1', () => jwk('RS256', { ...rsa.publicJwk, e: 'AQ' })],
    [
      'D17 a signature in DER',
      () => ({ form: { signature: (message) => sign('sha256', message, maker.privateKey) } }),
    ],
    ['D17 r=s=0', () => ({ form: { signature: () => Buffer.alloc(64) } })],
    ['of another key', () => ({ form: { header: { jwk: createProofMaker().publicJwk } } })],
    ['D19 b64 false', () => ({ form: { header: { b64: false, crit: ['b64'] } } })],
    ['D21 no jti', () => ({ claims: () => ({ jti: undefined }) })],
    ['D21 a jti that is a number', () => ({ claims: () => ({ jti: 1 }) })],
    ['D21 an empty jti', () => ({ claims: () => ({ jti: '' }) })],
    ['D21 a long jti', () => ({ claims: () => ({ jti: 'x'.repeat(JTI_BYTES_MAX + 1) }) })],
    ['D23 the method in lower case', () => ({ claims: () => ({ htm: 'post' }) })],
    ['another method', () => ({ claims: () => ({ htm: 'DELETE' }) })],
    ['D25 another path', () => ({ claims: (htu) => ({ htu: `${htu}/x` }) })],
    ['D25 another host', () => ({ claims: (htu) => ({ htu: htu.replace('knox.', 'knoxx.') }) })],
    ['D25 http for https', () => ({ claims: (htu) => ({ htu: htu.replace('https:', 'http:') }) })],
    ['another port', () => ({ claims: (htu) => ({ htu: htu.replace('.example', '.example:8443') }) })],
    ['D29 301 s old', () => ({ claims: () => ({ iat: nowSeconds() - 301 }) })],
    ['61 s old', () => ({ claims: () => ({ iat: nowSeconds() - 61 }) })],
    ['61 s ahead', () => ({ claims: () => ({ iat: nowSeconds() + 61 }) })],
    ['an exp that is over', () => ({ claims: () => ({ exp: nowSeconds() - 1 }) })],
    ['D59 RSA 8192', () => jwk('RS256', numbers(8192))],
    ['D61 RSA 2048 with e=3', () => jwk('RS256', { ...rsa.publicJwk, e: 'Aw' })],
    ['D63 RSA 3072 with e of 3072 bits', () => jwk('RS256', { ...numbers(3072), e: numbers(3072).n })],
    ['D65 more than 8 KiB', () => ({ claims: () => ({ pad: 'x'.repeat(PROOF_BYTES_MAX) }) })],
  ])('%s', async (_case, of) => {
    const minted = await mint(proofsOf(of(), false));
    expect([minted.status, minted.json]).toEqual([
      400,
      { error: 'invalid_dpop_proof', error_description: expect.stringMatching(/^DPoP proof, \w+: /) },
    ]);
    expect(minted.headers['cache-control']).toBe('no-store');
    const used = await use(proofsOf(of(), true));
    expect([used.status, used.json.error?.type]).toEqual([401, 'invalid_dpop_proof']);
    expect(used.headers['www-authenticate']).toMatch(/^DPoP error="invalid_dpop_proof", algs="ES256 [^"]*"$/);
    expect(used.headers['dpop-nonce']).toBeUndefined();
  });

  it('D03 two DPoP headers of one request, each of them good', async () => {
    const url = new URL(await rig.app.listen({ host: '127.0.0.1', port: 0 }));
    const send = (path: string, headers: Record<string, string | string[]>, body?: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const method = body === undefined ? 'GET' : 'POST';
        httpRequest({ host: url.hostname, port: url.port, path, method, headers }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        })
          .on('error', reject)
          .end(body);
      });
    const client = { authorization: basicOfKey(rig.tenant.live.apiKey), 'content-type': FORM };
    const form = 'grant_type=client_credentials';
    const mints = [proofFor('POST', TOKEN), proofFor('POST', TOKEN)];
    expect(await send('/oauth/token', { ...client, dpop: mints }, form)).toBe(400);
    expect(await send('/oauth/token', { ...client, dpop: mints[0]! }, form)).toBe(200);
    const ath = tokenHash(token);
    const uses = [proofFor('GET', VAULTS, { ath }), proofFor('GET', VAULTS, { ath })];
    const authorization = `DPoP ${token}`;
    expect(await send('/v1/vaults', { authorization, dpop: uses })).toBe(401);
    expect(await send('/v1/vaults', { authorization, dpop: uses[0]! })).toBe(200);
  });

  it('D33, D67 a proof that was used, at the other endpoint of the same key too', async () => {
    const jti = 'spent';
    expect((await mint(proofFor('POST', TOKEN, { jti }))).status).toBe(200);
    expect((await mint(proofFor('POST', TOKEN, { jti }))).json.error).toBe('invalid_dpop_proof');
    const used = await use(proofFor('GET', VAULTS, { jti, ath: tokenHash(token) }));
    expect([used.status, used.json.error.type]).toEqual([401, 'invalid_dpop_proof']);
  });
});

describe('is taken at the token endpoint and at the API', () => {
  it.each<[string, (htu: string) => Case]>([
    ['D07 typ in another case', () => ({ form: { header: { typ: 'DPOP+JWT' } } })],
    ['D07 typ as a media type', () => ({ form: { header: { typ: 'application/dpop+jwt' } } })],
    ['D27 host in upper case', () => ({ claims: (htu) => ({ htu: htu.replace('knox', 'KNOX') }) })],
    [
      'D27 the port of https',
      () => ({ claims: (htu) => ({ htu: htu.replace('.example', '.example:443') }) }),
    ],
    [
      'D27 an escape that needs none',
      () => ({ claims: (htu) => ({ htu: htu.replace(/a/g, '%61').replace('ex%61mple', 'example') }) }),
    ],
    ['D27 dots', () => ({ claims: (htu) => ({ htu: htu.replace('.example/', '.example/a/../') }) })],
    ['D53 a query', () => ({ claims: (htu) => ({ htu: `${htu}?a=b` }) })],
    ['a fragment', () => ({ claims: (htu) => ({ htu: `${htu}#b` }) })],
    ['D31 10 s old', () => ({ claims: () => ({ iat: nowSeconds() - 10 }) })],
    ['D31 10 s ahead', () => ({ claims: () => ({ iat: nowSeconds() + 10 }) })],
    ['60 s old', () => ({ claims: () => ({ iat: nowSeconds() - 60 }) })],
    [
      'nbf ahead and claims of others (decision 5)',
      () => ({ claims: () => ({ nbf: 9e12, sub: 'x', aud: ['y'] }) }),
    ],
  ])('%s', async (_case, of) => {
    const minted = await mint(proofsOf(of(TOKEN), false));
    expect([minted.status, minted.json.token_type]).toEqual([200, 'DPoP']);
    expect((await use(proofsOf(of(VAULTS), true))).status).toBe(200);
  });

  it('D35 the jti of another key', async () => {
    const jti = 'shared';
    expect((await mint(proofFor('POST', TOKEN, { jti }))).status).toBe(200);
    expect((await mint(proofFor('POST', TOKEN, { jti }, {}, createProofMaker()))).status).toBe(200);
  });

  it('I15 a proof of each algorithm that the metadata names, and of no other', async () => {
    const { json } = await rig.ask('GET', '/.well-known/oauth-authorization-server');
    const algorithms: string[] = json.dpop_signing_alg_values_supported;
    expect(algorithms).toEqual(['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256']);
    for (const alg of algorithms) {
      const by = createProofMaker(alg);
      const minted = await mint(proofFor('POST', TOKEN, {}, {}, by));
      expect([alg, minted.status, minted.json.token_type]).toEqual([alg, 200, 'DPoP']);
    }
  });
});

describe('D41 what a stranger writes into his request', () => {
  it.each<[string, Record<string, string>]>([
    [
      'X-Forwarded-*',
      { 'x-forwarded-proto': 'http', 'x-forwarded-host': 'evil.example', 'x-forwarded-port': '1' },
    ],
    ['Forwarded', { forwarded: 'host=evil.example;proto=http' }],
    ['Host', { host: 'evil.example' }],
    ['X-Original-URL', { 'x-original-url': 'http://evil.example/', 'x-rewrite-url': '/' }],
  ])('%s steers no htu', async (_name, headers) => {
    for (const origin of ['http://evil.example', 'https://evil.example', 'http://knox.example']) {
      const refused = await mint(proofFor('POST', `${origin}/oauth/token`), headers);
      expect([origin, refused.status, refused.json.error]).toEqual([origin, 400, 'invalid_dpop_proof']);
      const dpop = proofFor('GET', `${origin}/v1/vaults`, { ath: tokenHash(token) });
      expect([origin, (await use(dpop, headers)).status]).toEqual([origin, 401]);
    }
    expect((await mint(proofFor('POST', TOKEN), headers)).status).toBe(200);
    expect((await use(proofFor('GET', VAULTS, { ath: tokenHash(token) }), headers)).status).toBe(200);
  });
});

describe('D43 a proof of a client that need send none', () => {
  it('binds the token all the same: as Bearer, by another key and without a proof it is nothing', async () => {
    const minted = await mint(proofFor('POST', TOKEN));
    const { access_token: text, token_type } = minted.json;
    expect(token_type).toBe('DPoP');
    const introspected = await askOAuth(rig.ask, '/oauth/introspect', {
      authorization: basicOfKey(rig.tenant.live.apiKey),
      form: { token: text },
    });
    const jkt = await calculateJwkThumbprint(maker.publicJwk);
    expect(introspected.json).toMatchObject({ active: true, token_type: 'DPoP', cnf: { jkt } });
    const ath = tokenHash(text);
    const call = async (scheme: string, dpop?: string) => {
      const headers = { authorization: `${scheme} ${text}`, ...(dpop && { dpop }) };
      const { status, json, headers: answered } = await rig.ask('GET', '/v1/vaults', { headers });
      return [
        status,
        json.error?.type,
        /^DPoP error="(\w+)"/.exec(String(answered['www-authenticate']))?.[1],
      ];
    };
    expect(await call('Bearer')).toEqual([401, 'invalid_token', 'invalid_token']);
    expect(await call('Bearer', proofFor('GET', VAULTS, { ath }))).toEqual([
      401,
      'invalid_token',
      'invalid_token',
    ]);
    const other = proofFor('GET', VAULTS, { ath }, {}, createProofMaker());
    expect(await call('DPoP', other)).toEqual([401, 'invalid_token', 'invalid_token']);
    expect(await call('DPoP')).toEqual([401, 'invalid_dpop_proof', 'invalid_dpop_proof']);
    expect(await call('DPoP', proofFor('GET', VAULTS, { ath }))).toEqual([200, undefined, undefined]);
  });
});

describe('D45, D47 a bound token at the proxy', () => {
  it('is 401 as Bearer, as x-api-key and by another key; the answer names the scheme', async () => {
    const htu = `${ORIGIN}/v1/proxy`;
    const ath = tokenHash(token);
    const good = () => proofFor('GET', htu, { ath });
    const calls: [string, Record<string, string>][] = [
      ['Bearer', { authorization: `Bearer ${token}` }],
      ['Bearer with a proof', { authorization: `Bearer ${token}`, dpop: good() }],
      ['x-api-key', { 'x-api-key': token, dpop: good() }],
      [
        'another key',
        {
          authorization: `DPoP ${token}`,
          dpop: proofFor('GET', htu, { ath }, {}, createProofMaker()),
        },
      ],
    ];
    for (const [how, headers] of calls) {
      const answer = await rig.ask('GET', '/v1/proxy', { headers });
      expect([how, answer.status, answer.json.error.type]).toEqual([how, 401, 'invalid_token']);
      expect(answer.headers['www-authenticate']).toMatch(/^DPoP error="invalid_token", algs="ES256 /);
    }
    const taken = await rig.ask('GET', '/v1/proxy', {
      headers: { authorization: `DPoP ${token}`, dpop: good() },
    });
    expect(taken.json.error.type).toBe('missing_proxy_url');
  });
});

describe('D49 an unbound token under the scheme DPoP', () => {
  it('is 401 invalid_token, and the answer names a scheme', async () => {
    const { json } = await askOAuth(rig.ask, '/oauth/token', {
      authorization: basicOfKey(rig.tenant.live.apiKey),
      form: { grant_type: 'client_credentials' },
    });
    const dpop = proofFor('GET', VAULTS, { ath: tokenHash(json.access_token) });
    const answer = await rig.ask('GET', '/v1/vaults', {
      headers: { authorization: `DPoP ${json.access_token}`, dpop },
    });
    expect([answer.status, answer.json.error.type]).toEqual([401, 'invalid_token']);
    expect(answer.headers['www-authenticate']).toMatch(/error="invalid_token"/);
  });
});

describe('D55 a token that is not in the Authorization header', () => {
  it('is 400 in the query, also beside a credential and however it is written; and no log holds it', async () => {
    const dpop = () => proofFor('GET', VAULTS, { ath: tokenHash(token) });
    const calls: [string, Record<string, string>][] = [
      [`access_token=${token}`, {}],
      [`access_token=${token}`, { dpop: dpop() }],
      [`page=1&access_token=${token}`, { authorization: `DPoP ${token}`, dpop: dpop() }],
      [`%61ccess_token=${token}`, {}],
      [`access_token=${rig.tenant.live.apiKey}`, { 'x-api-key': rig.tenant.live.apiKey }],
      ['access_token=', { 'x-api-key': rig.tenant.live.apiKey }],
    ];
    for (const [query, headers] of calls) {
      const { status, json, text } = await rig.ask('GET', `/v1/vaults?${query}`, { headers });
      expect([query, status, json.error?.type]).toEqual([query, 400, 'validation_error']);
      expect(text).not.toContain(token);
    }
    expect(rig.logLines.join('')).not.toContain(token);
  });

  it('is 401 authentication_required in a body, JSON or form', async () => {
    const dpop = proofFor('POST', VAULTS, { ath: tokenHash(token) });
    for (const [type, payload] of [
      ['application/json', JSON.stringify({ access_token: token })],
      [FORM, `access_token=${token}`],
    ] as const) {
      const headers = { dpop, 'content-type': type };
      const { status, json } = await rig.ask('POST', '/v1/vaults', { headers, payload });
      expect([type, status, json.error?.type]).toEqual([type, 401, 'authentication_required']);
    }
  });
});
