import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOAuth2CallbackApi } from '../../../app/apis/oauth2-callback-api.js';
import {
  type AuthorizationServer,
  CLIENT_SECRET,
  startAuthorizationServer,
} from '../../../testing/authorization-server.js';
import type { TestCall } from '../../../testing/calls.js';
import { createHarness, type Harness } from '../../../testing/harness.js';

let server: AuthorizationServer;
let harness: Harness;
let made = 0;

beforeAll(async () => {
  // Which redirect URI it will be is known when the secret is made: any of this server is taken.
  server = await startAuthorizationServer({ redirectUris: 'any' });
  harness = await createHarness({
    egress: server.egress,
    extend: (app, floor) => void app.register(createOAuth2CallbackApi(floor.oauth2Callback)),
  });
});
afterAll(async () => {
  await harness.close();
  await server.close();
});

const call = (method: string, path: string, more: TestCall = {}) =>
  harness.call(method, path, { key: harness.tenant.live, ...more });

const machine = (more: object = {}) => ({
  name: `MACHINE ${++made}`,
  provider: 'custom',
  grant_type: 'client_credentials',
  client_id: 'machine',
  client_secret: CLIENT_SECRET,
  token_url: server.tokenUrl,
  scopes: ['api:read'],
  ...more,
});
const person = (more: object = {}) => ({
  ...machine(),
  grant_type: 'authorization_code',
  client_id: 'code client',
  auth_url: server.authUrl,
  scopes: ['openid', 'offline_access'],
  ...more,
});

async function create(body: object) {
  const answer = await call('POST', '/v1/secrets/oauth2', { body });
  expect([answer.status, answer.text]).toEqual([201, expect.any(String)]);
  return answer.json['data'];
}

async function connect(id: string): Promise<URL> {
  const { json } = await call('POST', `/v1/secrets/${id}/oauth2/connect`, { body: {} });
  return server.browse(json['data'].authorization_url);
}

const visit = (url: URL) => harness.call('GET', `${url.pathname}${url.search}`, {});
const token = (id: string) => call('GET', `/v1/secrets/${id}/oauth2/token`);

describe('POST /v1/secrets/oauth2', () => {
  it('answers with the redirect URI, the state of the connection, and no value', async () => {
    const { id, ...shown } = await create(person({ name: 'my crm' }));
    expect(shown).toMatchObject({
      name: 'my_crm',
      secret_type: 'oauth2',
      provider: 'custom',
      environment_count: 1,
      redirect_uri: `http://127.0.0.1:8787/auth/oauth2/callback/${id}`,
      connection_status: 'pending',
      last_error: null,
    });
    expect(JSON.stringify(shown)).not.toContain(CLIENT_SECRET);
    const read = (await call('GET', `/v1/secrets/${id}`)).json['data'];
    expect(read).toMatchObject({ environments: [{ environment_name: 'production', value_version: 1 }] });
    expect(read.oauth2).toMatchObject({ connection_status: 'pending', client_id: 'code client' });
    const listed = (await call('GET', '/v1/secrets')).json['data'].find(
      (row: { id: string }) => row.id === id,
    );
    expect(listed).toMatchObject({ secret_type: 'oauth2', environment_count: 1 });
  });

  it.each([
    ['client_secret', { client_secret: null }],
    ['auth_url', { auth_url: null }],
    ['token_url', { token_url: null }],
    ['token_url', { token_url: 'http://idp.example.com/token' }],
    ['token_url', { token_url: 'https://a:b@idp.example.com/token' }],
    ['auth_url', { auth_url: 'https://idp.example.com/auth#x' }],
    ['username', { username: 'me' }],
    ['password', { grant_type: 'password', username: 'me' }],
    ['scopes[0]', { scopes: ['two words'] }],
    ['provider', { provider: 'myspace' }],
    ['mtls_certificate_id', { mtls_certificate_id: 'aaaaaaaa-0000-4000-8000-000000000001' }],
    ['token_url', { token_url: 'https://10.0.0.1/token' }],
  ])('names %s where it is not as it has to be', async (field, more) => {
    const answer = await call('POST', '/v1/secrets/oauth2', { body: person(more) });
    expect([answer.status, Object.keys(answer.json['fields'] ?? {})]).toEqual([400, [field]]);
  });

  it('knows the addresses of the providers that it names', async () => {
    const body = {
      name: 'hub',
      provider: 'github',
      client_id: 'id',
      client_secret: 'secret',
      scopes: ['repo'],
    };
    const { id } = await create(body);
    const { json } = await call('POST', `/v1/secrets/${id}/oauth2/connect`, { body: {} });
    expect(json['data'].authorization_url).toMatch(/^https:\/\/github\.com\/login\/oauth\/authorize\?/);
  });

  it('keeps names apart from those of other types, and nothing of what is refused', async () => {
    await call('POST', '/v1/secrets', { body: { name: 'taken', value: 'x' } });
    expect((await call('POST', '/v1/secrets/oauth2', { body: machine({ name: 'TAKEN' }) })).status).toBe(409);
    const refused = await call('POST', '/v1/secrets/oauth2', {
      body: machine({ client_secret: 'wrong', name: 'gone' }),
    });
    expect([refused.status, Object.keys(refused.json['fields'])]).toEqual([400, ['client_secret']]);
    expect((await call('POST', '/v1/secrets', { body: { name: 'gone', value: 'x' } })).status).toBe(201);
  });
});

