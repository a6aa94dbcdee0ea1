import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_TIERS } from '../../kernel/plan-tiers.js';
import type { JsonTree } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import type { TestKey } from '../../testing/tenants.js';

const PATH = '/v1/secrets';
const UNKNOWN = '00000000-0000-4000-8000-00000000dead';
const HOST = 'api.example.com';
let harness: Harness;
let ownerToken: string;

beforeAll(async () => {
  harness = await createHarness();
  ownerToken = await harness.signIn(harness.tenant.ownerEmail);
  for (const key of [harness.tenant.live, harness.other.live])
    await harness.call('POST', '/v1/environments', { key, body: { name: 'staging' } });
});
afterAll(() => harness.close());

const call = (method: string, path: string, body?: unknown, key: TestKey = harness.tenant.live) =>
  harness.call(method, path, { key, ...(body !== undefined && { body }) });
let made = 0;
async function make(more: object = {}, key?: TestKey): Promise<JsonTree> {
  const answer = await call('POST', PATH, { name: `S${++made}`, value: 'first', ...more }, key);
  expect(answer.status, answer.text).toBe(201);
  return answer.json['data'] as JsonTree;
}
const get = async (id: unknown) => (await call('GET', `${PATH}/${id}`)).json['data'] as JsonTree;
const versions = async (id: unknown) =>
  ((await get(id))['environments'] as unknown as JsonTree[]).map((row) => [
    row['environment_name'],
    row['value_version'],
  ]);
const reveal = (id: unknown, query = '', token = ownerToken) =>
  harness.call('GET', `/admin/secrets/${id}/value${query}`, { token });
const shown = async (id: unknown, query = '') => (await reveal(id, query)).json['data']!['value'];
const errorOf = ({ status, json }: Awaited<ReturnType<typeof call>>) => [status, json['error']?.['type']];
const fieldsOf = ({ json }: Awaited<ReturnType<typeof call>>) => Object.keys(json['fields'] ?? {}).sort();
async function audit(action: string): Promise<JsonTree> {
  const answer = await harness.call('GET', `/admin/audit-logs?action=${action}`, { token: ownerToken });
  return (answer.json['data'] as unknown as JsonTree[])[0]!;
}

describe('POST /v1/secrets', () => {
  it('answers what it has stored, without the value', async () => {
    const body = {
      name: 'Stripe API Key',
      value: 'sk-live-canary',
      description: 'd',
      expires_at: '2030-01-01T00:00:00+01:00',
      strict_expiry_enforcement: true,
      hosts: ['B.example.com.', '*.example.org', 'b.example.com'],
    };
    const answer = await call('POST', PATH, body);
    expect([answer.status, answer.json['data']]).toEqual([
      201,
      {
        id: expect.any(String),
        name: 'Stripe_API_Key',
        shortcode_name: 'Stripe_API_Key',
        secret_type: 'string',
        base_environment: 'production',
        environment_count: 1,
        collection_id: null,
        allowed_hosts: ['*.example.org', 'b.example.com'],
        expires_at: '2029-12-31T23:00:00.000Z',
        strict_expiry_enforcement: true,
        created_at: expect.any(String),
      },
    ]);
    expect(answer.text).not.toContain('canary');
    const row = await audit('secret.create');
    expect(row).toMatchObject({ resource_type: 'secret', details: { name: 'Stripe_API_Key' } });
    expect(JSON.stringify(row)).not.toContain('canary');
  });

  it('takes another base environment, and the default one where none is said', async () => {
    expect(await make({ environment: 'staging' })).toMatchObject({ base_environment: 'staging' });
    const staging = (await call('GET', '/v1/environments')).json['data'] as unknown as JsonTree[];
    const idOf = (name: string) => staging.find((row) => row['name'] === name)!['id'];
    await call('PATCH', `/v1/environments/${idOf('staging')}`, { is_default: true });
    expect(await make()).toMatchObject({ base_environment: 'staging' });
    await call('PATCH', `/v1/environments/${idOf('production')}`, { is_default: true });
  });

  it.each([
    ['name', { name: '' }],
    ['name', { name: 'a{b' }],
    ['name', { name: "a'b" }],
    ['value', { value: '' }],
    ['value', { value: 'x'.repeat(65_537) }],
    ['value', { value: 1 }],
    ['secret_type', { secret_type: 'certificate' }],
    ['environment', { environment: 'unheard-of' }],
    ['expires_at', { expires_at: 'tomorrow' }],
    ['allowed_hosts[0]', { allowed_hosts: ['https://a.example.com'] }],
    ['allowed_hosts', { allowed_hosts: [] }],
    ['hosts', { allowed_hosts: ['a.example.com'], hosts: ['a.example.com'] }],
    ['collection_id', { collection_id: 'x' }],
  ])('is 400 for a bad %s', async (field, more) => {
    const answer = await call('POST', PATH, { name: `bad${++made}`, value: 'v', ...more });
    expect([errorOf(answer), fieldsOf(answer)]).toEqual([[400, 'validation_error'], [field]]);
  });

  it('takes 64 KiB of UTF-8, whatever characters', async () => {
    const value = 'é'.repeat(32_768);
    expect(await shown((await make({ value }))['id'])).toBe(value);
  });

  it('is 409 for a name that there is, whatever its case and spaces; another mode has names of its own', async () => {
    await make({ name: 'One Name' });
    expect(errorOf(await call('POST', PATH, { name: 'ONE_NAME', value: 'v' }))).toEqual([409, 'conflict']);
    await make({ name: 'ONE_NAME' }, harness.tenant.test);
  });

  it('is 402 where the plan has no room for another live one', async () => {
    await harness.tenantSwitch.changeBySlug(harness.other.slug, { plan: 'free' });
    for (let n = 0; n < DEFAULT_TIERS.free.caps.secrets!; n += 1) await make({}, harness.other.live);
    const one = { name: 'more', value: 'v' };
    expect(errorOf(await call('POST', PATH, one, harness.other.live))).toEqual([402, 'plan_limit']);
    expect((await call('POST', PATH, one, harness.other.test)).status).toBe(201);
    const usage = await call('GET', '/v1/account/usage', undefined, harness.other.live);
    expect(usage.json['data']!['resources']!['secrets']).toEqual({ used: 10, limit: 10 });
  });
});

