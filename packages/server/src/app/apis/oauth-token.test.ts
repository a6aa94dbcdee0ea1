import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTenantSwitch } from '../../capabilities/plans/index.js';
import { LIMITS } from '../../kernel/limits.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { askOAuth, basic, basicOfKey, FORM, type OAuthCall } from '../../testing/oauth-calls.js';
import { makeClient, openFamily } from '../../testing/oauth-grants.js';

/** The token endpoint: how clients authenticate, and how they are refused (cases T of oauth-dpop.md). */
let rig: MatrixRig;
let accessKey: string;
beforeAll(async () => {
  rig = await openMatrixRig();
  const body = { name: 'ake', key_type: 'access_key', scopes: ['vaults:read', 'vaults:tokenize'] };
  accessKey = (await rig.world('admin', rig.tenant, 'live').create('/admin/api-keys', body))['api_key']!;
});
afterAll(() => rig.close());

const GRANT = { grant_type: 'client_credentials' };
const liveKey = () => rig.tenant.live.apiKey;
const testKey = () => rig.tenant.test.apiKey;
const token = (call: OAuthCall) => askOAuth(rig.ask, '/oauth/token', { form: GRANT, ...call });

/** Good or bad, an answer of the token endpoint is JSON that no one may keep (RFC 6749 §5.1). */
async function outcome(call: OAuthCall): Promise<[number, unknown]> {
  const answer = await token(call);
  expect(answer.headers).toMatchObject({
    'cache-control': 'no-store',
    'content-type': 'application/json; charset=utf-8',
  });
  const { error, error_description, ...rest } = answer.json;
  if (answer.status !== 200) expect([typeof error_description, rest]).toEqual(['string', {}]);
  return [answer.status, error];
}

/** Every way in which a key may be cut into name and secret (auth.md §1.2). */
const SPLITS: readonly [string, (key: string) => [string, string]][] = [
  ['at the second underscore', (key) => splitAt(key, secondUnderscore(key))],
  ['at its id', (key) => splitAt(key, key.lastIndexOf('_'))],
  ['the whole key with its id as the name', (key) => [key.slice(0, key.lastIndexOf('_')), key]],
  ['the whole key with the beginning of it as the name', (key) => [key.slice(0, 7), key]],
];
const splitAt = (key: string, at: number): [string, string] => [key.slice(0, at), key.slice(at + 1)];
function secondUnderscore(key: string): number {
  const second = key.indexOf('_', key.indexOf('_') + 1);
  // An access key has one underscore.
  return second === -1 ? key.indexOf('_') : second;
}

