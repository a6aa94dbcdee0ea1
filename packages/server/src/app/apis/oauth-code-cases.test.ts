import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import { consentPage, walkConsent } from '../../testing/consent-walk.js';
import { createProofMaker } from '../../testing/dpop-proofs.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { askOAuth } from '../../testing/oauth-calls.js';
import { makeClient, type TestClient } from '../../testing/oauth-grants.js';

/** Cases C of oauth-dpop.md that are about more than one request, and the keys that codes and families are bound to. */
const ORIGIN = 'http://127.0.0.1:8787';
const REDIRECT = 'https://app.example.com/cb';
const VERIFIERS = ['a'.repeat(43), 'b'.repeat(43)] as const;
const challengeOf = (verifier: string) => createHash('sha256').update(verifier).digest('base64url');

let rig: MatrixRig;
let client: TestClient;
let native: TestClient;
beforeAll(async () => {
  rig = await openMatrixRig();
  client = await makeClient(rig, { redirect_uris: [REDIRECT] });
  const redirect_uris = ['http://127.0.0.1/cb', 'http://[::1]/cb', REDIRECT];
  native = await makeClient(rig, { type: 'public', redirect_uris });
});
afterAll(() => rig.close());

type Params = Record<string, string | undefined>;
const present = (params: Params) =>
  Object.fromEntries(
    Object.entries(params).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );

function asked(params: Params = {}): URL {
  const url = new URL('/oauth/authorize', ORIGIN);
  const usual = {
    response_type: 'code',
    client_id: client.clientId,
    redirect_uri: REDIRECT,
    state: 'state',
    scope: 'vaults:read',
    code_challenge: challengeOf(VERIFIERS[0]),
    code_challenge_method: 'S256',
  };
  url.search = new URLSearchParams(present({ ...usual, ...params })).toString();
  return url;
}

const codeFor = async (params: Params = {}) =>
  (await walkConsent(rig, asked(params))).searchParams.get('code')!;

function token(form: Params, dpop?: string, by: TestClient = client) {
  const named = by.authorization === undefined ? { client_id: by.clientId } : {};
  return askOAuth(rig.ask, '/oauth/token', {
    authorization: by.authorization,
    form: present({ ...named, ...form }),
    ...(dpop !== undefined && { headers: { dpop } }),
  });
}

const redeem = (code: string, form: Params = {}, dpop?: string, by?: TestClient) =>
  token(
    { grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: VERIFIERS[0], ...form },
    dpop,
    by,
  );
const refusal = ({ status, json }: Awaited<ReturnType<typeof redeem>>) => [status, json.error];

function proof(by = createProofMaker()): string {
  return by.make({ htm: 'POST', htu: `${ORIGIN}/oauth/token`, iat: Math.floor(rig.clock.nowMs() / 1000) });
}

describe('C11 a loopback address of a native client', () => {
  it.each([
    'http://127.0.0.1/cb',
    'http://127.0.0.1:1/cb',
    'http://127.0.0.1:49152/cb',
    'http://127.0.0.1:65535/cb',
    'http://[::1]:49152/cb',
  ])('%s: 200, and the code comes there and is good with that port alone', async (redirect_uri) => {
    const url = asked({ client_id: native.clientId, redirect_uri });
    const [visitor, page] = await consentPage(rig, `${url.pathname}${url.search}`);
    expect(page.status).toBe(200);
    const location = String((await visitor.press(page, 'allow')).headers['location']);
    expect(location.startsWith(`${redirect_uri}?`)).toBe(true);
    const code = new URL(location).searchParams.get('code')!;
    const elsewhere = redirect_uri.replace(/(:\d+)?\/cb$/, ':7/cb');
    expect(refusal(await redeem(code, { redirect_uri: elsewhere }, undefined, native))).toEqual([
      400,
      'invalid_grant',
    ]);
    expect((await redeem(code, { redirect_uri }, undefined, native)).status).toBe(200);
  });

  it.each([
    'http://127.0.0.1:49152/cb/',
    'http://127.0.0.1:49152/cb?x=1',
    'http://127.0.0.1:49152/other',
    'http://127.0.0.1:123456/cb',
    'http://127.0.0.1:/cb',
    'http://127.0.0.1:1@evil.example/cb',
    'http://127.0.0.1.evil.example:1/cb',
    'http://127.1:49152/cb',
    'http://127.0.0.2:49152/cb',
    'http://localhost:49152/cb',
    'https://127.0.0.1:49152/cb',
    'https://app.example.com:49152/cb',
  ])('%s is not it: 400 without a redirect', async (redirect_uri) => {
    const url = asked({ client_id: native.clientId, redirect_uri });
    const answer = await rig.ask('GET', `${url.pathname}${url.search}`);
    expect([answer.status, answer.headers['location']]).toEqual([400, undefined]);
  });
});