describe('GET', () => {
  it('lists by name at first, and tells how many environments have a value', async () => {
    const { id } = await make({ name: '00_first' });
    await call('PUT', `${PATH}/${id}/value`, { value: 'v', environment: 'staging' });
    const answer = await call('GET', `${PATH}?per_page=1`);
    expect(answer.json['data']).toMatchObject([{ id, name: '00_first', environment_count: 2 }]);
    expect(answer.json['meta']).toMatchObject({ page: 1, per_page: 1 });
    const last = await call('GET', `${PATH}?sort=created_at&order=desc&per_page=1`);
    expect((last.json['data'] as unknown as JsonTree[])[0]!['id']).toBe(id);
    expect(errorOf(await call('GET', `${PATH}?sort=value`))).toEqual([400, 'validation_error']);
  });

  it('reads one with its environments, in order of their names, and no value', async () => {
    const { id } = await make({ value: 'canary' });
    await call('PUT', `${PATH}/${id}/value`, {
      value: 'canary',
      environment: 'staging',
      expires_at_override: '2031-01-01T00:00:00Z',
    });
    const answer = await call('GET', `${PATH}/${id}`);
    expect(answer.json['data']).toMatchObject({
      id,
      environment_count: 2,
      environments: [
        { environment_name: 'production', value_version: 1, expires_at_override: null, certificate: null },
        { environment_name: 'staging', value_version: 1, expires_at_override: '2031-01-01T00:00:00.000Z' },
      ],
    });
    expect(answer.text).not.toContain('canary');
  });
});

describe('PUT /v1/secrets/:id/value', () => {
  it('counts each write of an environment by itself', async () => {
    const { id, name } = await make();
    const put = (body: object) => call('PUT', `${PATH}/${id}/value`, body);
    expect((await put({ value: 'second' })).json['data']).toEqual({
      id,
      name,
      environment: 'production',
      value_version: 2,
    });
    expect((await put({ value: 's1', environment: 'staging' })).json['data']).toMatchObject({
      environment: 'staging',
      value_version: 1,
    });
    expect(await shown(id)).toBe('second');
    expect(await shown(id, '?environment=staging')).toBe('s1');
    expect(await audit('secret.rotate')).toMatchObject({
      resource_id: id,
      details: { environment: 'staging', value_version: 1 },
    });
  });

  it('is 400 for an environment that there is not', async () => {
    const { id } = await make();
    const answer = await call('PUT', `${PATH}/${id}/value`, { value: 'v', environment: 'no' });
    expect([errorOf(answer), fieldsOf(answer)]).toEqual([[400, 'validation_error'], ['environment']]);
  });
});

