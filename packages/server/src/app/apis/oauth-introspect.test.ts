import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTenantSwitch } from '../../capabilities/plans/index.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { askOAuth, basicOfKey, type OAuthCall } from '../../testing/oauth-calls.js';
import { makeClient, openFamily, type TestClient } from '../../testing/oauth-grants.js';

/** Introspection, revocation and metadata (cases I of oauth-dpop.md). */
let rig: MatrixRig;
let client: TestClient;
beforeAll(async () => {
  rig = await openMatrixRig();
  client = await makeClient(rig, { grant_types: ['client_credentials', 'refresh_token'] });
});
afterAll(() => rig.close());

const keyOf = () => basicOfKey(rig.tenant.live.apiKey);
const introspect = (token: string | undefined, call: OAuthCall = {}) =>
  askOAuth(rig.ask, '/oauth/introspect', {
    authorization: keyOf(),
    form: token === undefined ? {} : { token },
    ...call,
  });
const revoke = (token: string, call: OAuthCall = {}) =>
  askOAuth(rig.ask, '/oauth/revoke', { authorization: client.authorization, form: { token }, ...call });
const useOf = async (token: string) => (await rig.ask('GET', '/v1/vaults', { token })).status;

async function mint(
  authorization: string | undefined = client.authorization,
  scope = 'vaults:read',
): Promise<string> {
  const form = { grant_type: 'client_credentials', scope };
  const { json } = await askOAuth(rig.ask, '/oauth/token', { authorization, form });
  return json.access_token;
}

describe('introspection', () => {
  it('tells of a token of a client', async () => {
    const { status, json, headers } = await introspect(await mint());
    expect([status, headers['cache-control']]).toEqual([200, 'no-store']);
    expect(json).toEqual({
      active: true,
      scope: 'vaults:read',
      client_id: client.clientId,
      token_type: 'Bearer',
      exp: expect.any(Number),
      iat: expect.any(Number),
      nbf: expect.any(Number),
      sub: client.clientId,
      aud: 'knoxcall:api',
      iss: 'http://127.0.0.1:8787',
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      tenant: 'acme',
    });
    expect(json.exp - json.iat).toBe(3600);
  });

  it('tells of a token of a key, of a user, and of a refresh token', async () => {
    const ofKey = await introspect(await mint(keyOf()), { host: 'api.localhost' });
    const { keyId } = rig.tenant.live;
    expect(ofKey.json).toMatchObject({ client_id: keyId, sub: keyId, iss: 'http://api.localhost:8787' });
    const family = await openFamily(rig, client);
    const user = { sub: family.userId, username: rig.tenant.ownerEmail, client_id: client.clientId };
    expect((await introspect(family.accessToken)).json).toMatchObject({ active: true, ...user });
    expect((await introspect(family.refreshToken)).json).toMatchObject({
      active: true,
      scope: 'vaults:read vaults:write log:list',
      ...user,
    });
  });

  it('I05: shows the key of a bound token', async () => {
    const jkt = 'k'.repeat(43);
    const { accessToken, refreshToken } = await openFamily(rig, client, { jkt });
    expect((await introspect(accessToken)).json).toMatchObject({ token_type: 'DPoP', cnf: { jkt } });
    expect((await introspect(refreshToken)).json).toMatchObject({ cnf: { jkt } });
  });

  it('I01: is 401 to who shows no secret', async () => {
    const open = await makeClient(rig, { type: 'public', grant_types: ['refresh_token'] });
    const token = await mint();
    const names = [open.clientId, 'knoxcall-cli'];
    const forms: Record<string, string>[] = [{ token }, ...names.map((client_id) => ({ token, client_id }))];
    for (const form of forms) {
      const answer = await askOAuth(rig.ask, '/oauth/introspect', { form });
      expect([answer.status, answer.json.error]).toEqual([401, 'invalid_client']);
    }
  });

  it('I03: says of everything else that it is not active, and nothing more', async () => {
    const used = await openFamily(rig, client);
    const form = { grant_type: 'refresh_token', refresh_token: used.refreshToken };
    await askOAuth(rig.ask, '/oauth/token', { authorization: client.authorization, form });
    const revoked = await mint();
    await revoke(revoked);
    const others = basicOfKey(rig.other.live.apiKey);
    const old = await mint();
    const tokens = [
      ['garbage', 'x'],
      ['of its form', `kc_live_${'x'.repeat(43)}`],
      ['used', used.refreshToken],
      ['revoked', revoked],
      ['of another tenant', await mint(others)],
      ['of the other mode', await mint(basicOfKey(rig.tenant.test.apiKey))],
      ['a key', rig.tenant.live.apiKey],
    ] as const;
    for (const [what, token] of tokens) {
      const { status, json } = await introspect(token);
      expect([what, status, json]).toEqual([what, 200, { active: false }]);
    }
    expect((await introspect(old, { authorization: others })).json).toEqual({ active: false });
    expect((await introspect(old)).json.active).toBe(true);
    rig.clock.advance(3_600_000);
    await rig.services.generations.refresh();
    expect((await introspect(old)).json).toEqual({ active: false });
  });

  it('I07: takes no token from the query', async () => {
    const token = await mint();
    const answer = await askOAuth(rig.ask, `/oauth/introspect?token=${token}`, { authorization: keyOf() });
    expect([answer.status, answer.json.error]).toEqual([400, 'invalid_request']);
    expect(rig.logLines.join('')).not.toContain(token);
  });

  it('shows what a token may do now, not what it could when it was made', async () => {
    const narrowed = await makeClient(rig, { grant_types: ['client_credentials'] });
    const token = await mint(narrowed.authorization, 'vaults:read log:list');
    const body = { allowed_scopes: ['log:list'] };
    await rig.world('v1', rig.tenant, 'live').call('PATCH', `/v1/oauth-clients/${narrowed.id}`, { body });
    expect((await introspect(token)).json.scope).toBe('log:list');
    expect(await useOf(token)).toBe(403);
  });
});

