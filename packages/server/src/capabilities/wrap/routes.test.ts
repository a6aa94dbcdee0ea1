import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import type { JsonTree, TestCall } from '../../testing/calls.js';
import { type MatrixRig, openMatrixRig, type World } from '../../testing/matrix-rig.js';
import type { Wrap } from './service.js';

const HOST = 'api.example.com';
const VALUE = 'sk-live-0123456789abcdef';

let rig: MatrixRig;
let world: World;
beforeAll(async () => {
  rig = await openMatrixRig();
  world = rig.world('v1', rig.tenant, 'live');
});
afterAll(() => rig.close());

let made = 0;
const credentialOf = () => ({ provider: 'openai', name: `Wrapped ${++made}`, value: VALUE, hosts: [HOST] });
const call = (method: string, path: string, options: TestCall = {}) => world.call(method, path, options);
const post = (path: string, body: unknown) => call('POST', `/v1/wrap/${path}`, { body });

async function escrow(terms: object = {}): Promise<JsonTree> {
  const { status, json } = await post('credentials', { ...credentialOf(), ...terms });
  expect(status, JSON.stringify(json)).toBe(201);
  return json['data'] as unknown as JsonTree;
}

async function newToken(terms: object): Promise<JsonTree> {
  const { status, json } = await post('tokens', terms);
  expect(status, JSON.stringify(json)).toBe(201);
  return json['data'] as unknown as JsonTree;
}

async function tokens(): Promise<JsonTree[]> {
  return (await call('GET', '/v1/wrap/tokens')).json['data']?.['tokens'] as unknown as JsonTree[];
}

async function audits(action: string): Promise<JsonTree[]> {
  return (await call('GET', `/v1/audit-logs?action=${action}`)).json['data'] as unknown as JsonTree[];
}

describe('POST /v1/wrap/credentials', () => {
  it('makes a secret that is bound to the hosts, and answers without its value', async () => {
    const answer = await post('credentials', {
      ...credentialOf(),
      name: 'Open AI',
      hosts: ['API.example.com.', '*.example.org'],
    });
    expect(answer.status).toBe(201);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.json['data']).toEqual({
      secret_id: expect.any(String),
      name: 'Open_AI',
      provider: 'openai',
      allowed_hosts: ['*.example.org', HOST],
      sandbox: false,
    });
    expect(answer.text).not.toContain(VALUE);
    const id = answer.json['data']?.['secret_id'];
    expect((await call('GET', `/v1/secrets/${id}`)).json['data']).toMatchObject({
      name: 'Open_AI',
      secret_type: 'string',
      allowed_hosts: ['*.example.org', HOST],
      environments: [{ value_version: 1 }],
    });
    expect((await audits('wrap.credential.create'))[0]).toMatchObject({
      resource_type: 'secret',
      resource_id: id,
      details: { name: 'Open_AI', provider: 'openai' },
    });
  });

  it('is refused under a name that a secret has', async () => {
    const { name } = await escrow();
    expect((await post('credentials', { ...credentialOf(), name: `${name}`.toLowerCase() })).status).toBe(
      409,
    );
  });

  it.each([
    ['provider', { provider: 'Open AI' }],
    ['value', { value: 'two\r\nlines' }],
    ['value', { value: 'ключ' }],
    ['value', { value: ' ' }],
    ['hosts', { hosts: [] }],
    ['hosts[0]', { hosts: ['https://api.example.com'] }],
    ['hosts[0]', { hosts: ['api.example.com:443'] }],
    ['hosts[0]', { hosts: ['10.0.0.1'] }],
    ['allowed_hosts', { allowed_hosts: [HOST] }],
  ])('400 names %s: %j', async (field, terms) => {
    const { status, json, text } = await post('credentials', { ...credentialOf(), ...terms });
    expect([status, Object.keys(json['fields'] ?? {})]).toEqual([400, [field]]);
    expect(text).not.toContain('lines');
  });
});

