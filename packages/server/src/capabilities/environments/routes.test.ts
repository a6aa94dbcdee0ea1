import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import { DEFAULT_TIERS } from '../../kernel/plan-tiers.js';
import type { JsonTree } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';

const PATH = '/v1/environments';
const UNKNOWN = '00000000-0000-4000-8000-00000000dead';
let harness: Harness;

beforeAll(async () => {
  const starter = { ...DEFAULT_TIERS.starter, caps: { ...DEFAULT_TIERS.starter.caps, environments: 2 } };
  harness = await createHarness({ tiers: { ...DEFAULT_TIERS, starter } });
});
afterAll(() => harness.close());

const call = (method: string, path: string, body?: unknown, key = harness.tenant.live) =>
  harness.call(method, path, { key, ...(body !== undefined && { body }) });
const list = async (key = harness.tenant.live) =>
  (await call('GET', PATH, undefined, key)).json['data'] as unknown as JsonTree[];
const make = async (name: string, more: object = {}) =>
  (await call('POST', PATH, { name, ...more })).json['data'] as JsonTree;
const defaults = async () => (await list()).filter((row) => row['is_default']).map((row) => row['name']);
const errorOf = ({ status, json }: Awaited<ReturnType<typeof call>>) => [status, json['error']?.['type']];

describe('200 and 201', () => {
  it('begins with production, which is the default, in both modes', async () => {
    for (const key of [harness.other.live, harness.other.test]) {
      const answer = await call('GET', PATH, undefined, key);
      expect(Object.keys(answer.json['meta'] as object)).toEqual(['request_id']);
      expect(answer.json['data']).toEqual([
        {
          id: expect.any(String),
          name: 'production',
          display_name: 'Production',
          description: null,
          color: '#6366f1',
          is_default: true,
          variables: {},
          created_at: expect.any(String),
        },
      ]);
    }
  });

  it('makes one, with what is not sent as the contract says', async () => {
    const answer = await call('POST', PATH, { name: 'qa_1-x' });
    expect([answer.status, answer.json['data']]).toEqual([
      201,
      {
        id: expect.any(String),
        name: 'qa_1-x',
        display_name: null,
        description: null,
        color: '#6366f1',
        is_default: false,
        variables: {},
        created_at: expect.any(String),
        tenant_id: harness.tenant.id,
        sandbox: false,
      },
    ]);
    expect((await list(harness.tenant.test)).map((row) => row['name'])).toEqual(['production']);
  });

  it('has one default, whoever takes it', async () => {
    const { id } = await make('taker');
    const before = (await list()).find((row) => row['is_default'])!;
    expect((await call('PATCH', `${PATH}/${id}`, { is_default: true })).status).toBe(200);
    expect(await defaults()).toEqual(['taker']);
    await make('at-birth', { is_default: true });
    expect(await defaults()).toEqual(['at-birth']);
    await call('PATCH', `${PATH}/${before['id']}`, { is_default: true });
    expect(await defaults()).toEqual([before['name']]);
  });

  it('changes what is sent and keeps the rest, and says so in the audit log', async () => {
    const { id } = await make('old-name', { description: 'd', color: '#abc' });
    const answer = await call('PATCH', `${PATH}/${id}`, { name: 'new-name', display_name: 'New' });
    expect(answer.json['data']).toMatchObject({
      name: 'new-name',
      display_name: 'New',
      description: 'd',
      color: '#abc',
    });
    const audit = await call('GET', '/v1/audit-logs?action=environment.update');
    expect((audit.json['data'] as unknown as JsonTree[])[0]).toMatchObject({
      resource_type: 'environment',
      resource_id: id,
    });
  });

  it('has variables, which are replaced as a whole', async () => {
    const variables = { REGION: 'eu', _empty: '' };
    const { id, variables: stored } = await make('with-variables', { variables });
    expect(stored).toEqual(variables);
    const change = async (body: object) => (await call('PATCH', `${PATH}/${id}`, body)).json['data'];
    expect(await change({ description: 'd' })).toMatchObject({ variables });
    expect(await change({ variables: { A: '1' } })).toMatchObject({ variables: { A: '1' } });
    expect((await list()).find((row) => row['id'] === id)).toMatchObject({ variables: { A: '1' } });
    expect(await change({ variables: {} })).toMatchObject({ variables: {} });
  });

  it('deletes one', async () => {
    const { id } = await make('going');
    const answer = await call('DELETE', `${PATH}/${id}`);
    expect([answer.status, answer.json['data']]).toEqual([200, { deleted: true }]);
    expect((await list()).map((row) => row['name'])).not.toContain('going');
  });
});

