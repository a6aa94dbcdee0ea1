import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonTree } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import type { TestKey } from '../../testing/tenants.js';

let harness: Harness;
beforeAll(async () => {
  harness = await createHarness();
});
afterAll(() => harness.close());

const create = async (body: unknown, key: TestKey | string = harness.tenant.live) =>
  harness.call('POST', '/v1/api-keys', { key, body });

async function listed(key = harness.tenant.live, query = 'per_page=100'): Promise<JsonTree[]> {
  const answer = await harness.call('GET', `/v1/api-keys?${query}`, { key });
  return answer.json['data'] as unknown as JsonTree[];
}

const INVOKE = '8fa66298-61f6-4dfe-8688-c61f0913cf99';
const READ_ONLY = 'e794bdab-daa8-4034-98a5-9ec335c311d1';
const VIEWER = 'b0a162c0-70a8-490f-8764-e03935ce3dd5';
const READ = { permission: 'vaults:read' };
const DETOKENIZE = { permission: 'vaults:detokenize' };
const CARDS = { ...DETOKENIZE, resource: 'cards' };
const MAKE_KEYS = { permission: 'api-keys:write' };
const INVOKE_GRANTS = [
  'proxy:invoke',
  'routes:invoke',
  'vaults:tokenize',
  'vaults:detokenize',
  'crypto:encrypt',
  'crypto:decrypt',
  'crypto:sign',
  'crypto:verify',
].map((permission) => ({ permission }));
const limit = (requests: unknown, window: unknown) => ({
  rate_limit_requests: requests,
  rate_limit_window_sec: window,
});

/** A key with those members, by the tenant's full key unless another makes it. */
async function keyWith(members: object, maker: TestKey | string = harness.tenant.live): Promise<string> {
  const answer = await create({ name: 'limited', ...members }, maker);
  expect([answer.status, answer.json['error']?.['message']]).toEqual([201, undefined]);
  return String(answer.json['data']?.['api_key']);
}
const grants = (...names: string[]) => ({ grants: names.map((permission) => ({ permission })) });
const statusOf = async (method: string, path: string, key: string, body?: unknown) =>
  (await harness.call(method, path, { key, body })).status;

describe('a key with a rate limit of its own', () => {
  it('makes keys with that limit or a tighter one, and none that may do more', async () => {
    const maker = await keyWith({ ...limit(10, 60), ...grants('api-keys:write', 'vaults:read') });
    const made = async (members: object) => {
      const { status, json } = await create({ name: 'child', ...grants('vaults:read'), ...members }, maker);
      if (status !== 201) return [status, json['error']?.['type']];
      const { json: listed } = await harness.call('GET', '/v1/api-keys', { key: harness.tenant.live });
      const row = listed['data'].find(({ id }: { id: string }) => id === json['data']?.['id']);
      return [status, row.rate_limit_requests];
    };
    expect(await made({})).toEqual([201, 10]);
    expect(await made(limit(5, 60))).toEqual([201, 5]);
    expect(await made(limit(11, 60))).toEqual([403, 'privilege_escalation']);
    expect(await made(limit(10, 59))).toEqual([403, 'privilege_escalation']);
    expect(await made(limit(20, 3_600))).toEqual([403, 'privilege_escalation']);
  });
});

describe('201', () => {
  it('makes a key that works, shown once', async () => {
    const answer = await create({ name: ' ci ' });
    expect(answer.status).toBe(201);
    expect(answer.headers['cache-control']).toBe('no-store');
    const data = answer.json['data']!;
    expect(data).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      key_id: expect.stringMatching(/^tk_live_[a-z0-9]{12}$/),
      api_key: expect.stringMatching(/^tk_live_[a-z0-9]{12}_[A-Za-z0-9]{40}$/),
      key_prefix: expect.stringMatching(/^tk_live_[a-z0-9]{3}\.\.\.$/),
      key_type: 'standard',
      name: 'ci',
      role_ids: [],
      message: expect.any(String),
    });
    const used = await harness.call('GET', '/v1/api-keys', { key: String(data['api_key']) });
    expect(used.status).toBe(200);
    expect(used.text).not.toContain(String(data['api_key']));
  });

  it('makes a test key in the sandbox, by host and by the mode of the caller', async () => {
    const byHost = await harness.call('POST', '/v1/api-keys', {
      key: harness.tenant.test,
      host: 'sandbox.localhost',
      body: { name: 'a' },
    });
    expect(byHost.json['data']?.['key_type']).toBe('test');
    const byCaller = await create({ name: 'b' }, harness.tenant.test);
    expect(String(byCaller.json['data']?.['api_key'])).toMatch(/^tk_test_/);
  });
});

