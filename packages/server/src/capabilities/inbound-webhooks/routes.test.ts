import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startDnsServer, type TestDnsServer } from '../../testing/dns-server.js';
import { createHarness, type Harness } from '../../testing/harness.js';

const PATH = '/v1/inbound-webhooks';
let harness: Harness;
let dns: TestDnsServer;

beforeAll(async () => {
  dns = await startDnsServer({
    records: { 'orders.example.com': ['93.184.215.14'], 'inside.example.com': ['10.0.0.7'] },
  });
  harness = await createHarness({ egress: { dnsServers: [dns] } });
});
afterAll(async () => {
  await harness.close();
  await dns.close();
});
afterEach(async () => {
  const { json } = await call('GET', `${PATH}?per_page=100`);
  for (const { id } of json['data']) await call('DELETE', `${PATH}/${id}`);
});

const call = (method: string, path: string, body?: unknown, key = harness.tenant.live) =>
  harness.call(method, path, { key, ...(body !== undefined && { body }) });

const SECRET = 'canary-sender-secret';
const BASE = {
  name: 'payments',
  format: 'stripe',
  secret: SECRET,
  target_url: 'https://orders.example.com/in',
};

async function make(body: Record<string, unknown> = {}) {
  const { status, json, text } = await call('POST', PATH, { ...BASE, ...body });
  expect([status, status === 201 ? '' : text]).toEqual([201, '']);
  return json['data'];
}
const fieldsOf = async (method: string, path: string, body: unknown) => {
  const { status, json } = await call(method, path, body);
  return [status, Object.keys(json['fields'] ?? {}).sort()];
};

describe('an inbound webhook', () => {
  it('shows everything but its secret, which stands nowhere', async () => {
    const { id, created_at, updated_at, ...rest } = await make();
    const { secret: _, ...terms } = BASE;
    expect(rest).toEqual({
      ...terms,
      description: null,
      has_secret: true,
      hmac_key_id: null,
      header_name: null,
      tolerance_seconds: 300,
      route_id: null,
      route_environment: null,
      max_retries: 3,
      enabled: true,
      sandbox: false,
    });
    const shown = [
      (await call('GET', `${PATH}/${id}`)).text,
      (await call('PATCH', `${PATH}/${id}`, { secret: `${SECRET}-two` })).text,
      (await call('GET', '/v1/audit-logs?per_page=100')).text,
      ...harness.logLines,
    ].join('\n');
    expect(shown).toContain('"changed":["secret"]');
    expect(shown).not.toContain('canary');
  });

  it.each([
    [{ name: 'Upper' }, ['name']],
    [{ name: 'a/b' }, ['name']],
    [{ format: 'other' }, ['format']],
    [{ secret: 'short' }, ['secret']],
    [{ secret: null }, ['hmac_key_id', 'secret']],
    [{ hmac_key_id: '6f1c1f0e-0000-4000-8000-000000000001' }, ['hmac_key_id', 'secret']],
    [{ secret: null, hmac_key_id: '6f1c1f0e-0000-4000-8000-000000000001' }, ['hmac_key_id']],
    [{ format: 'custom' }, ['header_name']],
    [{ header_name: 'X-Signature' }, ['header_name']],
    [{ format: 'custom', header_name: 'no header' }, ['header_name']],
    [{ tolerance_seconds: 3_601 }, ['tolerance_seconds']],
    [{ target_url: 'http://orders.example.com/' }, ['target_url']],
    [{ target_url: 'https://127.0.0.1/' }, ['target_url']],
    [{ route_id: '6f1c1f0e-0000-4000-8000-000000000001' }, ['route_id', 'target_url']],
  ])('%j is refused by the name of its field', async (body, fields) => {
    expect(await fieldsOf('POST', PATH, { ...BASE, ...body })).toEqual([400, fields]);
  });

  it('does not lead into the own network, now or later', async () => {
    const target_url = 'https://inside.example.com/';
    const { id } = await make();
    for (const [method, path, body] of [
      ['POST', PATH, { ...BASE, name: 'b', target_url }],
      ['PATCH', `${PATH}/${id}`, { target_url }],
    ] as const) {
      const { status, json } = await call(method, path, body);
      expect([status, json['error'].type]).toEqual([403, 'ssrf_blocked']);
    }
  });

  it('has a name of its own in its mode', async () => {
    const { id } = await make();
    expect((await call('POST', PATH, BASE)).status).toBe(409);
    expect((await call('POST', PATH, BASE, harness.tenant.test)).status).toBe(201);
    const { id: second } = await make({ name: 'second' });
    expect((await call('PATCH', `${PATH}/${second}`, { name: 'payments' })).status).toBe(409);
    expect((await call('PATCH', `${PATH}/${id}`, { name: 'payments', enabled: false })).status).toBe(200);
  });

  it('is nobody else’s', async () => {
    const { id } = await make();
    for (const key of [harness.other.live, harness.tenant.test])
      for (const method of ['GET', 'DELETE'])
        expect((await call(method, `${PATH}/${id}`, undefined, key)).status).toBe(404);
    expect((await call('DELETE', `${PATH}/${id}`)).json['data']).toEqual({ deleted: true });
    expect((await call('GET', `${PATH}/${id}`)).status).toBe(404);
  });
});