describe('200', () => {
  it('gives a bearer token of a key, and says what it holds', async () => {
    const { status, json } = await token({ authorization: basicOfKey(liveKey()) });
    expect(status).toBe(200);
    expect(json).toEqual({
      access_token: expect.stringMatching(/^kc_live_(?!a_)[\w-]{43}$/),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: expect.stringContaining('vaults:detokenize'),
      tenant: 'acme',
    });
    expect(json.scope).not.toContain('billing');
  });

  describe.each([
    ['live key', liveKey, 'kc_live_'],
    ['test key', testKey, 'kc_test_'],
    ['access key', () => accessKey, 'kc_live_'],
  ])('to a %s', (_name, keyOf, prefix) => {
    it.each(SPLITS)('cut %s, in every way of authentication', async (_split, split) => {
      const [id, secret] = split(keyOf());
      const encoded = [id, secret].map(encodeURIComponent).join(':');
      const calls: OAuthCall[] = [
        { authorization: basic(id, secret) },
        { authorization: `bASIC ${Buffer.from(encoded).toString('base64')}` },
        { form: { ...GRANT, client_id: id, client_secret: secret } },
        { authorization: basic(id, secret), form: { ...GRANT, client_id: id } },
      ];
      for (const call of calls) {
        const { status, json } = await token(call);
        expect([status, String(json.access_token).slice(0, 8)]).toEqual([200, prefix]);
      }
    });
  });

  it('T09: takes a parameter without a value as absent', async () => {
    const form = { ...GRANT, scope: '', resource: '' };
    const { status, json } = await token({ authorization: basicOfKey(accessKey), form });
    expect([status, json.scope]).toEqual([200, 'vaults:read vaults:tokenize']);
  });

  it('T25: gives no more than is asked for, and the API keeps to it', async () => {
    const form = { ...GRANT, scope: 'vaults:read' };
    const { json } = await token({ authorization: basicOfKey(liveKey()), form });
    expect(json.scope).toBe('vaults:read');
    const call = { token: json.access_token };
    expect((await rig.ask('GET', '/v1/vaults', call)).status).toBe(200);
    const beyond = await rig.ask('POST', '/v1/vaults', { ...call, body: { name: 'beyond' } });
    expect([beyond.status, beyond.json.error.type]).toEqual([403, 'forbidden']);
    expect(beyond.headers['www-authenticate']).toBe(
      'Bearer error="insufficient_scope", scope="vaults:write"',
    );
  });

  it('ends with the key where that ends first', async () => {
    const expires_at = new Date(rig.clock.nowMs() + 60_000).toISOString();
    const body = { name: 'short', key_type: 'access_key', scopes: ['vaults:read'], expires_at };
    const { api_key } = await rig.world('admin', rig.tenant, 'live').create('/admin/api-keys', body);
    const { json } = await token({ authorization: basicOfKey(api_key!) });
    expect(json.expires_in).toBe(60);
  });

  it('writes an audit row that tells of the token and does not hold it', async () => {
    const { json } = await token({
      authorization: basicOfKey(liveKey()),
      form: { ...GRANT, scope: 'log:list' },
    });
    const rows = await rig.ask('GET', '/v1/audit-logs?action=oauth.token.mint', { key: rig.tenant.live });
    expect(rows.json.data[0]).toMatchObject({
      resource_type: 'oauth_token',
      details: { grant_type: 'client_credentials', scope: 'log:list', sandbox: false },
    });
    expect(rows.text).not.toContain(json.access_token);
    expect(rig.logLines.join('')).not.toContain(json.access_token);
  });
});

describe('400', () => {
  const good = () => basicOfKey(liveKey());

  it.each<[string, () => OAuthCall, string]>([
    ['T03: no grant type', () => ({ authorization: good(), form: {} }), 'invalid_request'],
    [
      'T05: password',
      () => ({ authorization: good(), form: { grant_type: 'password' } }),
      'unsupported_grant_type',
    ],
    [
      'T05: implicit',
      () => ({ authorization: good(), form: { grant_type: 'implicit' } }),
      'unsupported_grant_type',
    ],
    [
      'T07: scope twice',
      () => ({ authorization: good(), form: 'grant_type=client_credentials&scope=a&scope=b' }),
      'invalid_request',
    ],
    [
      'T07: an unknown parameter twice',
      () => ({ authorization: good(), form: 'grant_type=client_credentials&x=&x=' }),
      'invalid_request',
    ],
    [
      'T15: Basic of another client than the body',
      () => ({ authorization: good(), form: { ...GRANT, client_id: 'tk_live_other' } }),
      'invalid_request',
    ],
    [
      'two ways of authentication',
      () => ({
        authorization: good(),
        form: { ...GRANT, client_id: rig.tenant.live.keyId, client_secret: 'x' },
      }),
      'invalid_request',
    ],
    ['a secret without a name', () => ({ form: { ...GRANT, client_secret: 'x' } }), 'invalid_request'],
    [
      'T23: a scope that the key does not hold',
      () => ({ authorization: basicOfKey(accessKey), form: { ...GRANT, scope: 'vaults:read vaults:write' } }),
      'invalid_scope',
    ],
    [
      'a scope that there is not',
      () => ({ authorization: good(), form: { ...GRANT, scope: 'vaults:fly' } }),
      'invalid_scope',
    ],
    [
      'a scope of the dashboard',
      () => ({ authorization: good(), form: { ...GRANT, scope: 'billing:read' } }),
      'invalid_scope',
    ],
    ['a wildcard', () => ({ authorization: good(), form: { ...GRANT, scope: '*' } }), 'invalid_scope'],
    ['NUL', () => ({ authorization: good(), form: { ...GRANT, scope: 'a\0' } }), 'invalid_request'],
    [
      'what is no UTF-8',
      () => ({ authorization: good(), form: 'grant_type=client_credentials&scope=%ff' }),
      'invalid_request',
    ],
    [
      'JSON',
      () => ({
        authorization: good(),
        form: JSON.stringify(GRANT),
        headers: { 'content-type': 'application/json' },
      }),
      'invalid_request',
    ],
    ['no media type', () => ({ authorization: good(), headers: { 'content-type': '' } }), 'invalid_request'],
    [
      'refreshes of a key',
      () => ({ authorization: good(), form: { grant_type: 'refresh_token', refresh_token: 'x' } }),
      'unauthorized_client',
    ],
  ])('%s', async (_name, call, error) => {
    expect(await outcome(call())).toEqual([400, error]);
  });

  it('T13: an Authorization header that cannot be read is never 500', async () => {
    for (const raw of [
      'Basic !!!',
      'Basic',
      `Basic ${Buffer.from('nocolon').toString('base64')}`,
      basic('%zz', 'x'),
      basic('', 'x'),
    ]) {
      const [status, error] = await outcome({ authorization: raw });
      expect([
        raw,
        [400, 401].includes(status),
        ['invalid_request', 'invalid_client'].includes(String(error)),
      ]).toEqual([raw, true, true]);
    }
  });
});