describe('what a key may do', () => {
  it('is everything without roles, and what its roles grant with them', async () => {
    expect(await statusOf('POST', '/v1/api-keys', await keyWith({}), { name: 'x' })).toBe(201);
    const answer = await create({ name: 'reader', role_ids: [READ_ONLY.toUpperCase(), READ_ONLY, INVOKE] });
    expect(answer.json['data']?.['role_ids']).toEqual([READ_ONLY, INVOKE]);
    const reader = String(answer.json['data']?.['api_key']);
    expect(await statusOf('GET', '/v1/roles', reader)).toBe(200);
    expect(await statusOf('POST', '/v1/api-keys', reader, { name: 'x' })).toBe(403);
  });

  it('is what it was granted by name', async () => {
    const key = await keyWith(grants('api-keys:read', 'roles:read', 'roles:read'));
    expect(await statusOf('GET', '/v1/api-keys', key)).toBe(200);
    expect(await statusOf('GET', '/v1/audit-logs', key)).toBe(403);
  });

  it.each([
    ['no role', { role_ids: [] }],
    ['no grant', { grants: [] }],
  ])('is nothing with %s, and yet it authenticates', async (_, members) => {
    const key = await keyWith(members);
    const answer = await harness.call('GET', '/v1/roles', { key });
    expect([answer.status, answer.json['error']]).toMatchObject([403, { type: 'forbidden' }]);
    expect(answer.json['error']?.['message']).toContain('roles:read');
  });

  it('is what its limited maker holds when it asks for nothing', async () => {
    const maker = await keyWith(grants('api-keys:write', 'roles:read'));
    const child = await create({ name: 'child' }, maker);
    expect(child.json['data']).toMatchObject({ role_ids: [] });
    const key = String(child.json['data']?.['api_key']);
    expect(await statusOf('GET', '/v1/roles', key)).toBe(200);
    expect(await statusOf('GET', '/v1/api-keys', key)).toBe(403);
    expect(await statusOf('POST', '/v1/api-keys', await keyWith({}, key), { name: 'x' })).toBe(201);
  });

  it('stays in its mode', async () => {
    const key = await keyWith({ role_ids: [INVOKE] }, harness.tenant.test);
    expect(key).toMatch(/^tk_test_/);
    expect(await statusOf('GET', '/v1/roles', key)).toBe(403);
  });
});

describe('a rate limit of its own', () => {
  it('is listed, and null asks for none', async () => {
    const answer = await create({ name: 'slow', ...limit(5, 60) });
    const id = answer.json['data']?.['id'];
    expect((await listed()).find((row) => row['id'] === id)).toMatchObject(limit(5, 60));
    expect((await create({ name: 'usual', ...limit(null, null) })).status).toBe(201);
  });
});