describe('revocation', () => {
  it('of an access token is of it alone, and holds from the next call on', async () => {
    const [one, other] = [await mint(), await mint()];
    expect(await useOf(one)).toBe(200);
    const answer = await revoke(one);
    expect([answer.status, answer.json]).toEqual([200, {}]);
    expect([await useOf(one), await useOf(other)]).toEqual([401, 200]);
    const rows = await rig.ask('GET', '/v1/audit-logs?action=oauth.token.revoke', { key: rig.tenant.live });
    expect(rows.json.data[0]).toMatchObject({
      resource_type: 'oauth_token',
      details: { kind: 'access_token' },
    });
  });

  it('of a refresh token takes its family with it', async () => {
    const family = await openFamily(rig, client);
    expect((await revoke(family.refreshToken)).status).toBe(200);
    expect(await useOf(family.accessToken)).toBe(401);
    expect((await introspect(family.refreshToken)).json).toEqual({ active: false });
  });

  it('by a public client needs its name alone, as the CLI sends it', async () => {
    const open = await makeClient(rig, { type: 'public', grant_types: ['refresh_token'] });
    const family = await openFamily(rig, open);
    const form = { token: family.refreshToken, token_type_hint: 'refresh_token', client_id: open.clientId };
    expect((await askOAuth(rig.ask, '/oauth/revoke', { form })).status).toBe(200);
    expect(await useOf(family.accessToken)).toBe(401);
  });

  it('I09: of what is not its own is 200 and without effect', async () => {
    const stranger = await makeClient(rig, { grant_types: ['client_credentials'] });
    const foreign = await makeClient(rig, { grant_types: ['client_credentials'] }, rig.other);
    const [token, family] = [await mint(), await openFamily(rig, client)];
    for (const { authorization } of [stranger, foreign]) {
      for (const text of [token, family.refreshToken, family.accessToken, 'unknown'])
        expect((await revoke(text, { authorization })).status).toBe(200);
    }
    expect([await useOf(token), await useOf(family.accessToken)]).toEqual([200, 200]);
    expect((await introspect(family.refreshToken)).json.active).toBe(true);
  });

  it('I11: ignores the hint', async () => {
    for (const hint of ['refresh_token', 'access_token', 'nothing']) {
      const token = await mint();
      await revoke(token, { form: { token, token_type_hint: hint } });
      expect(await useOf(token)).toBe(401);
    }
  });

  it('works while the tenant is paused, as nothing else does, and holds when it no longer is', async () => {
    const token = await mint();
    const tenants = createTenantSwitch({ ...rig.services, db: rig.db, clock: rig.clock });
    await tenants.changeBySlug(rig.tenant.slug, { subscriptionStatus: 'paused' });
    const wrong = await revoke(token, { authorization: basicOfKey(`${rig.tenant.live.apiKey}x`) });
    const [asked, answer] = [await introspect(token), await revoke(token)];
    await tenants.changeBySlug(rig.tenant.slug, { subscriptionStatus: 'active' });
    expect([wrong.status, asked.status, asked.json.error]).toEqual([401, 403, 'unauthorized_client']);
    expect([answer.status, answer.json]).toEqual([200, {}]);
    expect(await useOf(token)).toBe(401);
  });

  it('is 401 without a client and 400 without a token', async () => {
    expect((await askOAuth(rig.ask, '/oauth/revoke', { form: { token: 'x' } })).json.error).toBe(
      'invalid_client',
    );
    const answer = await askOAuth(rig.ask, '/oauth/revoke', { authorization: client.authorization });
    expect([answer.status, answer.json.error]).toEqual([400, 'invalid_request']);
  });
});