describe('POST /v1/wrap/tokens', () => {
  it('shows the token once, for the only host', async () => {
    const credential = await escrow();
    const answer = await post('tokens', { secret: credential['name'], label: 'ci' });
    expect([answer.status, answer.headers['cache-control']]).toEqual([201, 'no-store']);
    const data = answer.json['data'] as unknown as JsonTree;
    expect(data).toEqual({
      id: expect.any(String),
      token: expect.stringMatching(/^wkt_[A-Za-z0-9_-]{43}$/),
      base_url: `http://127.0.0.1:8787/wg/${data['token']}/${HOST}`,
      base_url_style: 'path',
      host: HOST,
      secret_id: credential['secret_id'],
      sandbox: false,
      expires_at: new Date(rig.clock.nowMs() + LIMITS.wrapTokenSecondsDefault * 1000).toISOString(),
    });
    const listed = await call('GET', '/v1/wrap/tokens');
    expect(listed.text).not.toContain('wkt_');
    expect((await tokens())[0]).toEqual({
      id: data['id'],
      secret_id: credential['secret_id'],
      host: HOST,
      label: 'ci',
      created_at: expect.any(String),
      expires_at: data['expires_at'],
      revoked_at: null,
      last_used_at: null,
    });
    const [audit] = await audits('wrap.token.create');
    expect(audit).toMatchObject({
      resource_type: 'secret',
      resource_id: credential['secret_id'],
      details: { token_id: data['id'], host: HOST, label: 'ci' },
    });
    expect(JSON.stringify(audit)).not.toContain('wkt_');
  });

  it('names the secret by id or by name, in any case and with its spaces', async () => {
    const { secret_id: id } = await escrow({ name: 'By Name' });
    for (const secret of [id, 'By Name', 'by_name'])
      expect((await newToken({ secret }))['secret_id']).toBe(id);
  });

  it('is of any secret that is bound, and of one host below a star', async () => {
    const body = { name: 'PLAIN', value: VALUE, allowed_hosts: ['*.example.com'] };
    await call('POST', '/v1/secrets', { body });
    expect((await newToken({ secret: 'PLAIN', host: 'Api.Example.com.' }))['host']).toBe(HOST);
  });

  it.each([
    [1, LIMITS.wrapTokenSecondsMin],
    [LIMITS.wrapTokenSecondsMax + 1, LIMITS.wrapTokenSecondsMax],
    [3600, 3600],
  ])('ttl_seconds %i is %i', async (ttl_seconds, seconds) => {
    const { name } = await escrow();
    const { expires_at } = await newToken({ secret: name, ttl_seconds });
    expect(Date.parse(`${expires_at}`)).toBe(rig.clock.nowMs() + seconds * 1000);
  });

  it.each([
    ['host', { hosts: [HOST, 'b.example.com'] }, {}],
    ['host', { hosts: ['*.example.com'] }, {}],
    ['host', {}, { host: 'b.example.com' }],
    ['host', {}, { host: '*.example.com' }],
    ['host', {}, { host: '10.0.0.1' }],
    ['host', {}, { host: 'api.example.com:443' }],
    ['style', {}, { style: 'subdomain' }],
    ['ttl_seconds', {}, { ttl_seconds: 0 }],
    ['ttl_seconds', {}, { ttl_seconds: 1.5 }],
    ['label', {}, { label: '' }],
  ])('400 names %s: a secret %j, a token %j', async (field, credential, terms) => {
    const { name } = await escrow(credential);
    const { status, json } = await post('tokens', { secret: name, ...terms });
    expect([status, Object.keys(json['fields'] ?? {})]).toEqual([400, [field]]);
  });

  it('400 names a secret that is not bound, and a certificate', async () => {
    await call('POST', '/v1/secrets', { body: { name: 'UNBOUND', value: VALUE } });
    const { status, json } = await post('tokens', { secret: 'UNBOUND' });
    expect([status, Object.keys(json['fields'] ?? {})]).toEqual([400, ['secret']]);
  });

  it('404: unknown, of another tenant, of the other mode', async () => {
    const { name, secret_id: id } = await escrow();
    const places = [rig.world('v1', rig.other, 'live'), rig.world('v1', rig.tenant, 'test')];
    for (const place of places)
      for (const secret of [id, name]) {
        const answer = await place.call('POST', '/v1/wrap/tokens', { body: { secret } });
        expect([answer.status, answer.json['error']?.['type']]).toEqual([404, 'not_found']);
      }
    expect((await post('tokens', { secret: 'NOBODY' })).status).toBe(404);
  });

  it('409 where too many live', async () => {
    const other = rig.world('v1', rig.other, 'test');
    await other.create('/v1/secrets', { name: 'MANY', value: VALUE, allowed_hosts: [HOST] });
    const make = () => other.call('POST', '/v1/wrap/tokens', { body: { secret: 'MANY', ttl_seconds: 60 } });
    for (let from = 0; from < LIMITS.wrapTokensMax; from += 100) {
      const answers = await Promise.all(Array.from({ length: 100 }, make));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    }
    expect((await make()).status).toBe(409);
    rig.clock.advance(60_000);
    expect((await make()).status).toBe(201);
  });
});

describe('DELETE /v1/wrap/tokens/:id', () => {
  it('revokes, says so a second time, and leaves one audit row', async () => {
    const { name, secret_id } = await escrow();
    const { id } = await newToken({ secret: name });
    const before = (await audits('wrap.token.revoke')).length;
    for (let i = 0; i < 2; i++) {
      const answer = await call('DELETE', `/v1/wrap/tokens/${id}`);
      expect([answer.status, answer.json['data']]).toEqual([200, { id, revoked: true }]);
    }
    const after = await audits('wrap.token.revoke');
    expect(after.length).toBe(before + 1);
    expect(after[0]).toMatchObject({ resource_type: 'secret', resource_id: secret_id });
    expect((await tokens()).find((token) => token['id'] === id)?.['revoked_at']).not.toBeNull();
  });
});

describe('the end of a token', () => {
  it('comes with its secret, and its row goes 30 days later', async () => {
    const wrap: Wrap = rig.services.wrap;
    const credential = await escrow();
    const { id } = await newToken({ secret: credential['name'] });
    expect((await call('DELETE', `/v1/secrets/${credential['secret_id']}`)).status).toBe(200);
    const row = async () => (await tokens()).find((token) => token['id'] === id);
    expect((await row())?.['revoked_at']).not.toBeNull();
    rig.clock.advance(LIMITS.wrapTokenKeptMs - 1);
    await wrap.removeEnded(10_000);
    expect(await row()).toBeDefined();
    rig.clock.advance(1);
    while ((await wrap.removeEnded(100)) === 100);
    expect(await row()).toBeUndefined();
  });
});
