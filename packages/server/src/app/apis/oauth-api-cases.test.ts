import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemIds } from '../../platform/crypto/random.js';
import type { TestAnswer } from '../../testing/calls.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { askOAuth, basicOfKey } from '../../testing/oauth-calls.js';
import { makeClient, openFamily } from '../../testing/oauth-grants.js';
import { createMember, OWNER_PASSWORD } from '../../testing/tenants.js';

const hashes = vi.hoisted(() => ({ count: 0 }));
vi.mock('../../platform/crypto/password-hash.js', async (importOriginal) => {
  const actual = await importOriginal<typeof import('../../platform/crypto/password-hash.js')>();
  return {
    ...actual,
    createPasswordHasher() {
      const hasher = actual.createPasswordHasher();
      const verify: typeof hasher.verify = (...args) => {
        hashes.count++;
        return hasher.verify(...args);
      };
      return { ...hasher, verify };
    },
  };
});

/** Cases B of oauth-dpop.md for keys at the API, and the cases I that are about addresses and metadata. */
const ORIGIN = 'https://knox.example';
let rig: MatrixRig;
beforeAll(async () => {
  rig = await openMatrixRig({ publicUrl: () => ORIGIN });
});
afterAll(() => rig.close());

const VAULTS = '/v1/vaults';
const list = (headers: Record<string, string>, host?: string) =>
  rig.ask('GET', VAULTS, { headers, ...(host && { host }) });
const shown = ({ status, json }: TestAnswer) => [status, json.error?.type];
const live = () => rig.tenant.live.apiKey;
const metadata = async (host?: string) =>
  (await rig.ask('GET', '/.well-known/oauth-authorization-server', host ? { host } : {})).json;

describe('B: an API key', () => {
  it.each<[string, () => Record<string, string>, unknown[]]>([
    [
      'B03 in both headers, equal',
      () => ({ authorization: `Bearer ${live()}`, 'x-api-key': live() }),
      [200, undefined],
    ],
    [
      'B03 in both headers, another key of the same tenant',
      () => ({ authorization: `Bearer ${live()}`, 'x-api-key': rig.tenant.test.apiKey }),
      [400, 'validation_error'],
    ],
    [
      'B03 in both headers, one of them of nobody',
      () => ({ authorization: `Bearer ${live()}`, 'x-api-key': `${live()}x` }),
      [400, 'validation_error'],
    ],
    ['B05 under bearer in lower case', () => ({ authorization: `bearer ${live()}` }), [200, undefined]],
    ['under the scheme DPoP', () => ({ authorization: `DPoP ${live()}` }), [401, 'invalid_token']],
    ['as Basic', () => ({ authorization: basicOfKey(live()) }), [401, 'authentication_required']],
  ])('%s', async (_how, headers, expected) => {
    expect(shown(await list(headers()))).toEqual(expected);
  });

  it('B01 of nothing at all is asked for by both schemes at every mount of tenants, with no error code', async () => {
    for (const host of ['127.0.0.1', 'api.localhost', 'acme.localhost', 'sandbox-acme.localhost']) {
      const answer = await list({}, host);
      expect([host, ...shown(answer)]).toEqual([host, 401, 'authentication_required']);
      expect(answer.headers['www-authenticate']).toBe('Bearer, DPoP');
    }
  });

  it('B07 without the permission is 403 that names it, and no challenge', async () => {
    const body = { name: 'narrow', grants: [{ permission: 'log:list' }] };
    const { api_key } = await rig.world('v1', rig.tenant, 'live').create('/v1/api-keys', body);
    const answer = await list({ authorization: `Bearer ${api_key}` });
    expect(shown(answer)).toEqual([403, 'forbidden']);
    expect(answer.json.error.message).toContain('vaults:read');
    expect(answer.headers['www-authenticate']).toBeUndefined();
  });

  it('B09 of tenant A on the host of tenant B is as one that never was', async () => {
    const unknown = `tk_live_${'a'.repeat(12)}_${'B'.repeat(40)}`;
    const texts = [];
    for (const key of [rig.other.live.apiKey, unknown, `${rig.other.live.keyId}_${'B'.repeat(40)}`]) {
      const answer = await list({ 'x-api-key': key }, 'acme.localhost');
      expect(shown(answer)).toEqual([401, 'invalid_api_key']);
      const { request_id, ...error } = answer.json.error;
      texts.push(JSON.stringify([error, answer.headers['www-authenticate']]));
    }
    expect(new Set(texts).size).toBe(1);
  });

  it('B11 that is random costs no write and no password hash, five hundred times', async () => {
    const writes = [vi.spyOn(rig.db, 'transaction'), vi.spyOn(rig.db, 'commitInserts')];
    const hashed = hashes.count;
    const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
    const random = (length: number) =>
      Array.from({ length }, () => letters[Math.floor(Math.random() * letters.length)]).join('');
    for (let n = 0; n < 500; n++) {
      const answer = await list({ 'x-api-key': `tk_live_${random(12)}_${random(40)}` });
      expect(shown(answer)).toEqual([401, 'invalid_api_key']);
    }
    expect(writes.map(({ mock }) => mock.calls.length)).toEqual([0, 0]);
    expect(hashes.count).toBe(hashed);
    // Both are seen where they happen.
    await rig.signIn(rig.tenant.ownerEmail, OWNER_PASSWORD);
    expect([writes.some(({ mock }) => mock.calls.length > 0), hashes.count > hashed]).toEqual([true, true]);
    for (const spy of writes) spy.mockRestore();
  });
});