describe('metadata', () => {
  it.each([
    ['127.0.0.1:9', 'http://127.0.0.1:8787'],
    ['api.localhost', 'http://api.localhost:8787'],
    ['SANDBOX.localhost', 'http://sandbox.localhost:8787'],
    ['acme.localhost', 'http://acme.localhost:8787'],
    ['attacker.example', 'http://127.0.0.1:8787'],
  ])('I13: at %s is of the public origin', async (host, issuer) => {
    const { status, json } = await rig.ask('GET', '/.well-known/oauth-authorization-server', { host });
    expect([status, json.issuer]).toEqual([200, issuer]);
    const endpoints = Object.entries<string>(json).filter(([name]) => name.endsWith('_endpoint'));
    expect(endpoints.length).toBeGreaterThan(2);
    for (const [, url] of endpoints) expect(url.startsWith(`${issuer}/oauth/`)).toBe(true);
  });

  it('I15: lists what works', async () => {
    const { json } = await rig.ask('GET', '/.well-known/oauth-authorization-server', {});
    for (const grant_type of json.grant_types_supported) {
      const answer = await askOAuth(rig.ask, '/oauth/token', {
        authorization: keyOf(),
        form: { grant_type },
      });
      expect([grant_type, answer.json.error]).not.toEqual([grant_type, 'unsupported_grant_type']);
    }
    for (const [name, url] of Object.entries<string>(json)) {
      if (!name.endsWith('_endpoint')) continue;
      expect([name, (await askOAuth(rig.ask, new URL(url).pathname)).status]).not.toEqual([name, 404]);
    }
    expect(json).toMatchObject({
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      revocation_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
      scopes_supported: expect.arrayContaining(['vaults:read', 'agent:create']),
    });
    expect((await rig.ask('GET', new URL(json.service_documentation).pathname, {})).status).toBe(200);
  });
});

describe('for who looks after clients', () => {
  const ask = (method: string, path: string, body?: unknown) =>
    rig.ask(method, path, { key: rig.tenant.live, ...(body !== undefined && { body }) });
  const explain = async (token: string) => {
    const { json } = await ask('POST', '/v1/oauth/explain', { token });
    const failed = json.data.checks.filter(({ ok }: { ok: boolean }) => !ok);
    return [json.data.ok, ...failed.map(({ name }: { name: string }) => name)];
  };

  it('explain names each check that fails', async () => {
    const token = await mint();
    expect(await explain(token)).toEqual([true]);
    expect(await explain('nothing')).toEqual([false, 'form']);
    expect(await explain(`kc_live_${'x'.repeat(43)}`)).toEqual([false, 'known']);
    expect(await explain(await mint(basicOfKey(rig.other.live.apiKey)))).toEqual([false, 'known']);
    expect(await explain(await mint(basicOfKey(rig.tenant.test.apiKey)))).toEqual([false, 'mode', 'known']);
    await revoke(token);
    expect(await explain(token)).toEqual([false, 'not_revoked']);
    const bound = await openFamily(rig, client, { jkt: 'k'.repeat(43) });
    expect(await explain(bound.accessToken)).toEqual([false, 'proof']);
    const gone = await makeClient(rig, { grant_types: ['client_credentials'] });
    const dead = await mint(gone.authorization);
    await ask('DELETE', `/v1/oauth-clients/${gone.id}`);
    expect(await explain(dead)).toEqual([false, 'source', 'scope']);
    rig.clock.advance(3_600_000);
    await rig.services.generations.refresh();
    expect(await explain(dead)).toEqual([false, 'not_expired', 'source', 'scope']);
  });

  it('explain asks for one of the two, and for the url of a proof', async () => {
    for (const [body, field] of [
      [{}, 'token'],
      [{ dpop_proof: 'x' }, 'url'],
    ] as const) {
      const { status, json } = await ask('POST', '/v1/oauth/explain', body);
      expect([status, Object.keys(json.fields)]).toEqual([400, [field]]);
    }
  });

  it('lineage shows family, refreshes and source of a token', async () => {
    const family = await openFamily(rig, client, { permissions: ['log:list'] });
    const form = { grant_type: 'refresh_token', refresh_token: family.refreshToken };
    const next = await askOAuth(rig.ask, '/oauth/token', { authorization: client.authorization, form });
    const { jti } = (await introspect(next.json.access_token)).json;
    const { json } = await ask('GET', `/v1/oauth/tokens/${jti}/lineage`);
    expect(json.data).toMatchObject({
      source: { kind: 'user', user_id: family.userId, oauth_client_id: client.id, api_key_id: null },
      cnf_jkt: null,
      family: {
        id: family.familyId,
        refreshes: 1,
        scope: 'log:list',
        tokens: [{ grant_type: 'authorization_code' }, { id: jti, grant_type: 'refresh_token' }],
      },
      exchanges: [],
      refreshes: [{ used_at: expect.any(String), ip_address: '127.0.0.1' }, { used_at: null }],
    });
    const foreign = await rig.ask('GET', `/v1/oauth/tokens/${jti}/lineage`, { key: rig.other.live });
    expect(foreign.status).toBe(404);
    expect((await ask('GET', '/v1/oauth/tokens/nothing/lineage')).status).toBe(404);
  });
});
