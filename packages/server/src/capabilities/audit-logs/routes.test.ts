import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UserId } from '../../kernel/ids.js';
import { actorOf } from '../../kernel/principal.js';
import { createHarness, type Harness, type JsonTree } from '../../testing/harness.js';

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
