import { createHash } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemIds } from '../../platform/crypto/random.js';
import type { TestAnswer } from '../../testing/calls.js';
import { createProofMaker } from '../../testing/dpop-proofs.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { askOAuth, basic } from '../../testing/oauth-calls.js';
import { makeClient, type TestClient } from '../../testing/oauth-grants.js';
import { oneTimeCode } from '../../testing/one-time-codes.js';
import { createPageVisitor, type PageVisitor } from '../../testing/page-visitor.js';
import { createMember, join, OWNER_PASSWORD } from '../../testing/tenants.js';

/** Sign-in, consent and codes (cases C of oauth-dpop.md). */
let rig: MatrixRig;
let client: TestClient;
beforeAll(async () => {
  rig = await openMatrixRig();
  client = await makeClient(rig, {
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [REDIRECT, 'https://app.example.com/cb?x=1'],
  });
});
afterAll(() => rig.close());

const ORIGIN = 'http://127.0.0.1:8787';
const REDIRECT = 'https://app.example.com/cb';
const LOOPBACK = 'http://127.0.0.1:49152/callback';
const VERIFIER = 'a-verifier-of-forty-three-characters-or-more';
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url');

const asked = (params: Record<string, string | undefined> = {}) => {
  const all = {
    response_type: 'code',
    client_id: client.clientId,
    redirect_uri: REDIRECT,
    state: 'st&te=1',
    scope: 'vaults:read log:list',
    code_challenge: CHALLENGE,
    code_challenge_method: 'S256',
    ...params,
  };
  const present = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return `/oauth/authorize?${new URLSearchParams(present)}`;
};

async function signedIn(path = asked(), email = rig.tenant.ownerEmail): Promise<[PageVisitor, TestAnswer]> {
  const visitor = createPageVisitor(rig.ask);
  const page = await visitor.get(path);
  const answer = await visitor.press(page, 'sign_in', { email, password: OWNER_PASSWORD });
  expect([answer.status, answer.headers['location']]).toEqual([303, path]);
  return [visitor, await visitor.get(path)];
}

function wentTo(answer: TestAnswer, uri = REDIRECT): URLSearchParams {
  expect(answer.status).toBe(303);
  const location = String(answer.headers['location']);
  expect(location.startsWith(uri)).toBe(true);
  return new URL(location).searchParams;
}

/** A code that the owner has allowed. */
async function codeFor(params: Record<string, string | undefined> = {}): Promise<string> {
  const [visitor, page] = await signedIn(asked(params));
  const found = wentTo(await visitor.press(page, 'allow'), params['redirect_uri'] ?? REDIRECT);
  expect([found.get('state'), found.get('iss')]).toEqual(['st&te=1', ORIGIN]);
  return found.get('code')!;
}

const redeem = (
  code: string,
  form: Record<string, string | undefined> = {},
  headers: Record<string, string> = {},
  by: TestClient | null = client,
) => {
  const all = {
    grant_type: 'authorization_code',
    code,
    redirect_uri: REDIRECT,
    code_verifier: VERIFIER,
    ...form,
  };
  const present = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return askOAuth(rig.ask, '/oauth/token', {
    form: Object.fromEntries(present),
    authorization: by ? basic(by.clientId, by.secret) : undefined,
    headers,
  });
};

const people = () => ({ db: rig.db, clock: rig.clock, ids: systemIds });
const refusal = (answer: TestAnswer) => [answer.status, answer.json.error];
const use = (token: unknown) =>
  rig.ask('GET', '/v1/vaults', { headers: { authorization: `Bearer ${token}` } });

async function audited(action: string) {
  await rig.db.flush();
  const { json } = await rig.ask('GET', `/v1/audit-logs?per_page=100&action=${action}`, {
    key: rig.tenant.live,
  });
  return json.data as { resource_type: string; resource_id: string; details: Record<string, unknown> }[];
}