describe('200', () => {
  it('lists the keys of the mode with pages, never a secret or a hash', async () => {
    const answer = await harness.call('GET', '/v1/api-keys?page=1&per_page=1000&order=asc', {
      key: harness.other.live,
    });
    expect(answer.json).toEqual({
      data: [
        {
          id: harness.other.live.id,
          key_id: harness.other.live.keyId,
          key_prefix: `${harness.other.live.keyId.slice(0, 11)}...`,
          key_type: 'standard',
          name: 'live key',
          active: true,
          created_at: '2026-01-15T09:30:00.000Z',
          last_used_at: null,
          rate_limit_requests: null,
          rate_limit_window_sec: null,
        },
      ],
      meta: { total: 1, page: 1, per_page: 100, total_pages: 1, request_id: answer.headers['x-request-id'] },
    });
    expect(await listed(harness.other.live, 'page=9')).toEqual([]);
  });

  it('revokes by row id and by key id; the key is dead at once and stays in the list', async () => {
    for (const name of ['id', 'key_id']) {
      const { json } = await create({ name: 'doomed' });
      const data = json['data']!;
      const key = String(data['api_key']);
      expect((await harness.call('GET', '/v1/api-keys', { key })).status).toBe(200);
      const revoked = await harness.call('DELETE', `/v1/api-keys/${String(data[name])}`, {
        key: harness.tenant.live,
      });
      expect([revoked.status, revoked.json['data']]).toEqual([200, { revoked: true }]);
      expect((await harness.call('GET', '/v1/api-keys', { key })).status).toBe(401);
      expect((await listed()).find((row) => row['id'] === data['id'])).toMatchObject({ active: false });
    }
  });

  it('writes the last use once a minute, and what is pending at shutdown', async () => {
    const own = await createHarness();
    const lastUsed = async () => {
      const { rows } = await own.apiKeys.list(
        { tenantId: own.tenant.id, sandbox: false },
        { page: 1, perPage: 20, order: 'desc' },
      );
      return rows[0]?.lastUsedAtMs;
    };
    const use = () => own.call('GET', '/v1/audit-logs', { key: own.tenant.live });
    await use();
    const firstMs = own.clock.nowMs();
    await own.advance(59_500);
    await use();
    expect(await lastUsed()).toBeNull();
    await own.advance(500);
    await expect.poll(lastUsed).toBe(firstMs + 59_500);
    await own.advance(1_000);
    await use();
    await own.apiKeys.stop();
    expect(await lastUsed()).toBe(firstMs + 61_000);
    await own.close();
  });

  it('writes one audit row for each change, with what was granted and no secret', async () => {
    const { json } = await create({ name: 'audited', grants: [CARDS], ...limit(5, 60) });
    const data = json['data']!;
    await harness.call('DELETE', `/v1/api-keys/${String(data['id'])}`, { key: harness.tenant.live });
    const { rows } = await harness.auditLogs.list(harness.tenant.id, {
      page: 1,
      perPage: 100,
      order: 'desc',
    });
    const own = rows.filter((row) => row.resourceId === String(data['id']));
    expect(own.map((row) => row.action).sort()).toEqual(['api_key.create', 'api_key.revoke']);
    expect(own[0]?.details).toMatchObject({ key_id: data['key_id'], sandbox: false });
    expect(own.find((row) => row.action === 'api_key.create')?.details).toMatchObject({
      key_type: 'standard',
      role_ids: [],
      grants: [CARDS],
      ...limit(5, 60),
    });
    expect(JSON.stringify(rows)).not.toContain(String(data['api_key']).split('_')[3]);
  });
});

describe('400', () => {
  it.each([
    ['no name', {}, 'name'],
    ['an empty name', { name: ' ' }, 'name'],
    ['a long name', { name: 'x'.repeat(256) }, 'name'],
    ['a number as name', { name: 1 }, 'name'],
    ['the mode in the body', { name: 'x', sandbox: true }, 'sandbox'],
    ['the type in the body', { name: 'x', key_type: 'access_key' }, 'key_type'],
    ["scopes, which are an access key's", { name: 'x', scopes: ['vaults:read'] }, 'scopes'],
    ["an expiry, which is an access key's", { name: 'x', expires_at: '2030-01-01T00:00:00Z' }, 'expires_at'],
    ['roles and grants', { name: 'x', role_ids: [], grants: [] }, 'grants'],
    ['roles that are null', { name: 'x', role_ids: null }, 'role_ids'],
    ['a role by its name', { name: 'x', role_ids: ['Key — Invoke'] }, 'role_ids[0]'],
    ['21 roles', { name: 'x', role_ids: Array.from({ length: 21 }, () => INVOKE) }, 'role_ids'],
    ['101 grants', { name: 'x', grants: Array.from({ length: 101 }, () => READ) }, 'grants'],
    ['an unknown permission', { name: 'x', grants: [{ permission: 'vaults:fly' }] }, 'grants[0].permission'],
    ['a wildcard', { name: 'x', grants: [{ permission: 'vaults:*' }] }, 'grants[0].permission'],
    ['everything', { name: 'x', grants: [{ permission: '*' }] }, 'grants[0].permission'],
    ['what only users hold', { name: 'x', grants: [{ permission: 'team:read' }] }, 'grants[0].permission'],
    ['a resource too much', { name: 'x', grants: [{ ...READ, resource: 'cards' }] }, 'grants[0].resource'],
    ['no vault name', { name: 'x', grants: [{ ...DETOKENIZE, resource: 'A b' }] }, 'grants[0].resource'],
    ['an empty resource', { name: 'x', grants: [{ ...DETOKENIZE, resource: '' }] }, 'grants[0].resource'],
    [
      'a vault by its id',
      { name: 'x', grants: [{ ...DETOKENIZE, resource: '00000000-0000-4000-8000-000000000000' }] },
      'grants[0].resource',
    ],
    ['a denial', { name: 'x', grants: [{ ...READ, effect: 'deny' }] }, 'grants[0].effect'],
    ['requests without a window', { name: 'x', rate_limit_requests: 1 }, 'rate_limit_window_sec'],
    ['a window without requests', { name: 'x', rate_limit_window_sec: 1 }, 'rate_limit_requests'],
    ['no request at all', { name: 'x', ...limit(0, 1) }, 'rate_limit_requests'],
    ['half a second', { name: 'x', ...limit(1, 0.5) }, 'rate_limit_window_sec'],
    ['a limit as text', { name: 'x', ...limit('5', 1) }, 'rate_limit_requests'],
  ])('%s', async (_, body, field) => {
    const before = (await listed()).length;
    const answer = await create(body);
    expect([answer.status, Object.keys(answer.json['fields'] ?? {})]).toEqual([400, [field]]);
    expect(await listed()).toHaveLength(before);
  });

  it('revoking the key that makes the call, by either name', async () => {
    const { live } = harness.tenant;
    for (const name of [live.id, live.id.toUpperCase(), live.keyId]) {
      const answer = await harness.call('DELETE', `/v1/api-keys/${name}`, { key: live });
      expect([answer.status, answer.json['error']?.['type']]).toEqual([400, 'validation_error']);
    }
    expect((await harness.call('GET', '/v1/api-keys', { key: live })).status).toBe(200);
  });
});

