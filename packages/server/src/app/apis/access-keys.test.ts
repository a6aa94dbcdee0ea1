import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SEEDED_ROLES } from '../../capabilities/permissions/index.js';
import type { TestAnswer, TestCall } from '../../testing/calls.js';
import { type MatrixRig, openMatrixRig, type World } from '../../testing/matrix-rig.js';
import { askOAuth } from '../../testing/oauth-calls.js';

/** Access keys as a signed-in owner makes and uses them, line by line of auth.md §1.3, on the whole server. */
let rig: MatrixRig;
let owner: World;
beforeAll(async () => {
  rig = await openMatrixRig();
  owner = rig.world('admin', rig.tenant, 'live');
});
afterAll(() => rig.close());

const KEYS = '/admin/api-keys';
const ask = (body: object, headers: Record<string, string> = {}, world = owner) =>
  world.call('POST', KEYS, { body: { name: 'access', key_type: 'access_key', ...body }, headers });

async function make(body: object = {}) {
  const answer = await ask(body);
  expect([answer.status, answer.json['error']?.['message']]).toEqual([201, undefined]);
  return answer.json['data'] as { id: string; key_id: string; api_key: string; scopes: string[] };
}

const use = (key: string, path = '/v1/vaults', call: TestCall = {}) => rig.ask('GET', path, { key, ...call });
const shown = ({ status, json }: TestAnswer) => [status, json['error']?.['type']];

/** An access token for a key as an OAuth client, with the split of it that is given. */
const mint = (client_id: string, client_secret: string) =>
  askOAuth(rig.ask, '/oauth/token', {
    form: { grant_type: 'client_credentials', client_id, client_secret },
  });

it('is made by the owner, works as Bearer and x-api-key, and is listed without its secret at both mounts', async () => {
  const key = await make({ scopes: ['vaults:read', 'api-keys:read'], expires_at: '2030-01-01T00:00:00Z' });
  expect((await use(key.api_key)).status).toBe(200);
  const byHeader = await rig.ask('GET', '/v1/vaults', { headers: { 'x-api-key': key.api_key } });
  expect(byHeader.status).toBe(200);
  expect(shown(await use(key.api_key, '/v1/audit-logs'))).toEqual([403, 'forbidden']);
  for (const list of [await owner.call('GET', KEYS), await use(key.api_key, '/v1/api-keys')]) {
    expect(list.text).not.toContain(key.api_key);
    const row = list.json['data'].find(({ id }: { id: string }) => id === key.id);
    expect(row).toMatchObject({
      key_id: key.key_id,
      key_type: 'access_key',
      active: true,
      scopes: ['vaults:read', 'api-keys:read'],
      expires_at: '2030-01-01T00:00:00.000Z',
    });
  }
});

it('has every permission without a wish, none with an empty one, the union of its roles with several', async () => {
  const whole = await make();
  expect(whole.scopes).toEqual(expect.arrayContaining(['agent:create', 'dyn-db:force', 'crypto:destroy']));
  const none = await make({ role_ids: [] });
  expect([none.scopes, ...shown(await use(none.api_key))]).toEqual([[], 403, 'forbidden']);
  expect((await use(none.api_key, '/v1/account')).status).toBe(200);
  const [invoke, readOnly] = SEEDED_ROLES;
  const both = await make({ role_ids: [invoke!.id, readOnly!.id] });
  expect(both.scopes).toEqual(expect.arrayContaining(['proxy:invoke', 'vaults:read']));
  expect(both.scopes).not.toContain('vaults:write');
  const narrowed = await make({ grants: [{ permission: 'vaults:tokenize', resource: 'cards' }] });
  expect(narrowed.scopes).toEqual(['vaults:tokenize']);
});

it('is an OAuth client by every split of it, and its tokens die with it at once', async () => {
  const key = await make({ scopes: ['vaults:read'] });
  const secret = key.api_key.slice(key.key_id.length + 1);
  const splits: [string, string][] = [
    [key.key_id, secret],
    [key.key_id, key.api_key],
    ['AKE', key.api_key],
  ];
  const tokens = [];
  for (const [id, text] of splits) {
    const answer = await mint(id, text);
    expect([id, answer.status, answer.json['scope']]).toEqual([id, 200, 'vaults:read']);
    tokens.push(answer.json['access_token'] as string);
  }
  for (const token of tokens) expect((await use(token)).status).toBe(200);
  expect((await mint(key.key_id, `${secret}x`)).status).toBe(401);
  const revoked = await owner.call('DELETE', `${KEYS}/${key.key_id}`);
  expect([revoked.status, revoked.json['data']]).toEqual([200, { revoked: true }]);
  for (const token of tokens) expect(shown(await use(token))).toEqual([401, 'invalid_token']);
  expect(shown(await use(key.api_key))).toEqual([401, 'invalid_api_key']);
  expect((await mint(key.key_id, secret)).status).toBe(401);
  expect(shown(await owner.call('DELETE', `${KEYS}/${key.id}`))).toEqual([404, 'not_found']);
});