describe('PATCH /v1/secrets/:id', () => {
  it('changes what is sent, and no version of a value', async () => {
    const { id } = await make();
    harness.clock.advance(1_000);
    const answer = await call('PATCH', `${PATH}/${id}`, { name: 'Re named', expires_at: null });
    expect(answer.json['data']).toEqual({
      id,
      name: 'Re_named',
      expires_at: null,
      strict_expiry_enforcement: false,
    });
    const row = await get(id);
    expect(await versions(id)).toEqual([['production', 1]]);
    expect((row['environments'] as unknown as JsonTree[])[0]!['updated_at']).toBe(row['updated_at']);
    expect(row['updated_at']).not.toBe(row['created_at']);
    expect(errorOf(await call('PATCH', `${PATH}/${id}`, {}))).toEqual([400, 'validation_error']);
  });

  it('is 409 for a name that there is', async () => {
    await make({ name: 'TAKEN' });
    const { id } = await make();
    expect(errorOf(await call('PATCH', `${PATH}/${id}`, { name: 'taken' }))).toEqual([409, 'conflict']);
  });

  describe('where the value may go further than before', () => {
    const wider = [
      ['a first list', undefined, ['a.example.com']],
      ['one host more', ['a.example.com'], ['a.example.com', 'b.example.com']],
      ['a star', ['a.example.com'], ['*.example.com']],
      ['none at all', ['a.example.com'], null],
    ] as const;

    it.each(wider)('%s: the value is sent again', async (_how, before, after) => {
      const { id } = await make({ ...(before && { allowed_hosts: before }) });
      const refused = await call('PATCH', `${PATH}/${id}`, { name: `not_${made}`, allowed_hosts: after });
      expect(errorOf(refused)).toEqual([400, 'validation_error']);
      expect(fieldsOf(refused)).toEqual(['allowed_hosts', 'value']);
      expect(await get(id)).toMatchObject({ name: `S${made}`, allowed_hosts: before ?? null });
      const taken = await call('PATCH', `${PATH}/${id}`, { allowed_hosts: after, value: 'again' });
      expect(taken.status).toBe(200);
      expect([await shown(id), await versions(id)]).toEqual(['again', [['production', 2]]]);
      expect(await get(id)).toMatchObject({ allowed_hosts: after });
      expect(await audit('secret.update')).toMatchObject({
        details: { written: [{ environment: 'production', value_version: 2 }] },
      });
    });

    it('of every environment that has one', async () => {
      const { id } = await make();
      await call('PUT', `${PATH}/${id}/value`, { value: 's1', environment: 'staging' });
      const hosts = { allowed_hosts: [HOST] };
      for (const sent of [
        { value: 'x' },
        { values: { production: 'x' } },
        { values: { staging: 'x' } },
        {},
      ]) {
        const refused = await call('PATCH', `${PATH}/${id}`, { ...hosts, ...sent });
        expect(fieldsOf(refused)).toEqual(['allowed_hosts', 'values']);
      }
      const values = { production: 'p2', staging: 's2' };
      expect((await call('PATCH', `${PATH}/${id}`, { ...hosts, values })).status).toBe(200);
      expect([await shown(id), await shown(id, '?environment=staging')]).toEqual(['p2', 's2']);
    });

    it('a narrower list needs none', async () => {
      const { id } = await make({ allowed_hosts: ['*.example.com', 'x.example.org'] });
      expect((await call('PATCH', `${PATH}/${id}`, { allowed_hosts: ['a.example.com'] })).status).toBe(200);
      expect(await versions(id)).toEqual([['production', 1]]);
    });

    it('holds under /admin as well', async () => {
      const { id } = await make();
      const body = { allowed_hosts: [HOST] };
      const answer = await harness.call('PATCH', `/admin/secrets/${id}`, { token: ownerToken, body });
      expect(errorOf(answer)).toEqual([400, 'validation_error']);
    });
  });

  it('is 400 for a value beside values, and for an environment that there is not', async () => {
    const { id } = await make();
    const both = await call('PATCH', `${PATH}/${id}`, { value: 'a', values: { production: 'b' } });
    expect(fieldsOf(both)).toEqual(['values']);
    const unknown = await call('PATCH', `${PATH}/${id}`, { values: { nowhere: 'b' } });
    expect(fieldsOf(unknown)).toEqual(['values.nowhere']);
  });
});