describe('C23 a downgrade of PKCE', () => {
  it.each<[string, Params]>([
    ['no challenge', { code_challenge: undefined, code_challenge_method: undefined }],
    ['an empty challenge', { code_challenge: '' }],
    ['plain', { code_challenge: VERIFIERS[0], code_challenge_method: 'plain' }],
    ['no method, which would be plain', { code_challenge: VERIFIERS[0], code_challenge_method: undefined }],
    ['S256 in lower case', { code_challenge_method: 's256' }],
  ])('%s gets no code, also from who has signed in', async (_how, params) => {
    const url = asked(params);
    const [, page] = await consentPage(rig, asked().pathname + asked().search);
    expect(page.status).toBe(200);
    const answer = await rig.ask('GET', `${url.pathname}${url.search}`);
    const to = new URL(String(answer.headers['location']));
    expect([to.searchParams.get('error'), to.searchParams.get('code')]).toEqual(['invalid_request', null]);
  });

  it('the challenge itself as the verifier is 400 invalid_grant', async () => {
    const code = await codeFor();
    const form = { code_verifier: challengeOf(VERIFIERS[0]) };
    expect(refusal(await redeem(code, form))).toEqual([400, 'invalid_grant']);
  });
});

describe('C27 a code of another session', () => {
  it('is 400 invalid_grant with the verifier of the session that it was put into, and good in its own', async () => {
    const theirs = await codeFor({ code_challenge: challengeOf(VERIFIERS[1]), state: 'theirs' });
    const mine = await codeFor();
    expect(refusal(await redeem(theirs))).toEqual([400, 'invalid_grant']);
    expect(refusal(await redeem(mine, { code_verifier: VERIFIERS[1] }))).toEqual([400, 'invalid_grant']);
    expect((await redeem(mine)).status).toBe(200);
    expect((await redeem(theirs, { code_verifier: VERIFIERS[1] })).status).toBe(200);
  });
});

describe('C31 the redirect_uri of a code', () => {
  it.each<[string, string | undefined]>([
    ['missing', undefined],
    ['empty', ''],
    ['another', `${REDIRECT}/`],
    ['in another case', REDIRECT.replace('app', 'APP')],
  ])('%s: 400 invalid_grant', async (_how, redirect_uri) => {
    const code = await codeFor();
    expect(refusal(await redeem(code, { redirect_uri }))).toEqual([400, 'invalid_grant']);
  });

  it('missing where the only one registered was taken: it has to come all the same', async () => {
    const code = await codeFor({ redirect_uri: undefined });
    expect(refusal(await redeem(code, { redirect_uri: undefined }))).toEqual([400, 'invalid_grant']);
    expect((await redeem(code)).status).toBe(200);
  });
});

describe('C35 what stands in addresses', () => {
  it('is the code, and never a token', async () => {
    const back = await walkConsent(rig, asked());
    expect([...back.searchParams.keys()].sort()).toEqual(['code', 'iss', 'state']);
    expect([back.origin + back.pathname, back.hash]).toEqual([REDIRECT, '']);
    const denied = await walkConsent(rig, asked(), 'deny');
    expect([...denied.searchParams.keys()].sort()).toEqual(['error', 'error_description', 'iss', 'state']);
    const { json } = await redeem(back.searchParams.get('code')!);
    const log = rig.logLines.join('');
    for (const text of [json.access_token, json.refresh_token]) expect(log).not.toContain(text);
  });

  it('the pages say no-referrer, also those of an error, a sign-in that fails and an activation', async () => {
    const [visitor] = await consentPage(rig, asked().pathname + asked().search);
    const signIn = await visitor.get('/oauth/activate');
    for (const page of [
      await rig.ask('GET', '/oauth/authorize'),
      await rig.ask('GET', '/oauth/activate'),
      signIn,
      await visitor.get('/oauth/activate?user_code=BBBB-BBBB'),
      await visitor.post('/oauth/activate', { act: 'approve' }),
    ]) {
      expect(page.headers).toMatchObject({ 'referrer-policy': 'no-referrer', 'cache-control': 'no-store' });
      expect(String(page.headers['content-security-policy'])).toContain("frame-ancestors 'none'");
    }
  });
});

describe('decision 8: a family is bound to the key of its first proof', () => {
  it.each<[string, () => TestClient]>([
    ['confidential', () => client],
    ['public', () => native],
  ])('of a %s client', async (_type, of) => {
    const by = of();
    const key = createProofMaker();
    const code = await codeFor({ client_id: by.clientId });
    const first = await redeem(code, {}, proof(key), by);
    expect([first.status, first.json.token_type]).toEqual([200, 'DPoP']);
    const refresh = (dpop?: string) =>
      token({ grant_type: 'refresh_token', refresh_token: first.json.refresh_token }, dpop, by);
    expect(refusal(await refresh())).toEqual([400, 'invalid_dpop_proof']);
    expect(refusal(await refresh(proof()))).toEqual([400, 'invalid_grant']);
    const next = await refresh(proof(key));
    expect([next.status, next.json.token_type]).toEqual([200, 'DPoP']);
  });
});

describe('C29 and I03 the end of a code', () => {
  it('is 60 s, and what it was is no token for anybody', async () => {
    const code = await codeFor();
    const answer = await askOAuth(rig.ask, '/oauth/introspect', {
      authorization: client.authorization,
      form: { token: code },
    });
    expect([answer.status, answer.json]).toEqual([200, { active: false }]);
    const use = await rig.ask('GET', '/v1/vaults', { token: code });
    expect(use.status).toBe(401);
    rig.clock.advance(LIMITS.authorizationCodeMs);
    expect(refusal(await redeem(code))).toEqual([400, 'invalid_grant']);
  });
});