describe('B13, B15 at the proxy', () => {
  it('takes a key and a token as Bearer and as x-api-key, and no bad one', async () => {
    const form = { grant_type: 'client_credentials' };
    const minted = await askOAuth(rig.ask, '/oauth/token', { authorization: basicOfKey(live()), form });
    const made = await rig.world('v1', rig.tenant, 'live').create('/v1/api-keys', { name: 'gone' });
    await rig.world('v1', rig.tenant, 'live').call('DELETE', `/v1/api-keys/${made.id}`);
    const call = async (headers: Record<string, string>) =>
      shown(await rig.ask('GET', '/v1/proxy', { headers }));
    // The next check of its order: it lacks its target.
    const ways = (credential: string): Record<string, string>[] => [
      { authorization: `Bearer ${credential}` },
      { 'x-api-key': credential },
    ];
    for (const good of [live(), minted.json.access_token])
      for (const headers of ways(good)) expect(await call(headers)).toEqual([400, 'missing_proxy_url']);
    for (const [bad, type] of [
      [made['api_key']!, 'invalid_api_key'],
      [`tk_live_${'a'.repeat(12)}_${'B'.repeat(40)}`, 'invalid_api_key'],
      [`kc_live_${'x'.repeat(43)}`, 'invalid_token'],
    ] as const)
      for (const headers of ways(bad)) expect(await call(headers)).toEqual([401, type]);
  });
});

describe('I: addresses', () => {
  it('I07 take no token from their query, whatever the body has', async () => {
    const form = { grant_type: 'client_credentials' };
    const authorization = basicOfKey(live());
    const { json } = await askOAuth(rig.ask, '/oauth/token', { authorization, form });
    for (const path of ['/oauth/introspect', '/oauth/revoke']) {
      const answer = await askOAuth(rig.ask, `${path}?token=${json.access_token}`, { authorization });
      expect([path, answer.status, answer.json.error]).toEqual([path, 400, 'invalid_request']);
      expect((await askOAuth(rig.ask, `${path}?token=${json.access_token}`, { method: 'GET' })).status).toBe(
        405,
      );
    }
    const inQuery = await askOAuth(rig.ask, '/oauth/token?grant_type=client_credentials', { authorization });
    expect([inQuery.status, inQuery.json.error]).toEqual([400, 'invalid_request']);
    expect((await rig.ask('GET', VAULTS, { token: json.access_token })).status).toBe(200);
    expect(rig.logLines.join('')).not.toContain(json.access_token);
  });

  it.each([
    [undefined, ORIGIN],
    ['knox.example', ORIGIN],
    ['attacker.example', ORIGIN],
    ['api.localhost', 'https://api.localhost'],
    ['SANDBOX.localhost:8787', 'https://sandbox.localhost'],
    ['sandbox-acme.localhost', 'https://sandbox-acme.localhost'],
  ])(
    'I13 the issuer at %s is the public origin, https, without path, query and fragment',
    async (host, issuer) => {
      const json = await metadata(host);
      expect(json.issuer).toBe(issuer);
      expect(new URL(json.issuer).origin).toBe(issuer);
      for (const [name, url] of Object.entries<string>(json))
        if (name.endsWith('_endpoint'))
          expect([name, url.startsWith(`${issuer}/oauth/`)]).toEqual([name, true]);
      const form = { grant_type: 'client_credentials' };
      const isTest = issuer.includes('sandbox');
      const authorization = basicOfKey(isTest ? rig.tenant.test.apiKey : live());
      const at = { authorization, ...(host && { host }) };
      const { access_token: token } = (await askOAuth(rig.ask, '/oauth/token', { ...at, form })).json;
      expect((await askOAuth(rig.ask, '/oauth/introspect', { ...at, form: { token } })).json.iss).toBe(
        issuer,
      );
    },
  );

  it('I13 no header of a stranger changes the issuer', async () => {
    const headers = {
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      forwarded: 'host=evil.example',
    };
    const { json } = await rig.ask('GET', '/.well-known/oauth-authorization-server', { headers });
    expect(json).toEqual(await metadata());
  });

  it('I15 the metadata names every grant, method and member that there is a test of, and no other', async () => {
    expect(await metadata()).toMatchObject({
      grant_types_supported: expect.arrayContaining([
        'client_credentials',
        'authorization_code',
        'refresh_token',
        'urn:ietf:params:oauth:grant-type:device_code',
        'urn:ietf:params:oauth:grant-type:token-exchange',
      ]),
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      dpop_signing_alg_values_supported: ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256'],
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
    });
    expect((await metadata()).grant_types_supported).toHaveLength(5);
    for (const grant_type of [
      'password',
      'implicit',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'toString',
    ]) {
      const answer = await askOAuth(rig.ask, '/oauth/token', {
        authorization: basicOfKey(live()),
        form: { grant_type },
      });
      expect([grant_type, answer.json.error]).toEqual([grant_type, 'unsupported_grant_type']);
    }
  });

  it('I15 each way of authentication works at each endpoint that names it', async () => {
    const client = await makeClient(rig, { grant_types: ['client_credentials'], redirect_uris: [] });
    const json = await metadata();
    const secret = { client_id: client.clientId, client_secret: client.secret };
    const forms: Record<string, { authorization?: string; form: Record<string, string> }> = {
      client_secret_basic: { authorization: client.authorization!, form: {} },
      client_secret_post: { form: secret },
    };
    for (const name of ['token', 'introspection', 'revocation']) {
      const path = new URL(json[`${name}_endpoint`]).pathname;
      for (const method of json[`${name}_endpoint_auth_methods_supported`]) {
        // Public clients: oauth-introspect.test.ts and oauth-pages.test.ts.
        const way = forms[method];
        if (!way) continue;
        const form = { grant_type: 'client_credentials', token: 'x', ...way.form };
        expect([path, method, (await askOAuth(rig.ask, path, { ...way, form })).status]).toEqual([
          path,
          method,
          200,
        ]);
      }
    }
  });
});

