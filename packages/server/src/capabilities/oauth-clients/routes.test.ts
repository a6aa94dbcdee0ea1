import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RequestId } from '../../kernel/ids.js';
import { createHarness, type Harness } from '../../testing/harness.js';

let harness: Harness;
beforeAll(async () => {
  harness = await createHarness();
});
afterAll(() => harness.close());

const PATH = '/v1/oauth-clients';
const ask = (method: string, path: string, body?: unknown, key = harness.tenant.live.apiKey) =>
  harness.call(method, path, { key, ...(body !== undefined && { body }) });
const create = (body: Record<string, unknown>) => ask('POST', PATH, { name: 'client', ...body });
const PUBLIC = { type: 'public', redirect_uris: ['http://127.0.0.1/cb'] };
const CODE = { grant_types: ['authorization_code'], redirect_uris: ['https://app.example.com/cb'] };

describe('201', () => {
  it('shows the secret of a confidential client once, with a warning and without meta', async () => {
    const { status, json, headers } = await create({ allowed_scopes: ['vaults:read'] });
    expect([status, headers['cache-control']]).toEqual([201, 'no-store']);
    expect(json).toEqual({
      data: {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        client_id: expect.stringMatching(/^kcc_live_[a-z0-9]{20}$/),
        client_secret: expect.stringMatching(/^[A-Za-z0-9]{40}$/),
        type: 'confidential',
        grant_types: ['client_credentials'],
        allowed_scopes: ['vaults:read'],
        redirect_uris: [],
      },
      warning: 'Store the client secret now: it is not shown again.',
    });
    const { text } = await ask('GET', PATH);
    expect(text).not.toContain(json.data.client_secret);
    const rows = await ask('GET', '/v1/audit-logs?action=oauth_client.create');
    expect(rows.json.data[0]).toMatchObject({
      resource_type: 'oauth_client',
      resource_id: json.data.id,
      details: { client_id: json.data.client_id, allowed_scopes: ['vaults:read'] },
    });
    expect(rows.text + harness.logLines.join('')).not.toContain(json.data.client_secret);
  });

  it('gives a public client no secret and no warning', async () => {
    const { status, json } = await create({ ...PUBLIC, allowed_scopes: ['vaults:read'] });
    expect([status, json.data.client_secret, json.warning]).toEqual([201, null, undefined]);
    expect(json.data.grant_types).toEqual(['authorization_code', 'refresh_token']);
  });

  it('warns of a client without allowed_scopes, of the secret too where there is one', async () => {
    const scopeless = 'Without allowed_scopes tokens of this client can do nothing.';
    expect((await create(PUBLIC)).json.warning).toBe(scopeless);
    expect((await create({})).json.warning).toMatch(new RegExp(`not shown again\\. ${scopeless}$`));
  });

  it('is of the mode of the key', async () => {
    const { json } = await ask('POST', PATH, { name: 'test' }, harness.tenant.test.apiKey);
    expect(json.data.client_id).toMatch(/^kcc_test_/);
  });
});

describe('200', () => {
  const ROW = {
    id: expect.any(String),
    client_id: expect.any(String),
    name: 'whole',
    type: 'confidential',
    grant_types: ['authorization_code'],
    allowed_scopes: ['log:list'],
    redirect_uris: ['https://app.example.com/cb'],
    require_dpop: true,
    require_dpop_nonce: false,
    require_pkce: true,
    token_format: 'opaque',
    refresh_grace_seconds: 0,
    active: true,
    revoked_at: null,
    created_at: expect.stringMatching(/Z$/),
    last_used_at: null,
    source_api_key_id: null,
    system_role: null,
  };

  it('lists and reads, each with its own members', async () => {
    const body = {
      name: 'whole',
      ...CODE,
      allowed_scopes: ['log:list'],
      step_up_scopes: ['log:list'],
      require_dpop: true,
    };
    const { id } = (await create(body)).json.data;
    const list = await ask('GET', PATH);
    expect(Object.keys(list.json)).toEqual(['data']);
    expect(list.json.data[0]).toEqual({ ...ROW, source_key_type: null });
    const one = await ask('GET', `${PATH}/${id}`);
    expect(one.json).toEqual({ data: { ...ROW, step_up_scopes: ['log:list'], consent_html_template: null } });
  });

  it('changes what is sent and nothing else, with both states in the audit row', async () => {
    const { id } = (await create({ ...CODE, allowed_scopes: ['log:list'] })).json.data;
    const changed = await ask('PATCH', `${PATH}/${id}`, {
      name: 'renamed',
      active: false,
      refresh_grace_seconds: 5,
    });
    expect([changed.status, changed.json]).toEqual([200, { data: { id } }]);
    expect((await ask('GET', `${PATH}/${id}`)).json.data).toMatchObject({
      name: 'renamed',
      active: false,
      refresh_grace_seconds: 5,
      allowed_scopes: ['log:list'],
    });
    const rows = await ask('GET', '/v1/audit-logs?action=oauth_client.update');
    expect(rows.json.data[0].details).toMatchObject({ old: { active: true }, new: { active: false } });
  });

  it('rotates a secret: the former one is dead', async () => {
    const { id, client_id, client_secret } = (await create({})).json.data;
    const rotated = await ask('POST', `${PATH}/${id}/rotate-secret`, {});
    expect(rotated.json).toEqual({
      data: { client_id, client_secret: expect.stringMatching(/^[A-Za-z0-9]{40}$/) },
      warning: expect.stringContaining('revoked'),
    });
    expect(rotated.json.data.client_secret).not.toBe(client_secret);
    expect(rotated.headers['cache-control']).toBe('no-store');
  });

  it('revokes for good', async () => {
    const { id } = (await create({})).json.data;
    expect((await ask('DELETE', `${PATH}/${id}`)).json).toEqual({ data: { revoked: true } });
    const { json } = await ask('GET', `${PATH}/${id}`);
    expect([json.data.active, typeof json.data.revoked_at]).toEqual([false, 'string']);
  });

  it('repeats an answer for its idempotency key, the secret and the warning with it', async () => {
    const call = () =>
      harness.call('POST', PATH, {
        key: harness.tenant.live,
        headers: { 'x-idempotency-key': 'client' },
        body: { name: 'once' },
      });
    const [first, again] = [await call(), await call()];
    expect(again.headers['x-idempotent-replay']).toBe('true');
    expect(again.json).toEqual(first.json);
  });
});