describe('of a user with a code app', () => {
  async function pageOf(page: TestAnswer, visitor: PageVisitor, email: string): Promise<TestAnswer> {
    return visitor.press(page, 'sign_in', { email, password: OWNER_PASSWORD });
  }

  async function userWithApp() {
    const world = await rig.world('admin', rig.tenant, 'live').withNewUser();
    const nowMs = rig.clock.nowMs();
    const { secret } = (await world.call('POST', '/admin/auth/mfa/totp/setup')).json;
    const body = { code: oneTimeCode(secret, nowMs, -1) };
    const { recovery_codes: codes } = (await world.call('POST', '/admin/auth/mfa/totp/confirm', { body }))
      .json;
    return { email: world.tenant.ownerEmail, code: oneTimeCode(secret, nowMs), recovery: codes as string[] };
  }

  it('the password alone lets nobody in: the code is asked for, and a recovery code will do', async () => {
    const { email, code, recovery } = await userWithApp();
    // Apps show a code in two halves.
    for (const right of [code.replace(/^.../, '$& '), recovery[0]!]) {
      const visitor = createPageVisitor(rig.ask);
      const due = await pageOf(await visitor.get(asked()), visitor, email);
      expect([due.status, due.text.includes('One more step')]).toEqual([200, true]);
      expect([...visitor.cookies.keys()]).toEqual(['knox_browser']);
      expect((await visitor.get(asked())).text).toContain('name="password"');
      const wrong = await visitor.press(due, 'second_factor', { code: '000000' });
      expect([wrong.status, wrong.text.includes('This code is wrong')]).toEqual([401, true]);
      const answer = await visitor.press(wrong, 'second_factor', { code: right });
      expect([answer.status, answer.headers['location']]).toEqual([303, asked()]);
      expect((await visitor.get(asked())).text).toContain('asks for access');
      const again = await visitor.press(wrong, 'second_factor', { code: recovery[1]! });
      expect(again.status).toBe(403);
    }
  });

  it('a sign-in that took too long begins again', async () => {
    const { email } = await userWithApp();
    const visitor = createPageVisitor(rig.ask);
    const due = await pageOf(await visitor.get(asked()), visitor, email);
    const forged = { ...due, text: due.text.replace(/(name="mfa_token" value=")[^"]*/, '$1none') };
    const answer = await visitor.press(forged, 'second_factor', { code: '000000' });
    expect([answer.status, answer.text.includes('That took too long')]).toEqual([401, true]);
    expect(answer.text).toContain('name="password"');
    const endless = await visitor.press(due, 'second_factor', { code: '0'.repeat(99) });
    expect(endless.status).toBe(400);
  });
});

