import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UserId } from '../../kernel/ids.js';
import { actorOf } from '../../kernel/principal.js';
import type { JsonTree } from '../../testing/calls.js';
import { changeBehind, type TestDatabase } from '../../testing/databases.js';
import { createHarness, type Harness } from '../../testing/harness.js';

let harness: Harness;
const times: string[] = [];

beforeAll(async () => {
  harness = await createHarness();
  const acts = [
    ['vault.create', 'vault', false, null],
    ['vault.token.delete', 'vault', false, null],
    ['secret.create', 'secret', true, null],
    ['auth.login_failed', 'user', false, '00000000-0000-4000-8000-000000000001' as UserId],
  ] as const;
  for (const [action, resourceType, sandbox, userId] of acts) {
    await harness.advance(1_500);
    times.push(new Date(harness.clock.nowMs()).toISOString());
    const actor = { ...actorOf(harness.callerOf(harness.tenant, sandbox ? 'test' : 'live')), userId };
    const details = { url: 'https://u:hunter2@example.com/', key: harness.tenant.live.apiKey };
    await harness.db.transaction((tx) =>
      harness.auditLogs.record(tx, actor, { action, resourceType, resourceId: null, details }),
    );
  }
});
afterAll(() => harness.close());

async function actions(query: string): Promise<unknown[]> {
  const answer = await harness.call('GET', `/v1/audit-logs?per_page=100&${query}`, {
    key: harness.tenant.live,
  });
  expect(answer.status).toBe(200);
  return (answer.json['data'] as unknown as JsonTree[]).map((row) => row['action']);
}

describe('200', () => {
  it('lists rows of both modes, newest first, details sanitised', async () => {
    const answer = await harness.call('GET', '/v1/audit-logs?per_page=2', { key: harness.tenant.test });
    expect(answer.json['meta']).toMatchObject({ page: 1, per_page: 2, total: 7, total_pages: 4 });
    expect(answer.json['data']?.[1]).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      action: 'secret.create',
      resource_type: 'secret',
      resource_id: null,
      details: {
        key: `${harness.tenant.live.keyId}_[REDACTED]`,
        sandbox: true,
        url: 'https://[REDACTED]@example.com/',
      },
      ip_address: '127.0.0.1',
      created_at: times[2],
    });
  });

  it.each([
    ['action=vault.create', ['vault.create']],
    ['action=secret.created', ['secret.create']],
    ['action=create&resource_type=secret', ['secret.create']],
    ['action=delete', ['vault.token.delete']],
    ['action=auth.login_failed', ['auth.login_failed']],
    ['resource_type=vault', ['vault.token.delete', 'vault.create']],
    ['resource_type=vault&order=asc', ['vault.create', 'vault.token.delete']],
    ['sandbox=true&resource_type=secret', ['secret.create']],
    ['user_id=00000000-0000-4000-8000-000000000001', ['auth.login_failed']],
    ['action=nothing.here', []],
  ])('%s', async (query, expected) => {
    expect(await actions(query)).toEqual(expected);
  });

  it('from and to are inclusive', async () => {
    expect(await actions(`from=${times[1]}&to=${times[2]}`)).toEqual(['secret.create', 'vault.token.delete']);
  });

  it("shows nothing of another tenant's", async () => {
    const answer = await harness.call('GET', '/v1/audit-logs?per_page=100', { key: harness.other.live });
    expect((answer.json['data'] as unknown as JsonTree[]).map((row) => row['action']).sort()).toEqual([
      'api_key.create',
      'api_key.create',
      'tenant.create',
    ]);
  });
});

describe('GET /v1/audit-logs/events', () => {
  const events = (query = '', key = harness.tenant.live) =>
    harness.call('GET', `/v1/audit-logs/events?${query}`, { key });
  const actionsOf = (answer: { json: JsonTree }) => answer.json['data'].map((row: JsonTree) => row['action']);

  it('feeds sealed rows, oldest first, by cursor', async () => {
    const first = await events('limit=3');
    expect(first.status).toBe(200);
    expect(first.json['meta']).toEqual({
      next_cursor: expect.any(String),
      limit: 3,
      delivery: 'at_least_once',
      dedupe_on: 'id',
      watermark_seconds: 0,
      request_id: expect.any(String),
    });
    expect(actionsOf(first)).toEqual(['tenant.create', 'api_key.create', 'api_key.create']);
    const rest = await events(`cursor=${first.json['meta']['next_cursor']}`);
    expect(actionsOf(rest)).toEqual([
      'vault.create',
      'vault.token.delete',
      'secret.create',
      'auth.login_failed',
    ]);
    expect(rest.json['meta']['next_cursor']).toBeNull();
    expect(rest.json['data'][0]).toEqual({
      id: expect.any(String),
      action: 'vault.create',
      resource_type: 'vault',
      resource_id: null,
      details: {
        key: `${harness.tenant.live.keyId}_[REDACTED]`,
        sandbox: false,
        url: 'https://[REDACTED]@example.com/',
      },
      ip_address: '127.0.0.1',
      created_at: times[0],
      sequence_number: '4',
      cursor: expect.any(String),
    });
    const drained = await events(`cursor=${rest.json['data'].at(-1)['cursor']}`);
    expect([drained.json['data'], drained.json['meta']['next_cursor']]).toEqual([[], null]);
  });

  it.each([
    ['action_prefix=vault.', ['vault.create', 'vault.token.delete']],
    ['action=secret.created', ['secret.create']],
    ['action=delete', ['vault.token.delete']],
    ['resource_type=user', ['auth.login_failed']],
    ['action_prefix=zzz', []],
  ])('%s', async (query, expected) => {
    expect(actionsOf(await events(query))).toEqual(expected);
  });

  it("shows nothing of another tenant's, whatever the cursor", async () => {
    const { json } = await events('limit=1');
    const foreign = await events(`cursor=${json['meta']['next_cursor']}`, harness.other.live);
    expect(actionsOf(foreign)).toEqual(['api_key.create', 'api_key.create']);
  });

  it.each([
    ['cursor=abc', 'cursor'],
    ['limit=x', 'limit'],
    ['action_prefix=', 'action_prefix'],
    ['page=1', 'page'],
  ])('400: %s', async (query, field) => {
    const answer = await events(query);
    expect([answer.status, Object.keys(answer.json['fields'])]).toEqual([400, [field]]);
  });
});