describe('400', () => {
  it.each<[Record<string, unknown>, string]>([
    [{ name: '' }, 'name'],
    [{ name: 'a\u202eb' }, 'name'],
    [{ name: 'a\u0000b' }, 'name'],
    [{ require_pkce: false }, 'require_pkce'],
    [{ token_format: 'jwt' }, 'token_format'],
    [{ type: 'secret' }, 'type'],
    [{ grant_types: [] }, 'grant_types'],
    [{ grant_types: ['password'] }, 'grant_types[0]'],
    [{ type: 'public', grant_types: ['client_credentials'] }, 'grant_types'],
    [{ grant_types: ['authorization_code'] }, 'redirect_uris'],
    [{ allowed_scopes: ['*'] }, 'allowed_scopes[0]'],
    [{ allowed_scopes: ['billing:read'] }, 'allowed_scopes[0]'],
    [{ allowed_scopes: ['log:list'], step_up_scopes: ['vaults:read'] }, 'step_up_scopes'],
    [{ refresh_grace_seconds: 61 }, 'refresh_grace_seconds'],
    [{ refresh_grace_seconds: -1 }, 'refresh_grace_seconds'],
    [{ redirect_uris: Array.from({ length: 21 }, (_, n) => `https://a.example/${n}`) }, 'redirect_uris'],
    [{ client_id: 'kcc_live_mine' }, 'client_id'],
  ])('%j names %s', async (body, field) => {
    const { status, json } = await create(body);
    expect([status, Object.keys(json.fields)]).toEqual([400, [field]]);
  });

  it.each([
    'http://app.example.com/cb',
    'https://app.example.com/cb#x',
    'https://app.example.com/cb#',
    'https://user@app.example.com/cb',
    'https://app.example.com/c b',
    'https:\\\\app.example.com',
    'javascript:alert(1)',
    'com.example.app:/cb',
    '/cb',
    'nothing',
    'http://127.0.0.1.example.com/cb',
    'http://0.0.0.0/cb',
    'https://app.example.com/\u2603',
  ])('takes no redirect URI %s', async (uri) => {
    const { status, json } = await create({ ...CODE, redirect_uris: [uri] });
    expect([status, Object.keys(json.fields)]).toEqual([400, ['redirect_uris[0]']]);
  });

  it.each([
    'https://a.example',
    'https://a.example:8443/cb?x=1',
    'http://127.0.0.1/cb',
    'http://[::1]:9/cb',
    'http://localhost/cb',
  ])('takes %s', async (uri) => {
    expect((await create({ ...CODE, redirect_uris: [uri] })).json.data.redirect_uris).toEqual([uri]);
  });

  it('keeps step-up scopes within the scopes, also when those shrink', async () => {
    const scopes = ['log:list', 'vaults:read'];
    const { id } = (await create({ allowed_scopes: scopes, step_up_scopes: ['log:list'] })).json.data;
    const { status, json } = await ask('PATCH', `${PATH}/${id}`, { allowed_scopes: ['vaults:read'] });
    expect([status, Object.keys(json.fields)]).toEqual([400, ['step_up_scopes']]);
  });
});