describe('401', () => {
  const unknown = `tk_live_${'a'.repeat(12)}`;

  it.each<[string, () => string]>([
    ['T11: a wrong secret', () => basic(rig.tenant.live.keyId, 'B'.repeat(40))],
    ['an unknown name', () => basic(unknown, 'B'.repeat(40))],
    ['a secret that is none', () => basic(rig.tenant.live.keyId, '')],
    ['the key under the name of another', () => basic('tk_test', liveKey())],
    ['something endless', () => basic('x'.repeat(2_000), 'y')],
    ['another scheme', () => `Bearer ${liveKey()}`],
  ])('%s names the scheme', async (_name, authorization) => {
    const answer = await token({ authorization: authorization() });
    expect([answer.status, answer.json.error]).toEqual([401, 'invalid_client']);
    expect(answer.headers['www-authenticate']).toBe('Basic realm="knoxcall"');
  });

  it('names no scheme where none was used', async () => {
    for (const form of [
      GRANT,
      { ...GRANT, client_id: unknown },
      { ...GRANT, client_id: unknown, client_secret: 'x' },
    ]) {
      const answer = await token({ form });
      expect([answer.status, answer.json.error, answer.headers['www-authenticate']]).toEqual([
        401,
        'invalid_client',
        undefined,
      ]);
    }
  });

  it('T19: a key that is revoked or has ended, and the tokens of either die with it', async () => {
    const world = rig.world('v1', rig.tenant, 'live');
    const made = await world.create('/v1/api-keys', { name: 'gone' });
    const authorization = basicOfKey(made['api_key']!);
    const { json } = await token({ authorization });
    const use = async () => (await rig.ask('GET', '/v1/vaults', { token: json.access_token })).status;
    expect(await use()).toBe(200);
    await world.call('DELETE', `/v1/api-keys/${made.id}`);
    expect(await outcome({ authorization })).toEqual([401, 'invalid_client']);
    expect(await use()).toBe(401);
  });

  it('T19: an access key that has expired, and the tokens that it minted', async () => {
    const expires_at = new Date(rig.clock.nowMs() + 60_000).toISOString();
    const body = { name: 'ends', key_type: 'access_key', scopes: ['vaults:read'], expires_at };
    const { api_key } = await rig.world('admin', rig.tenant, 'live').create('/admin/api-keys', body);
    const calls = SPLITS.map(([, split]) => ({ authorization: basic(...split(api_key!)) }));
    const { json } = await token(calls[0]!);
    const use = async () => (await rig.ask('GET', '/v1/vaults', { token: json.access_token })).status;
    rig.clock.advance(59_000);
    await rig.services.generations.refresh();
    expect(await use()).toBe(200);
    for (const call of calls) expect(await outcome(call)).toEqual([200, undefined]);
    rig.clock.advance(1_000);
    await rig.services.generations.refresh();
    expect(await use()).toBe(401);
    for (const call of calls) expect(await outcome(call)).toEqual([401, 'invalid_client']);
  });

  it("F13: a key has no refresh tokens; revoked, it refreshes nothing, its own or another's", async () => {
    const made = await rig.world('v1', rig.tenant, 'live').create('/v1/api-keys', { name: 'refreshing' });
    const authorization = basicOfKey(made['api_key']!);
    const { json } = await token({ authorization });
    expect(json).not.toHaveProperty('refresh_token');
    const client = await makeClient(rig);
    const { refreshToken } = await openFamily(rig, client);
    const refresh = (refresh_token: string) =>
      outcome({ authorization, form: { grant_type: 'refresh_token', refresh_token } });
    for (const text of [json.access_token, refreshToken])
      expect(await refresh(text)).toEqual([400, 'unauthorized_client']);
    await rig.world('v1', rig.tenant, 'live').call('DELETE', `/v1/api-keys/${made.id}`);
    for (const text of [json.access_token, refreshToken])
      expect(await refresh(text)).toEqual([401, 'invalid_client']);
    // That of the client is as it was.
    const form = { grant_type: 'refresh_token', refresh_token: refreshToken };
    expect(await outcome({ authorization: client.authorization, form })).toEqual([200, undefined]);
  });

  it('a client that has just minted, from the moment it is switched off, rotated or revoked', async () => {
    const client = await makeClient(rig, { grant_types: ['client_credentials'], redirect_uris: [] });
    const world = rig.world('v1', rig.tenant, 'live');
    const path = `/v1/oauth-clients/${client.id}`;
    const { authorization } = client;
    const minted = async () => (await token({ authorization })).status;
    const introspected = async (accessToken: string) =>
      (await askOAuth(rig.ask, '/oauth/introspect', { authorization, form: { token: accessToken } })).json;
    const { json } = await token({ authorization });
    expect([await minted(), (await introspected(json.access_token)).active]).toEqual([200, true]);
    await world.call('PATCH', path, { body: { active: false } });
    expect(await outcome({ authorization })).toEqual([401, 'invalid_client']);
    await world.call('PATCH', path, { body: { active: true, allowed_scopes: ['log:list'] } });
    expect((await token({ authorization })).json.scope).toBe('log:list');
    expect(await introspected(json.access_token)).toMatchObject({ active: true, scope: 'log:list' });
    await world.call('POST', `${path}/rotate-secret`);
    expect(await outcome({ authorization })).toEqual([401, 'invalid_client']);
    await world.call('DELETE', path);
    expect(await outcome({ authorization })).toEqual([401, 'invalid_client']);
  });

  it('a client of the other mode, or of another tenant than the host', async () => {
    for (const [key, host] of [
      [testKey(), 'api.localhost'],
      [liveKey(), 'sandbox.localhost'],
      [liveKey(), 'globex.localhost'],
      [liveKey(), 'sandbox-acme.localhost'],
    ] as const) {
      expect(await outcome({ authorization: basicOfKey(key), host })).toEqual([401, 'invalid_client']);
    }
    for (const host of ['api.localhost', 'acme.localhost', '127.0.0.1'])
      expect(await outcome({ authorization: basicOfKey(liveKey()), host })).toEqual([200, undefined]);
  });
});