describe('the way to a code', () => {
  it('leads from sign-in over consent to a pair of tokens that acts for the user', async () => {
    const code = await codeFor();
    const { status, json } = await redeem(code);
    expect([status, json]).toEqual([
      200,
      {
        access_token: expect.stringMatching(/^kc_live_/),
        token_type: 'Bearer',
        expires_in: 3600,
        scope: 'vaults:read log:list',
        refresh_token: expect.stringMatching(/^[\w-]{43}$/),
        tenant: 'acme',
      },
    ]);
    expect((await use(json.access_token)).status).toBe(200);
    const [row] = await audited('oauth.consent.grant');
    expect(row).toMatchObject({
      resource_type: 'oauth_client',
      details: { scope: 'vaults:read log:list', sandbox: false },
    });
    expect(rig.logLines.join('')).not.toContain(code);
  });

  it('shows pages that no frame, script or cache gets at (C35)', async () => {
    const [visitor, consent] = await signedIn();
    for (const page of [await createPageVisitor(rig.ask).get(asked()), consent]) {
      expect(page.status).toBe(200);
      expect(page.headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
        'x-frame-options': 'DENY',
      });
      const policy = String(page.headers['content-security-policy']);
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(page.text).not.toMatch(/<script|javascript:| on\w+=|https?:\/\/(?!app\.example)/i);
    }
    expect(consent.headers['content-security-policy']).toContain(
      "form-action 'self' https://app.example.com",
    );
    for (const token of visitor.cookies.values()) expect(consent.text).not.toContain(token);
  });

  it('answers a POST by 303, which leaves what was posted behind (C15)', async () => {
    const [visitor, page] = await signedIn();
    expect((await visitor.press(page, 'allow')).status).toBe(303);
  });

  it('tells the client that the user denies (C17), and where the answer comes from', async () => {
    const [visitor, page] = await signedIn();
    const found = wentTo(await visitor.press(page, 'deny'));
    expect(Object.fromEntries(found)).toMatchObject({
      error: 'access_denied',
      state: 'st&te=1',
      iss: ORIGIN,
    });
    expect((await audited('oauth.consent.deny')).length).toBe(1);
  });

  it('says the same of a wrong password and of an unknown account, and keeps the email', async () => {
    const texts = [];
    for (const email of [rig.tenant.ownerEmail, 'nobody@example.com']) {
      const visitor = createPageVisitor(rig.ask);
      const page = await visitor.get(asked());
      const answer = await visitor.press(page, 'sign_in', { email, password: 'a wrong password' });
      expect(answer.status).toBe(401);
      expect(answer.text).toContain(email);
      texts.push(answer.text.replaceAll(email, '').replaceAll(/value="[\w-]{43}"/g, ''));
    }
    expect(texts[0]).toBe(texts[1]);
  });

  it('lets another account in, and forgets the first', async () => {
    const [visitor, page] = await signedIn();
    const out = await visitor.press(page, 'sign_out');
    expect([out.status, visitor.cookies.has('knox_sign_in')]).toEqual([303, false]);
    expect((await visitor.get(asked())).text).toContain('Sign in');
  });

  it('asks for a sign-in again once the session has ended', async () => {
    const [visitor] = await signedIn();
    rig.clock.advance(15 * 60_000);
    expect((await visitor.get(asked())).text).toContain('Sign in');
  });

  it('does not let a member of no tenant of the client in', async () => {
    const [, page] = await signedIn(asked(), rig.other.ownerEmail);
    expect([page.status, page.text]).toEqual([403, expect.stringContaining('cannot use this application')]);
  });

  it('puts no text of anybody into the page as markup', async () => {
    const name = '<img src=x onerror=alert(1)>"\'&';
    const named = await makeClient(rig, {
      name,
      grant_types: ['authorization_code'],
      redirect_uris: [REDIRECT],
      consent_html_template:
        '<p>We <b>only</b> read.</p><script>x()</script><a href="https://evil.example">Allow</a><img src="https://evil.example/x"><style>*{}</style><form action=x><input></form>',
    });
    const [, page] = await signedIn(asked({ client_id: named.clientId }));
    expect(page.text).toContain('<p>We <b>only</b> read.</p>');
    expect(page.text).not.toMatch(/<script|<img|evil\.example|<style>\*|onerror=alert\(1\)>"/);
    expect(page.text).toContain('&lt;img src=x onerror=alert(1)&gt;');
  });
});