describe('403', () => {
  const limitedKey = async () => {
    const grants = [
      { permission: 'oauth-clients:write' },
      { permission: 'vaults:read' },
      { permission: 'vaults:tokenize', resource: 'cards' },
    ];
    return (await ask('POST', '/v1/api-keys', { name: 'limited', grants })).json.data.api_key;
  };

  it('to who gives what it does not hold, or holds of one resource alone; and nothing is written', async () => {
    const key = await limitedKey();
    const before = (await ask('GET', PATH)).json.data.length;
    for (const scope of ['vaults:write', 'vaults:tokenize']) {
      const answer = await ask('POST', PATH, { name: 'n', allowed_scopes: [scope] }, key);
      expect([answer.status, answer.json.error.type]).toEqual([403, 'privilege_escalation']);
      expect(answer.json.error.message).toContain(scope);
    }
    expect((await ask('GET', PATH)).json.data.length).toBe(before);
  });

  it('to who adds such a scope later; what was there stays', async () => {
    const key = await limitedKey();
    const { id } = (await create({ allowed_scopes: ['log:list'] })).json.data;
    const patch = (scopes: string[]) => ask('PATCH', `${PATH}/${id}`, { allowed_scopes: scopes }, key);
    expect((await patch(['log:list', 'vaults:write'])).status).toBe(403);
    expect((await patch(['log:list', 'vaults:read'])).status).toBe(200);
  });

  it('to who would get the secret or the tokens of a client that may do more', async () => {
    const key = await limitedKey();
    const scopes = ['vaults:read', 'vaults:write'];
    const { id } = (await create({ ...CODE, allowed_scopes: scopes, require_dpop: true })).json.data;
    const change = (body: unknown) => ask('PATCH', `${PATH}/${id}`, body, key);
    const rotate = () => ask('POST', `${PATH}/${id}/rotate-secret`, {}, key);
    const refused = [
      await rotate(),
      await change({ redirect_uris: ['https://mallory.example/cb'] }),
      await change({ require_dpop: false }),
      await change({ require_dpop_nonce: false }),
      await change({ refresh_grace_seconds: 60 }),
      await change({ step_up_scopes: [] }),
      await change({ consent_html_template: '<p>harmless</p>' }),
      await change({ active: true }),
    ];
    for (const { status, json } of refused)
      expect([status, json.error?.type]).toEqual([403, 'privilege_escalation']);
    const { data } = (await ask('GET', `${PATH}/${id}`)).json;
    expect(data).toMatchObject({ redirect_uris: CODE.redirect_uris, require_dpop: true });
    // What brings nobody a token stays open, and so does a client that may do no more than the caller.
    expect((await change({ name: 'n', active: false, require_dpop_nonce: true })).status).toBe(200);
    expect((await change({ allowed_scopes: ['vaults:read'] })).status).toBe(200);
    expect([(await change({ active: true })).status, (await rotate()).status]).toEqual([200, 200]);
  });

  it('to who changes the client of the CLI, which is made once however many ask', async () => {
    const scope = { tenantId: harness.tenant.id, sandbox: false };
    const actor = { scope, apiKeyId: null, userId: null, requestId: 'r' as RequestId, ip: null };
    const { clients } = harness.oauth;
    const made = await Promise.all([1, 2, 3].map(() => clients.cliClient(actor)));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    const { json } = await ask('GET', `${PATH}/${made[0]!.id}`);
    expect(json.data).toMatchObject({ type: 'public', system_role: 'cli', require_dpop: false });
    expect(json.data.allowed_scopes).toContain('dyn-db:mint');
    for (const [method, path, body] of [
      ['PATCH', '', { name: 'mine' }],
      ['DELETE', '', undefined],
      ['POST', '/rotate-secret', {}],
    ] as const) {
      const answer = await ask(method, `${PATH}/${made[0]!.id}${path}`, body);
      expect([method, answer.status, answer.json.error.type]).toEqual([method, 403, 'forbidden']);
    }
  });
});

describe('404 and 409', () => {
  it('a client that is revoked cannot be changed, and not revoked again', async () => {
    const { id } = (await create({})).json.data;
    await ask('DELETE', `${PATH}/${id}`);
    expect((await ask('DELETE', `${PATH}/${id}`)).status).toBe(404);
    expect((await ask('PATCH', `${PATH}/${id}`, { active: true })).json.error.type).toBe('conflict');
    expect((await ask('POST', `${PATH}/${id}/rotate-secret`, {})).json.error.type).toBe('conflict');
  });

  it('a public client has no secret to rotate', async () => {
    const { id } = (await create({ type: 'public', redirect_uris: ['http://127.0.0.1/cb'] })).json.data;
    expect((await ask('POST', `${PATH}/${id}/rotate-secret`, {})).status).toBe(409);
  });

  it('a name that is no id is 404', async () => {
    expect((await ask('GET', `${PATH}/nothing`)).status).toBe(404);
  });
});