describe('other refusals', () => {
  it('T01: 405 with Allow for another method, 404 for what is not there', async () => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const answer = await askOAuth(rig.ask, '/oauth/token', { method });
      expect([answer.status, answer.headers['allow'], answer.json.error]).toEqual([
        405,
        'POST',
        'invalid_request',
      ]);
      expect(answer.headers['cache-control']).toBe('no-store');
    }
    expect((await askOAuth(rig.ask, '/oauth/nothing')).status).toBe(404);
  });

  it('T21: 403 for a tenant that is paused, also at the API', async () => {
    const key = rig.other.live.apiKey;
    const { json } = await token({ authorization: basicOfKey(key) });
    const tenants = createTenantSwitch({ ...rig.services, db: rig.db, clock: rig.clock });
    await tenants.changeBySlug(rig.other.slug, { subscriptionStatus: 'paused' });
    expect(await outcome({ authorization: basicOfKey(key) })).toEqual([403, 'unauthorized_client']);
    const answer = await rig.ask('GET', '/v1/vaults', { token: json.access_token });
    expect([answer.status, answer.json.error.type]).toEqual([403, 'subscription_inactive']);
    await tenants.changeBySlug(rig.other.slug, { subscriptionStatus: 'active' });
    expect((await rig.ask('GET', '/v1/vaults', { token: json.access_token })).status).toBe(200);
  });

  it('T27: 413 for a body above 64 KiB', async () => {
    const form = `grant_type=client_credentials&x=${'a'.repeat(64 * 1024)}`;
    expect(await outcome({ authorization: basicOfKey(liveKey()), form })).toEqual([413, 'invalid_request']);
  });

  it('T29: 10,000 wrong secrets are 429 with Retry-After; the right one is not held up, and it passes', async () => {
    const wrong = { authorization: basic(rig.tenant.live.keyId, 'C'.repeat(40)) };
    const statuses: Record<number, number> = {};
    let last = await token(wrong);
    for (let n = 0; n < 100; n++) {
      for (const answer of await Promise.all(Array.from({ length: 100 }, () => token(wrong)))) {
        statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
        if (answer.status === 429) last = answer;
      }
    }
    expect(Object.keys(statuses)).toEqual(['401', '429']);
    expect(statuses[401]).toBeLessThan(LIMITS.clientFailuresPerMinute);
    expect(last.json).toEqual({ error: 'rate_limit_exceeded', error_description: expect.any(String) });
    expect(last.headers).toMatchObject({ 'cache-control': 'no-store' });
    const retryAfter = Number(last.headers['retry-after']);
    expect([retryAfter > 0, retryAfter <= 60]).toEqual([true, true]);
    expect(await outcome({ authorization: basicOfKey(liveKey()) })).toEqual([200, undefined]);
    // Of the same name from elsewhere, and of another name from here: none of their business.
    expect((await token({ ...wrong, ip: '127.4.4.4' })).status).toBe(401);
    expect((await token({ authorization: basic(rig.tenant.test.keyId, 'C'.repeat(40)) })).status).toBe(401);
    rig.clock.advance(retryAfter * 1_000);
    await rig.services.generations.refresh();
    expect(await outcome(wrong)).toEqual([401, 'invalid_client']);
  }, 60_000);

  it('T29: wrong secrets in a form and at the other endpoints count for the same', async () => {
    const name = rig.other.live.keyId;
    const form = { ...GRANT, client_id: name, client_secret: 'D'.repeat(40), token: 'x' };
    const paths = ['/oauth/token', '/oauth/introspect', '/oauth/revoke'];
    for (let n = 0; n < LIMITS.clientFailuresPerMinute; n++)
      expect((await askOAuth(rig.ask, paths[n % 3]!, { form })).status).toBe(401);
    for (const path of paths) {
      const answer = await askOAuth(rig.ask, path, { form });
      expect([path, answer.status, answer.json.error]).toEqual([path, 429, 'rate_limit_exceeded']);
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    }
  });

  it('503 while the database is away, never 401', async () => {
    const own = await openMatrixRig();
    const authorization = basicOfKey(own.tenant.live.apiKey);
    await own.db.close();
    for (const path of ['/oauth/token', '/oauth/introspect', '/oauth/revoke']) {
      const answer = await askOAuth(own.ask, path, { authorization, form: { ...GRANT, token: 'x' } });
      expect([path, answer.status, answer.json.error]).toEqual([path, 503, 'temporarily_unavailable']);
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    }
    // Nor at the API, where a client would throw a good token away (auth.md §12.9).
    const used = await own.ask('GET', '/v1/vaults', { token: `kc_live_${'x'.repeat(43)}` });
    expect([used.status, used.json.error.type]).toEqual([503, 'dependency_unavailable']);
    await own.close();
  });

  it('401 for the endpoint of tenant hosts on any other host, which takes JSON and forms', async () => {
    const ask = (host: string, headers: Record<string, string>, form: string) =>
      askOAuth(rig.ask, '/v1/oauth/token', { host, headers, form });
    for (const host of ['api.localhost', 'sandbox.localhost', '127.0.0.1'])
      expect((await ask(host, { 'content-type': FORM }, '')).status).toBe(401);
    const json = { 'content-type': 'application/json; charset=utf-8' };
    for (const [headers, form] of [
      [json, JSON.stringify({ grant_type: 'nothing' })],
      [{ 'content-type': FORM }, 'grant_type=nothing'],
    ] as const) {
      const answer = await ask('acme.localhost', headers, form);
      expect([answer.status, answer.json.error]).toEqual([400, 'unsupported_grant_type']);
    }
    for (const form of ['[]', '{', '{"grant_type":1}', 'null', '']) {
      const answer = await ask('acme.localhost', json, form);
      expect([form, answer.status, answer.json.error]).toEqual([form, 400, 'invalid_request']);
    }
  });
});