describe('the page that a provider leads back to', () => {
  it('says what is connected, once', async () => {
    const { id, name } = await create(person());
    const back = await connect(id);
    const page = await visit(back);
    expect(page.status).toBe(200);
    expect(page.text).toContain(`${name} is connected`);
    expect(page.headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' });
    expect(page.headers['content-security-policy']).not.toContain('script-src');
    expect((await visit(back)).status).toBe(404);
    const read = await token(id);
    expect(read.status).toBe(200);
    expect(read.headers['cache-control']).toBe('no-store');
    expect(read.json['data']).toMatchObject({ token_type: 'Bearer', connection_status: 'connected' });
    const { json } = await call('GET', '/v1/audit-logs?resource_type=secret&per_page=100');
    const acts = json['data'].filter((row: { resource_id: string }) => row.resource_id === id);
    expect(acts.map(({ action }: { action: string }) => action).sort()).toEqual([
      'secret.connect',
      'secret.connect',
      'secret.create',
      'secret.read',
    ]);
  });

  it('says what was refused, in the words of nobody else', async () => {
    const { id } = await create(person());
    server.person = 'denies';
    const page = await visit(await connect(id));
    server.person = 'consents';
    expect(page.status).toBe(400);
    expect(page.text).toContain('Consent was not given');
    expect(page.text).not.toContain('said the person');
  });

  it('takes the fragment of the implicit grant by its one script', async () => {
    const { id } = await create(person({ grant_type: 'implicit', client_secret: null, token_url: null }));
    const begun = await call('POST', `/v1/secrets/${id}/oauth2/connect`, { body: {} });
    const asked = new URL(begun.json['data'].authorization_url).searchParams;
    expect(asked.get('response_type')).toBe('token');
    const path = `/auth/oauth2/callback/${id}`;
    const page = await harness.call('GET', path, {});
    expect(page.status).toBe(200);
    expect(page.headers['content-security-policy']).toContain("script-src 'sha256-");
    const form = { state: asked.get('state')!, access_token: 'implicit-token', expires_in: '60' };
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const payload = new URLSearchParams(form).toString();
    expect((await harness.call('POST', path, { payload, headers })).status).toBe(200);
    expect((await token(id)).json['data'].access_token).toBe('implicit-token');
    await harness.advance(60_000);
    expect([(await token(id)).status, (await token(id)).json['error'].type]).toEqual([500, 'token_error']);
  });

  it('leads nowhere with anything else', async () => {
    for (const path of ['x', '%3Cscript%3E', 'aaaaaaaa-0000-4000-8000-000000000001']) {
      const page = await harness.call('GET', `/auth/oauth2/callback/${path}?state=a&code=b`, {});
      expect([path, page.status]).toEqual([path, 404]);
    }
  });
});

describe('an OAuth2 secret', () => {
  it('resolves to its access token, where it is bound', async () => {
    const { id, name } = await create(machine({ allowed_hosts: ['api.example.com'] }));
    const scope = { tenantId: harness.tenant.id, sandbox: false };
    const use = { via: 'ephemeral', environment: null, host: 'api.example.com', isPlain: false } as const;
    const resolved = await harness.secrets.resolve(scope, { by: 'name', text: name }, use);
    expect(resolved.value.reveal()).toBe((await token(id)).json['data'].access_token);
    await expect(
      harness.secrets.resolve(scope, { by: 'name', text: name }, { ...use, host: 'example.org' }),
    ).rejects.toMatchObject({ type: 'egress_blocked' });
  });

  it('takes its credentials with it to another token URL and to further hosts, and drops its tokens', async () => {
    const { id } = await create(person({ allowed_hosts: ['api.example.com'] }));
    await visit(await connect(id));
    const patch = (body: object) => call('PATCH', `/v1/secrets/${id}`, { body });
    const status = async () => (await call('GET', `/v1/secrets/${id}`)).json['data'].oauth2.connection_status;
    for (const [field, body] of [
      ['token_url', { token_url: 'https://moved.example.com/token' }],
      ['allowed_hosts', { allowed_hosts: ['api.example.com', 'evil.example.com'] }],
    ] as const) {
      const refused = await patch(body);
      expect([refused.status, Object.keys(refused.json['fields']).sort()]).toEqual([
        400,
        [field, 'client_secret'].sort(),
      ]);
      expect(await status()).toBe('connected');
      expect((await patch({ ...body, client_secret: CLIENT_SECRET })).status).toBe(200);
      expect(await status()).toBe('pending');
      await visit(await connect(id));
    }
    expect((await patch({ allowed_hosts: ['api.example.com'] })).status).toBe(200);
    expect(await status()).toBe('connected');
    expect((await patch({ value: 'x' })).status).toBe(400);
  });

  it('has no value that could be set or shown as others have, and goes with all that it has', async () => {
    const { id } = await create(machine());
    expect((await call('PUT', `/v1/secrets/${id}/value`, { body: { value: 'x' } })).status).toBe(400);
    const plain = (await call('POST', '/v1/secrets', { body: { name: `plain${++made}`, value: 'x' } })).json[
      'data'
    ];
    expect((await token(plain.id)).json['error'].type).toBe('invalid_type');
    const change = { token_url: 'https://idp.example.com/token' };
    expect((await call('PATCH', `/v1/secrets/${plain.id}`, { body: change })).status).toBe(400);
    const { id: waiting } = await create(person());
    expect((await token(waiting)).json['error'].type).toBe('conflict');
    const back = await connect(waiting);
    for (const one of [id, waiting]) expect((await call('DELETE', `/v1/secrets/${one}`)).status).toBe(200);
    expect((await token(id)).status).toBe(404);
    expect((await visit(back)).status).toBe(404);
  });
});