describe('what is refused by a page, and told to nobody else', () => {
  it.each([
    ['client_id missing (C05)', { client_id: undefined }],
    ['client_id unknown', { client_id: 'kcc_live_unknown' }],
    ['redirect_uri missing of several (C07)', { redirect_uri: undefined }],
    ['another path (C09)', { redirect_uri: 'https://app.example.com/cb/../x' }],
    ['a query more (C09)', { redirect_uri: 'https://app.example.com/cb?y=1' }],
    ['an escape more (C09)', { redirect_uri: 'https://app.example.com/cb%2f' }],
    ['a fragment (C13)', { redirect_uri: `${REDIRECT}#f` }],
    ['another case', { redirect_uri: 'https://APP.example.com/cb' }],
    ['a port', { redirect_uri: 'https://app.example.com:443/cb' }],
    ['a user', { redirect_uri: 'https://app.example.com@evil.example/cb' }],
  ])('%s', async (_case, params) => {
    const answer = await createPageVisitor(rig.ask).get(asked(params));
    expect([answer.status, answer.headers['location']]).toEqual([400, undefined]);
    expect(answer.headers['content-type']).toContain('text/html');
  });

  it('a client of another mode than the host', async () => {
    const answer = await rig.ask('GET', asked(), { host: 'sandbox.localhost:8787' });
    expect(answer.status).toBe(400);
  });

  it('a redirect_uri that is sent twice', async () => {
    const answer = await rig.ask('GET', `${asked()}&redirect_uri=https%3A%2F%2Fevil.example`);
    expect(answer.status).toBe(400);
  });

  it.each(['', 'csrf_token=', `csrf_token=${'x'.repeat(43)}`])(
    'a consent without the token of its page (C37): %j',
    async (token) => {
      const [visitor] = await signedIn();
      const form = Object.fromEntries(new URLSearchParams(`act=allow&${token}`));
      const answer = await visitor.post(asked(), form);
      expect([answer.status, answer.headers['location']]).toEqual([403, undefined]);
    },
  );

  it('a consent with the token of another browser, or from before the sign-in', async () => {
    const [one, page] = await signedIn();
    const [, theirs] = await signedIn();
    const token = /name="csrf_token" value="([^"]*)"/;
    for (const foreign of [theirs, await createPageVisitor(rig.ask).get(asked())]) {
      const answer = await one.post(asked(), { act: 'allow', csrf_token: token.exec(foreign.text)![1]! });
      expect(answer.status).toBe(403);
    }
    expect((await one.press(page, 'allow')).status).toBe(303);
  });
});