describe('DELETE /v1/secrets/:id', () => {
  it('takes the values along, and gives the name free', async () => {
    const { id } = await make({ name: 'GOING' });
    const answer = await call('DELETE', `${PATH}/${id}`);
    expect([answer.status, answer.json['data']]).toEqual([200, { deleted: true }]);
    expect(errorOf(await call('GET', `${PATH}/${id}`))).toEqual([404, 'not_found']);
    await make({ name: 'going' });
    expect(await audit('secret.delete')).toMatchObject({ resource_id: id, details: { name: 'GOING' } });
  });
});

describe('GET /admin/secrets/:id/value', () => {
  it('shows the value that holds, whose it is, and leaves an audit row each time', async () => {
    const { id, name } = await make({ value: 'shown' });
    const answer = await reveal(id, '?environment=staging');
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.json['data']).toMatchObject({
      id,
      name,
      environment: 'staging',
      value: 'shown',
      value_version: 1,
      is_inherited: true,
    });
    expect((await reveal(id)).json['data']).toMatchObject({ environment: 'production', is_inherited: false });
    const row = await audit('secret.read');
    expect(row).toMatchObject({ resource_id: id, details: { environment: 'production', value_version: 1 } });
    expect(JSON.stringify(row)).not.toContain('shown');
    expect(errorOf(await reveal(id, '?environment=no'))).toEqual([400, 'validation_error']);
  });

  it('is not there under /v1, and 403 for who may not', async () => {
    const { id } = await make();
    expect(errorOf(await call('GET', `${PATH}/${id}/value`))).toEqual([405, 'method_not_allowed']);
    for (const role of ['developer', 'viewer'] as const)
      expect(errorOf(await reveal(id, '', await harness.signInAs(role)))).toEqual([403, 'forbidden']);
    expect((await reveal(id, '', await harness.signInAs('admin'))).status).toBe(200);
  });
});

describe('404', () => {
  it('is of whatever is not of this tenant and mode', async () => {
    await harness.tenantSwitch.changeBySlug(harness.other.slug, { plan: 'enterprise' });
    const foreign = await make({}, harness.other.live);
    const ofTest = await make({}, harness.tenant.test);
    for (const id of [UNKNOWN, 'name', foreign['id'], ofTest['id']]) {
      for (const answer of [
        await call('GET', `${PATH}/${id}`),
        await call('PATCH', `${PATH}/${id}`, { name: 'x' }),
        await call('PUT', `${PATH}/${id}/value`, { value: 'x' }),
        await call('DELETE', `${PATH}/${id}`),
        await reveal(id),
      ])
        expect(errorOf(answer)).toEqual([404, 'not_found']);
    }
  });
});

describe('environments', () => {
  it('that are the base of a secret stay; values of others go with theirs, and do not come back', async () => {
    const staging = (await call('POST', '/v1/environments', { name: 'passing' })).json['data']!['id'];
    const path = `/v1/environments/${staging}`;
    const { id } = await make();
    const based = await make({ environment: 'passing' });
    await call('PUT', `${PATH}/${id}/value`, { value: 'own', environment: 'passing' });
    expect(errorOf(await call('DELETE', path))).toEqual([409, 'conflict']);
    await call('PATCH', path, { name: 'passed' });
    expect(await get(based['id'])).toMatchObject({ base_environment: 'passed' });
    expect(await shown(id, '?environment=passed')).toBe('own');
    await call('DELETE', `${PATH}/${based['id']}`);
    expect((await call('DELETE', path)).status).toBe(200);
    expect(await audit('environment.delete')).toMatchObject({ details: { secret_values_deleted: 1 } });
    await call('POST', '/v1/environments', { name: 'passed' });
    expect(await shown(id, '?environment=passed')).toBe('first');
    expect(await versions(id)).toEqual([['production', 1]]);
  });
});