describe('403', () => {
  it.each([
    ['a role of users', VIEWER],
    ['an unknown role', '00000000-0000-4000-8000-00000000dead'],
  ])('%s is forbidden', async (_, role) => {
    const before = (await listed()).length;
    const answer = await create({ name: 'x', role_ids: [INVOKE, role] });
    expect([answer.status, answer.json['error']?.['type']]).toEqual([403, 'forbidden']);
    expect(answer.json['error']?.['message']).toContain(role);
    expect(await listed()).toHaveLength(before);
  });

  it.each<[string, object[], object, string]>([
    ['a wider role', [READ], { role_ids: [INVOKE] }, 'proxy:invoke'],
    ['one wider role of two', INVOKE_GRANTS, { role_ids: [INVOKE, READ_ONLY] }, 'routes:read'],
    ['a further grant', [READ], { grants: [READ, DETOKENIZE] }, 'vaults:detokenize'],
    ['a grant of all', [CARDS], { grants: [DETOKENIZE] }, 'vaults:detokenize,'],
    [
      'another resource',
      [CARDS],
      { grants: [{ ...CARDS, resource: 'notes' }] },
      'vaults:detokenize for "notes"',
    ],
  ])("%s than the maker's is privilege_escalation and writes nothing", async (_, held, asked, named) => {
    const maker = await keyWith({ grants: [...held, MAKE_KEYS] });
    const before = (await listed()).length;
    const answer = await create({ name: 'x', ...asked }, maker);
    expect([answer.status, answer.json['error']?.['type']]).toEqual([403, 'privilege_escalation']);
    expect(answer.json['error']?.['message']).toContain(named);
    expect(await listed()).toHaveLength(before);
  });

  it("the same or less than the maker's is made", async () => {
    const narrow = await keyWith({ grants: [CARDS, READ, MAKE_KEYS] });
    for (const grant of [CARDS, READ, MAKE_KEYS])
      expect((await create({ name: 'x', grants: [grant] }, narrow)).status).toBe(201);
    const invoking = await keyWith({ grants: [...INVOKE_GRANTS, MAKE_KEYS] });
    expect((await create({ name: 'x', role_ids: [INVOKE] }, invoking)).status).toBe(201);
  });
});

describe('404', () => {
  it('revoking twice, one after the other and at the same moment', async () => {
    const first = await create({ name: 'twice' });
    const path = `/v1/api-keys/${String(first.json['data']?.['id'])}`;
    const statuses = await Promise.all(
      [1, 2, 3].map(async () => (await harness.call('DELETE', path, { key: harness.tenant.live })).status),
    );
    expect(statuses.sort()).toEqual([200, 404, 404]);
    expect((await harness.call('DELETE', path, { key: harness.tenant.live })).status).toBe(404);
  });
});