describe('auth.md §12.8 the shape of answers', () => {
  it('is bare for tokens and their errors, without meta for OAuth clients, with both for keys', async () => {
    const form = { grant_type: 'client_credentials' };
    const { json: token } = await askOAuth(rig.ask, '/oauth/token', {
      authorization: basicOfKey(live()),
      form,
    });
    expect([token.data, token.meta, typeof token.access_token]).toEqual([undefined, undefined, 'string']);
    const { json: error } = await askOAuth(rig.ask, '/oauth/token', { form });
    expect(Object.keys(error)).toEqual(['error', 'error_description']);
    const { json: client } = await rig.ask('POST', '/v1/oauth-clients', {
      key: rig.tenant.live,
      body: { name: 'shape', grant_types: ['client_credentials'] },
    });
    expect(client.data.client_id).toMatch(/^kcc_live_/);
    const clients = await rig.ask('GET', '/v1/oauth-clients', { key: rig.tenant.live });
    for (const json of [client, clients.json]) expect(json).not.toHaveProperty('meta');
    const keys = await rig.ask('GET', '/v1/api-keys', { key: rig.tenant.live });
    expect([Array.isArray(keys.json.data), typeof keys.json.meta]).toEqual([true, 'object']);
  });
});

describe('auth.md §12.10 the details of one audit row', () => {
  it('are redacted for a Viewer’s token of the CLI, and shown to a key and to an OAuth client', async () => {
    const terms = { allowed_scopes: ['audit_log:list'], redirect_uris: [] };
    const client = await makeClient(rig, { ...terms, grant_types: ['client_credentials', 'refresh_token'] });
    const email = await createMember({ ...rig, ids: systemIds }, rig.tenant, 'viewer');
    const family = await openFamily(rig, client, { email, permissions: ['audit_log:list'] });
    const form = { grant_type: 'client_credentials' };
    const { json } = await askOAuth(rig.ask, '/oauth/token', { authorization: client.authorization, form });
    const rowFor = async (token: string) => {
      const answer = await rig.ask('GET', '/v1/audit-logs?action=oauth_client.create', { token });
      return answer.json.data.find((row: { resource_id: string }) => row.resource_id === client.id);
    };
    const [byKey, byClient, byViewer] = [
      await rowFor(live()),
      await rowFor(json.access_token),
      await rowFor(family.accessToken),
    ];
    expect(byKey).toMatchObject({ details: { client_id: client.clientId } });
    expect(byKey).not.toHaveProperty('details_redacted', true);
    expect(byClient).toEqual(byKey);
    expect(byViewer).toMatchObject({ id: byKey.id, details: {}, details_redacted: true });
  });
});
