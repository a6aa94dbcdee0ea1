import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { JsonTree } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';

const PATH = '/v1/egress/allowlist';
let harness: Harness;

beforeAll(async () => {
  harness = await createHarness();
});
afterAll(() => harness.close());

const put = (body: unknown, key = harness.tenant.live) => harness.call('PUT', PATH, { key, body });
const get = (key = harness.tenant.live) => harness.call('GET', PATH, { key });
const covers = async (host: string, mode: 'live' | 'test' = 'live') =>
  (await harness.egressAllowlist.hostsFor(harness.callerOf(harness.tenant, mode).principal.scope)).covers(
    host,
  );
async function audits(): Promise<JsonTree[]> {
  const answer = await harness.call('GET', '/v1/audit-logs?action=egress.update', {
    key: harness.tenant.live,
  });
  return answer.json['data'] as unknown as JsonTree[];
}

beforeEach(() => put({ hosts: [] }));

describe('200', () => {
  it('is empty at first, and then every host passes', async () => {
    expect((await get(harness.tenant.test)).json['data']).toEqual({ hosts: [], sandbox: true });
    expect(await covers('any.example.com')).toBe(true);
  });

  it('is replaced as a whole, in one form, in one mode; calls follow at once', async () => {
    const answer = await put({ hosts: ['Api.Example.com.', '*.example.org', 'api.example.com'] });
    expect(answer.status).toBe(200);
    const data = { hosts: ['*.example.org', 'api.example.com'], sandbox: false };
    expect(answer.json['data']).toEqual(data);
    expect((await get()).json['data']).toEqual(data);
    expect((await get(harness.tenant.test)).json['data']?.['hosts']).toEqual([]);
    expect(await covers('api.example.com')).toBe(true);
    expect(await covers('a.b.example.org')).toBe(true);
    expect(await covers('example.org')).toBe(false);
    expect(await covers('other.example.com')).toBe(false);
    expect(await covers('other.example.com', 'test')).toBe(true);
    await put({ hosts: ['other.example.com'] });
    expect(await covers('api.example.com')).toBe(false);
    expect(await covers('other.example.com')).toBe(true);
  });

  it('is known without waiting once it has been read', async () => {
    const { scope } = harness.callerOf(harness.tenant, 'live').principal;
    const first = await harness.egressAllowlist.hostsFor(scope);
    expect(harness.egressAllowlist.hostsFor(scope)).toBe(first);
  });

  it('leaves a row that says what changed', async () => {
    await put({ hosts: ['a.example.com', 'b.example.com'] });
    await put({ hosts: ['b.example.com', 'c.example.com'] });
    expect((await audits())[0]).toMatchObject({
      resource_type: 'tenant',
      resource_id: harness.callerOf(harness.tenant, 'live').principal.scope.tenantId,
      details: {
        hosts_count: 2,
        added_count: 1,
        added: ['c.example.com'],
        removed_count: 1,
        removed: ['a.example.com'],
        sandbox: false,
      },
    });
  });

  it('takes 1,000 hosts, and its audit row stays small', async () => {
    const hosts = Array.from({ length: 1_000 }, (_, n) => `h${n}.${'a'.repeat(60)}.example.com`);
    expect((await put({ hosts })).status).toBe(200);
    const details = (await audits())[0]?.['details'];
    expect(details).toMatchObject({ hosts_count: 1_000, added_count: 1_000 });
    expect(details?.['added']).toHaveLength(20);
    const answer = await put({ hosts: [...hosts, 'one.more.example.com'] });
    expect([answer.status, answer.json['error']?.['type']]).toEqual([400, 'validation_error']);
  });
});

describe('400 names the entry and writes nothing', () => {
  it.each([
    '',
    '*',
    '*.',
    'localhost',
    'https://api.example.com',
    'api.example.com:443',
    'api.example.com/x',
    'a.*.example.com',
    '*a.example.com',
    '*.*.example.com',
    'b\u00fccher.example.com',
    '10.0.0.1',
    '[::1]',
    '*.10.0.0.1',
    'a..example.com',
    'a b.example.com',
    `${'a'.repeat(64)}.example.com`,
  ])('%j', async (entry) => {
    const answer = await put({ hosts: ['ok.example.com', entry] });
    expect([answer.status, answer.json['error']?.['type']]).toEqual([400, 'validation_error']);
    expect(Object.keys(answer.json['fields'] as object)).toEqual(['hosts[1]']);
    expect((await get()).json['data']?.['hosts']).toEqual([]);
  });

  it.each([{}, { hosts: null }, { hosts: 'a.example.com' }, { hosts: [1] }, { hosts: [], more: 1 }])(
    '%j',
    async (body) => {
      expect((await put(body)).status).toBe(400);
    },
  );
});