it('answers a key that has ended, was revoked or never was alike', async () => {
  const soon = new Date(rig.clock.nowMs() + 60_000).toISOString();
  const [ending, revoked] = [await make({ expires_at: soon }), await make()];
  expect((await use(ending.api_key)).status).toBe(200);
  await owner.call('DELETE', `${KEYS}/${revoked.id}`);
  rig.clock.advance(60_000);
  const unknown = `AKE${'a'.repeat(13)}_${'b'.repeat(40)}`;
  const bodies = [];
  for (const key of [ending.api_key, revoked.api_key, unknown]) {
    const { status, json } = await use(key);
    bodies.push({ status, error: { ...json['error'], request_id: null } });
  }
  expect(bodies[0]).toEqual({ status: 401, error: expect.objectContaining({ type: 'invalid_api_key' }) });
  expect(bodies[1]).toEqual(bodies[0]);
  expect(bodies[2]).toEqual(bodies[0]);
});

it('keeps a rate limit of its own, both parts or neither', async () => {
  const key = await make({ rate_limit_requests: 2, rate_limit_window_sec: 60 });
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await use(key.api_key)).status);
  expect(statuses).toEqual([200, 200, 429]);
  expect(shown(await ask({ rate_limit_requests: 2 }))).toEqual([400, 'validation_error']);
});

it('is given once more, the same, to who repeats the call with its idempotency key', async () => {
  const repeated = { 'x-idempotency-key': 'make-one-access-key' };
  const [first, second] = [await ask({ name: 'once' }, repeated), await ask({ name: 'once' }, repeated)];
  expect(second.headers['x-idempotent-replay']).toBe('true');
  expect(second.text).toBe(first.text);
});

describe('is refused', () => {
  it('by the API: only the dashboard makes one', async () => {
    const body = { name: 'x', key_type: 'access_key' };
    const answer = await rig.ask('POST', '/v1/api-keys', { key: rig.tenant.live, body });
    expect([...shown(answer), Object.keys(answer.json['fields'])]).toEqual([
      400,
      'validation_error',
      ['key_type'],
    ]);
  });

  it('in test mode, where a key of test is made', async () => {
    const test = rig.world('admin', rig.tenant, 'test');
    expect(shown(await ask({}, {}, test))).toEqual([400, 'validation_error']);
    const { json } = await test.call('POST', KEYS, { body: { name: 'x' } });
    expect(json['data']).toMatchObject({ key_type: 'test', api_key: expect.stringMatching(/^tk_test_/) });
  });

  it('on every plan but enterprise, and those that were made go on', async () => {
    const key = await make({ scopes: ['vaults:read'] });
    const planOf = (plan: string) => rig.call('PATCH', `/admin/tenants/${rig.tenant.id}`, { body: { plan } });
    for (const plan of ['free', 'starter', 'pro']) {
      expect((await planOf(plan)).status).toBe(200);
      expect([plan, ...shown(await ask({}))]).toEqual([plan, 402, 'plan_feature']);
    }
    expect((await use(key.api_key)).status).toBe(200);
    expect((await planOf('enterprise')).status).toBe(200);
  });

  it('with a role that is none of keys, and nothing is written', async () => {
    const before = (await owner.call('GET', KEYS)).json['meta']['total'];
    const ofUsers = SEEDED_ROLES.find(({ appliesTo }) => appliesTo === 'user')!;
    expect(shown(await ask({ role_ids: [ofUsers.id] }))).toEqual([403, 'forbidden']);
    expect(shown(await ask({ role_ids: [], scopes: [] }))).toEqual([400, 'validation_error']);
    expect((await owner.call('GET', KEYS)).json['meta']['total']).toBe(before);
  });

  it('to another tenant as if it did not exist', async () => {
    const key = await make();
    const other = rig.world('admin', rig.other, 'live');
    for (const id of [key.id, key.key_id])
      expect(shown(await other.call('DELETE', `${KEYS}/${id}`))).toEqual([404, 'not_found']);
    expect((await use(key.api_key)).status).toBe(200);
  });

  it('its own revocation', async () => {
    const key = await make();
    for (const id of [key.id, key.key_id])
      expect(shown(await rig.ask('DELETE', `/v1/api-keys/${id}`, { key: key.api_key }))).toEqual([
        400,
        'validation_error',
      ]);
  });
});