describe('what is told to the client', () => {
  it.each([
    ['response_type missing (C01)', { response_type: undefined }, 'invalid_request'],
    ['response_type code id_token (C03)', { response_type: 'code id_token' }, 'unsupported_response_type'],
    ['response_type token', { response_type: 'token' }, 'unsupported_response_type'],
    ['response_mode fragment', { response_mode: 'fragment' }, 'invalid_request'],
    [
      'code_challenge missing (C19)',
      { code_challenge: undefined, code_challenge_method: undefined },
      'invalid_request',
    ],
    ['method without challenge (C21)', { code_challenge: undefined }, 'invalid_request'],
    ['method plain', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['method missing', { code_challenge_method: undefined }, 'invalid_request'],
    ['challenge that is no SHA-256', { code_challenge: 'short' }, 'invalid_request'],
    ['dpop_jkt that is no thumbprint', { dpop_jkt: 'short' }, 'invalid_request'],
    ['scope unknown', { scope: 'vaults:read everything' }, 'invalid_scope'],
    ['scope of nobody', { scope: '*' }, 'invalid_scope'],
    ['request object', { request: 'eyJ' }, 'request_not_supported'],
    ['request_uri', { request_uri: 'https://x.example' }, 'request_uri_not_supported'],
  ])('%s', async (_case, params, code) => {
    const found = wentTo(
      await createPageVisitor(rig.ask).get(asked(params as Record<string, string | undefined>)),
    );
    expect([found.get('error'), found.get('state'), found.get('iss')]).toEqual([code, 'st&te=1', ORIGIN]);
    expect(found.get('error_description')).not.toBe('');
  });

  it('state that is sent twice comes back not at all', async () => {
    const found = wentTo(await rig.ask('GET', `${asked()}&state=other`));
    expect([found.get('error'), found.get('state')]).toEqual(['invalid_request', null]);
  });

  it('a client that may not use the grant', async () => {
    const machine = await makeClient(rig, {
      grant_types: ['client_credentials', 'urn:ietf:params:oauth:grant-type:device_code'],
      redirect_uris: [REDIRECT],
    });
    const found = wentTo(await rig.ask('GET', asked({ client_id: machine.clientId })));
    expect(found.get('error')).toBe('unauthorized_client');
  });

  it('a scope that the user does not hold, once it is known who that is', async () => {
    const email = await createMember(people(), rig.tenant, 'viewer');
    const path = asked({ scope: 'vaults:write' });
    const visitor = createPageVisitor(rig.ask);
    await visitor.press(await visitor.get(path), 'sign_in', { email, password: OWNER_PASSWORD });
    expect(wentTo(await visitor.get(path)).get('error')).toBe('invalid_scope');
  });

  it('keeps the query of a registered address', async () => {
    const uri = 'https://app.example.com/cb?x=1';
    const [visitor, page] = await signedIn(asked({ redirect_uri: uri }));
    const found = wentTo(await visitor.press(page, 'allow'), `${uri}&code=`);
    expect(found.get('x')).toBe('1');
  });
});

describe('a code', () => {
  it.each([
    ['with a wrong verifier (C25)', { code_verifier: `${VERIFIER}x` }, 'invalid_grant'],
    ['with a verifier that is none', { code_verifier: 'short' }, 'invalid_grant'],
    ['without a verifier', { code_verifier: undefined }, 'invalid_request'],
    ['with another redirect_uri (C31)', { redirect_uri: 'https://app.example.com/cb?x=1' }, 'invalid_grant'],
    ['without redirect_uri (C31)', { redirect_uri: undefined }, 'invalid_grant'],
    ['that is unknown', { code: 'unknown' }, 'invalid_grant'],
    ['missing', { code: undefined }, 'invalid_request'],
  ])('is refused %s, and is good afterwards', async (_case, form, error) => {
    const code = await codeFor();
    expect(refusal(await redeem(code, form))).toEqual([400, error]);
    expect((await redeem(code)).status).toBe(200);
  });

  it('is good for 60 s (C29)', async () => {
    const [code, late] = [await codeFor(), await codeFor()];
    rig.clock.advance(59_000);
    expect((await redeem(code)).status).toBe(200);
    rig.clock.advance(1_000);
    expect(refusal(await redeem(late))).toEqual([400, 'invalid_grant']);
  });

  it('is refused to another client, and stays good for its own', async () => {
    const stranger = await makeClient(rig, {
      grant_types: ['authorization_code'],
      redirect_uris: [REDIRECT],
    });
    const code = await codeFor();
    expect(refusal(await redeem(code, {}, {}, stranger))).toEqual([400, 'invalid_grant']);
    expect((await redeem(code)).status).toBe(200);
  });

  it('that comes a second time ends what the first gave', async () => {
    const code = await codeFor();
    const { json } = await redeem(code);
    expect((await use(json.access_token)).status).toBe(200);
    expect(refusal(await redeem(code))).toEqual([400, 'invalid_grant']);
    expect((await use(json.access_token)).status).toBe(401);
    const form = { grant_type: 'refresh_token', refresh_token: String(json.refresh_token) };
    const refreshed = await askOAuth(rig.ask, '/oauth/token', {
      form,
      authorization: basic(client.clientId, client.secret),
    });
    expect(refusal(refreshed)).toEqual([400, 'invalid_grant']);
  });

  it('gives one pair to twenty who redeem it at once, and none of it lives', async () => {
    const code = await codeFor();
    const answers = await Promise.all(Array.from({ length: 20 }, () => redeem(code)));
    const given = answers.filter(({ status }) => status === 200);
    expect(given.length).toBe(1);
    expect(new Set(answers.filter(({ status }) => status !== 200).map(({ json }) => json.error))).toEqual(
      new Set(['invalid_grant']),
    );
    expect((await use(given[0]!.json.access_token)).status).toBe(401);
  });

  it('bound by dpop_jkt is good for that key alone (C33)', async () => {
    const [key, other] = [createProofMaker(), createProofMaker()];
    const code = await codeFor({ dpop_jkt: await calculateJwkThumbprint(key.publicJwk) });
    const proofBy = (by: typeof key) => ({
      dpop: by.make({ htm: 'POST', htu: `${ORIGIN}/oauth/token`, iat: Math.floor(rig.clock.nowMs() / 1000) }),
    });
    expect(refusal(await redeem(code))).toEqual([400, 'invalid_dpop_proof']);
    expect(refusal(await redeem(code, {}, proofBy(other)))).toEqual([400, 'invalid_grant']);
    const { status, json } = await redeem(code, {}, proofBy(key));
    expect([status, json.token_type]).toEqual([200, 'DPoP']);
  });

  it('gives no refresh token to a client that may not refresh', async () => {
    const once = await makeClient(rig, { grant_types: ['authorization_code'], redirect_uris: [REDIRECT] });
    const code = await codeFor({ client_id: once.clientId });
    const { json } = await redeem(code, {}, {}, once);
    expect(json.refresh_token).toBeUndefined();
  });
});

describe('knoxcall-cli', () => {
  const cli = { client_id: 'knoxcall-cli', redirect_uri: LOOPBACK };

  it('logs in at any port of loopback, learns its own client, and refreshes as that (C11)', async () => {
    const code = await codeFor(cli);
    const { status, json } = await redeem(
      code,
      { client_id: 'knoxcall-cli', redirect_uri: LOOPBACK },
      {},
      null,
    );
    expect([status, json.client_id, json.tenant]).toEqual([200, expect.stringMatching(/^kcc_live_/), 'acme']);
    const form = {
      grant_type: 'refresh_token',
      refresh_token: String(json.refresh_token),
      client_id: String(json.client_id),
    };
    expect((await askOAuth(rig.ask, '/oauth/token', { form })).status).toBe(200);
    const again = await redeem(await codeFor(cli), { ...cli }, {}, null);
    expect(again.json.client_id).toBe(json.client_id);
  });

  it('cannot redeem a code of another client, nor another client its code', async () => {
    expect(refusal(await redeem(await codeFor(), { client_id: 'knoxcall-cli' }, {}, null))).toEqual([
      400,
      'invalid_grant',
    ]);
    expect(refusal(await redeem(await codeFor(cli), { redirect_uri: LOOPBACK }))).toEqual([
      400,
      'invalid_grant',
    ]);
  });

  it.each(['http://localhost:1/callback', 'http://127.0.0.2:1/callback', 'http://127.0.0.1:1/other'])(
    'is not answered at %s',
    async (redirect_uri) => {
      const answer = await rig.ask('GET', asked({ ...cli, redirect_uri }));
      expect(answer.status).toBe(400);
    },
  );

  it('lets a user of several tenants choose, or says which it means', async () => {
    const email = await createMember(people(), rig.tenant, 'developer');
    await join(people(), email, rig.other.id, 'viewer');
    const path = asked({ ...cli, scope: undefined });
    const [visitor, page] = await signedIn(path, email);
    expect(page.text).toContain('Which tenant');
    const links = [...page.text.matchAll(/href="(\/oauth\/authorize[^"]*)"/g)].map(([, href]) =>
      href!.replaceAll('&amp;', '&'),
    );
    expect(links.map((href) => new URLSearchParams(href.split('?')[1]).get('tenant')).sort()).toEqual([
      'acme',
      'globex',
    ]);
    const chosen = await visitor.get(links.find((href) => href.endsWith('globex'))!);
    expect(chosen.text).toContain('globex');
    // The rest of a query that holds a question mark goes along.
    const asking = await visitor.get(path.replace('state=', 'more=?&state='));
    expect(asking.text).toMatch(/href="[^"]*state=[^"]*tenant=globex"/);
    const hinted = await visitor.get(`${path}&tenant=acme`);
    expect(hinted.text).toContain('asks for access');
    expect((await visitor.get(`${path}&tenant=initech`)).status).toBe(403);
  });
});