describe('400', () => {
  it.each([
    ['name', {}],
    ['name', { name: 'Upper' }],
    ['name', { name: '' }],
    ['name', { name: 'with space' }],
    ['name', { name: 'x'.repeat(256) }],
    ['color', { name: 'a', color: 'red' }],
    ['is_default', { name: 'a', is_default: 'yes' }],
    ['description', { name: 'a', description: '\u0000' }],
    ['variables.1A', { name: 'a', variables: { '1A': 'x' } }],
    ['variables.A', { name: 'a', variables: { A: 'x'.repeat(4097) } }],
    ['variables.A', { name: 'a', variables: { A: 1 } }],
    ['body', { name: 'a', more: 1 }],
  ])('for a bad %s', async (field, body) => {
    const answer = await call('POST', PATH, body);
    expect(errorOf(answer)).toEqual([400, 'validation_error']);
    if (field !== 'body') expect(Object.keys(answer.json['fields'] as object)).toEqual([field]);
  });

  it('for a change of nothing', async () => {
    const { id } = await make('nothing');
    expect(errorOf(await call('PATCH', `${PATH}/${id}`, {}))).toEqual([400, 'validation_error']);
  });
});

describe('402, 404 and 409', () => {
  it('is 402 where the plan has no room for another live one; test mode has no caps', async () => {
    await harness.tenantSwitch.changeBySlug(harness.other.slug, { plan: 'starter' });
    expect((await call('POST', PATH, { name: 'second' }, harness.other.live)).status).toBe(201);
    const third = { name: 'third' };
    expect(errorOf(await call('POST', PATH, third, harness.other.live))).toEqual([402, 'plan_limit']);
    for (const name of ['second', 'third'])
      expect((await call('POST', PATH, { name }, harness.other.test)).status).toBe(201);
  });

  it('is 404 for one that is not of this tenant and mode', async () => {
    const [foreign] = await list(harness.other.live);
    const [ofOtherMode] = await list(harness.tenant.test);
    for (const id of [UNKNOWN, 'production', foreign!['id'], ofOtherMode!['id']]) {
      for (const answer of [
        await call('PATCH', `${PATH}/${id}`, { color: '#000000' }),
        await call('DELETE', `${PATH}/${id}`),
      ])
        expect(errorOf(answer)).toEqual([404, 'not_found']);
    }
  });

  it('is 409 for a name that there is', async () => {
    const { id } = await make('one');
    expect(errorOf(await call('POST', PATH, { name: 'one' }))).toEqual([409, 'conflict']);
    expect(errorOf(await call('PATCH', `${PATH}/${id}`, { name: 'production' }))).toEqual([409, 'conflict']);
    expect((await call('PATCH', `${PATH}/${id}`, { name: 'one' })).status).toBe(200);
  });

  it('is 409 for a default that would be none, or go', async () => {
    const { id } = (await list()).find((row) => row['is_default'])!;
    expect(errorOf(await call('PATCH', `${PATH}/${id}`, { is_default: false }))).toEqual([409, 'conflict']);
    expect(errorOf(await call('DELETE', `${PATH}/${id}`))).toEqual([409, 'conflict']);
  });

  it('is 409 where a mode has as many as it can', async () => {
    const key = harness.tenant.test;
    const used = (await list(key)).length;
    for (let n = used; n < LIMITS.environmentsMax; n += 1) await call('POST', PATH, { name: `n${n}` }, key);
    expect(errorOf(await call('POST', PATH, { name: 'too-many' }, key))).toEqual([409, 'conflict']);
  });
});

describe('assignments of clients', () => {
  it('follow the name of their environment, and end with it', async () => {
    const caller = harness.callerOf(harness.tenant, 'live');
    const { id } = await make('assigned');
    const client = (await call('POST', '/v1/clients', { name: 'c', ip_address: '203.0.113.9' })).json['data'];
    const routeId = UNKNOWN;
    const { assignments } = harness.clients;
    await assignments.assign(
      caller,
      { routeId, environment: 'assigned' },
      client!['id'] as unknown as string,
    );
    const at = (environment: string) => assignments.list(caller.principal.scope, { routeId, environment });
    await call('PATCH', `${PATH}/${id}`, { name: 'renamed' });
    expect([await at('assigned'), await at('renamed')]).toEqual([[], [client!['id']]]);
    await call('DELETE', `${PATH}/${id}`);
    expect(await at('renamed')).toEqual([]);
  });
});