describe('GET /v1/audit-logs/chain/verify', () => {
  const verify = (query = '', key = harness.tenant.test) =>
    harness.call('GET', `/v1/audit-logs/chain/verify?${query}`, { key });

  it("verifies the tenant's own chain", async () => {
    const answer = await verify();
    expect([answer.status, answer.json['data']]).toEqual([
      200,
      {
        ok: true,
        checked: 7,
        first_bad_sequence: null,
        head: { sequence_number: '7', row_hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
        unsealed_tail: 0,
      },
    ]);
    expect((await verify('', harness.other.live)).json['data']).toMatchObject({ ok: true, checked: 3 });
    expect((await verify('from=2&to=4')).json['data']).toMatchObject({ ok: true, checked: 3 });
  });

  it('names the first bad row', async () => {
    const { storage } = harness.db as TestDatabase;
    const broken = `WHERE action = 'secret.create'`;
    await changeBehind(storage, `UPDATE audit_logs SET ip_address = '10.0.0.1' ${broken}`);
    expect((await verify()).json['data']).toMatchObject({ ok: false, checked: 5, first_bad_sequence: '6' });
    await changeBehind(storage, `UPDATE audit_logs SET ip_address = '127.0.0.1' ${broken}`);
    expect((await verify()).json['data']).toMatchObject({ ok: true });
  });

  it('a row that stands in the log and in no chain is bad', async () => {
    const { storage } = harness.db as TestDatabase;
    const { id } = harness.tenant;
    await changeBehind(
      storage,
      `INSERT INTO audit_logs (tenant_id, id, actor_type, action, resource_type, details, created_at, verb, is_sandbox)
        VALUES ('${id}', 'forged', 'user', 'vault.delete', 'vault', '{"sandbox":false}', 1, 'delete', 0)`,
    );
    const bad = { ok: false, checked: 7, first_bad_sequence: '8', unsealed_tail: 0 };
    expect((await verify()).json['data']).toMatchObject(bad);
    expect((await verify('', harness.other.live)).json['data']).toMatchObject({ ok: true });
    await changeBehind(storage, `DELETE FROM audit_logs WHERE id = 'forged'`);
    expect((await verify()).json['data']).toMatchObject({ ok: true });
  });

  it.each([
    ['from=x', 'from'],
    ['to=-1', 'to'],
    ['from=3&to=2', 'to'],
    ['limit=3', 'limit'],
  ])('400: %s', async (query, field) => {
    const answer = await verify(query);
    expect([answer.status, Object.keys(answer.json['fields'])]).toEqual([400, [field]]);
  });

  it('401 without a credential', async () => {
    for (const path of ['/v1/audit-logs/chain/verify', '/v1/audit-logs/events'])
      expect((await harness.call('GET', path)).status).toBe(401);
  });
});

describe('400', () => {
  it.each([
    ['page=0', 'page'],
    ['per_page=x', 'per_page'],
    ['sandbox=maybe', 'sandbox'],
    ['from=yesterday', 'from'],
    ['user_id=1', 'user_id'],
    ['sort=action', 'sort'],
    ['cursor=abc', 'cursor'],
  ])('%s', async (query, field) => {
    const answer = await harness.call('GET', `/v1/audit-logs?${query}`, { key: harness.tenant.live });
    expect([answer.status, Object.keys(answer.json['fields'] ?? {})]).toEqual([400, [field]]);
  });
});

describe('405', () => {
  it('rows are never written or removed by a call', async () => {
    for (const method of ['POST', 'DELETE', 'PATCH']) {
      const answer = await harness.call(method, '/v1/audit-logs', { key: harness.tenant.live });
      expect([answer.status, answer.headers['allow']]).toEqual([405, 'GET, HEAD']);
    }
  });
});
