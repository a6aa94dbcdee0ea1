import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { JsonTree, TestCall } from '../../testing/calls.js';
import { startDnsServer, type TestDnsServer } from '../../testing/dns-server.js';
import { createHarness, type Harness } from '../../testing/harness.js';

const PATH = '/v1/webhooks';
let harness: Harness;
let dns: TestDnsServer;

beforeAll(async () => {
  dns = await startDnsServer({
    records: { 'hooks.example.com': ['93.184.215.14'], 'inside.example.com': ['10.0.0.7'] },
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

const BASE = { name: 'orders', url: 'https://hooks.example.com/in', event_types: ['audit.event'] };

const call = (method: string, path: string, body?: unknown, more: TestCall = {}) =>
  harness.call(method, path, {
    ...(!more.token && { key: harness.tenant.live }),
    ...(body !== undefined && { body }),
    ...more,
  });

async function make(body: Record<string, unknown> = {}): Promise<JsonTree> {
  const { status, json, text } = await call('POST', PATH, { ...BASE, ...body });
  expect([status, status === 201 ? '' : text]).toEqual([201, '']);
  return json['data'];
}

async function fieldsOf(method: string, path: string, body: unknown) {
  const { status, json } = await call(method, path, body);
  return [status, json['fields']];
}

const DEFAULTS = {
  description: null,
  method: 'POST',
  auth_type: 'none',
  route_filter: [],
  include_request_body: true,
  include_response_body: false,
  include_headers: false,
  timeout_seconds: 30,
  retry_on_failure: true,
  max_retries: 3,
  enabled: true,
  hmac_key_id: null,
  hmac_format: 'legacy',
  hmac_header_name: null,
  trigger_count: 0,
  success_count: 0,
  failure_count: 0,
  last_triggered_at: null,
  last_success_at: null,
  last_failure_at: null,
  sandbox: false,
};

describe('a webhook', () => {
  it('shows its secret once, and never what it holds for the receiver', async () => {
    const created = await call('POST', PATH, {
      ...BASE,
      auth_type: 'bearer',
      auth_config: { token: 'canary-token' },
      request_headers: { 'X-Env': 'canary-header' },
    });
    expect([created.status, created.headers['cache-control']]).toEqual([201, 'no-store']);
    const { id, secret_key, created_at, ...rest } = created.json['data'];
    expect(secret_key).toMatch(/^whsec_[\w-]{43}$/);
    expect(rest).toEqual({ ...DEFAULTS, ...BASE, auth_type: 'bearer' });
    const shown = await call('GET', `${PATH}/${id}`);
    expect(shown.json['data']).toEqual({ ...rest, id, created_at });
    const listed = await call('GET', PATH);
    expect(Object.keys(listed.json['data'][0]).sort()).toEqual(
      [
        ...[
          'id',
          'name',
          'description',
          'url',
          'method',
          'event_types',
          'auth_type',
          'enabled',
          'created_at',
        ],
        ...['last_triggered_at', 'trigger_count', 'success_count', 'failure_count', 'sandbox'],
      ].sort(),
    );
    const stored = JSON.stringify([
      shown.json,
      listed.json,
      (await call('GET', '/v1/audit-logs?resource_type=webhook')).json,
    ]);
    for (const secret of ['canary-token', 'canary-header', secret_key]) expect(stored).not.toContain(secret);
  });

  it('lists what it can be sent', async () => {
    const { json } = await call('GET', `${PATH}/event-types`);
    expect(json['data'].event_types).toContainEqual({
      value: 'audit.event',
      label: 'Audit event',
      description: 'The audit log has another row.',
    });
  });

  it.each([
    [{ url: 'http://hooks.example.com/' }, { url: ['The URL must begin with https:'] }],
    [{ url: 'https://10.0.0.1/' }, { url: ['The host must be a DNS name, not an IP address'] }],
    [{ url: 'https://localhost/' }, { url: [expect.any(String)] }],
    [{ url: 'https://hooks.example.com:22/' }, { url: ['The port is not allowed'] }],
    [{ url: 'https://u:p@hooks.example.com/' }, { url: [expect.any(String)] }],
    [{ event_types: [] }, { event_types: [expect.any(String)] }],
    [{ event_types: ['request.odd'] }, { 'event_types[0]': [expect.any(String)] }],
    [{ timeout_seconds: 31 }, { timeout_seconds: [expect.any(String)] }],
    [{ max_retries: 11 }, { max_retries: [expect.any(String)] }],
    [{ method: 'DELETE' }, { method: [expect.any(String)] }],
    [{ route_filter: ['no uuid'] }, { 'route_filter[0]': [expect.any(String)] }],
    [{ hmac_format: 'custom' }, { hmac_header_name: ['is due with hmac_format custom'] }],
    [{ hmac_header_name: 'X-A' }, { hmac_header_name: ['goes with hmac_format custom alone'] }],
    [
      { hmac_format: 'custom', hmac_header_name: 'Host' },
      { hmac_header_name: ['is the name of another header of each delivery'] },
    ],
    [
      { auth_type: 'basic' },
      { 'auth_config.username': [expect.any(String)], 'auth_config.password': [expect.any(String)] },
    ],
    [{ auth_type: 'bearer', auth_config: { token: 'a\nb' } }, { 'auth_config.token': [expect.any(String)] }],
    [{ auth_config: { token: 'a' } }, { 'auth_config.token': ['has no place with auth_type none'] }],
    [
      { auth_type: 'header', auth_config: { name: 'X-Webhook-Id', value: 'a' } },
      { 'auth_config.name': ['is set by the delivery itself'] },
    ],
    [{ request_headers: { Host: 'a' } }, { 'request_headers.Host': ['belongs to the connection'] }],
    [{ request_headers: { 'X-A': 'a', 'x-a': 'b' } }, { 'request_headers.x-a': ['is there twice'] }],
    [{ request_headers: { 'X A': 'a' } }, { 'request_headers.X A': ['is no name of a header'] }],
    [{ odd: 1 }, { odd: ['is not known here'] }],
  ])('is refused with %j', async (body, fields) => {
    expect(await fieldsOf('POST', PATH, { ...BASE, ...body })).toEqual([400, fields]);
    expect((await call('GET', PATH)).json['meta'].total).toBe(0);
  });

  it('goes to no private address and to no host off the allowlist', async () => {
    const inside = await call('POST', PATH, { ...BASE, url: 'https://inside.example.com/' });
    expect([inside.status, inside.json['error'].type]).toEqual([403, 'ssrf_blocked']);
    await call('PUT', '/v1/egress/allowlist', { hosts: ['other.example.com'] });
    const off = await call('POST', PATH, BASE);
    expect([off.status, off.json['error'].type]).toEqual([403, 'egress_blocked']);
    await call('PUT', '/v1/egress/allowlist', { hosts: [] });
  });

  it('takes a filter of routes as a text too', async () => {
    const id = '6f1c1f0e-0000-4000-8000-00000000000a';
    for (const text of [id.toUpperCase(), `["${id}"]`, [id]])
      expect((await make({ route_filter: text })).route_filter).toEqual([id]);
  });

  it('exists 50 times in a mode at most', async () => {
    for (let n = 0; n < 50; n++) await make();
    const { status, json } = await call('POST', PATH, BASE);
    expect([status, json['error'].type]).toEqual([409, 'conflict']);
  });
});

describe('a change', () => {
  it('of the url needs again what is sent there, and writes nothing without', async () => {
    const { id } = await make({
      auth_type: 'bearer',
      auth_config: { token: 'a' },
      request_headers: { 'X-A': 'b' },
    });
    const url = 'https://hooks.example.com/elsewhere';
    const [status, fields] = await fieldsOf('PATCH', `${PATH}/${id}`, { url, request_headers: {} });
    expect([status, Object.keys(fields)]).toEqual([400, ['url', 'auth_config', 'secret_key']]);
    expect((await call('GET', `${PATH}/${id}`)).json['data'].url).toBe(BASE.url);
    const credentials = { auth_config: { token: 'c' }, request_headers: null, secret_key: null };
    const moved = await call('PATCH', `${PATH}/${id}`, { url, ...credentials });
    expect([moved.status, moved.json['data']]).toEqual([
      200,
      {
        id,
        name: 'orders',
        description: null,
        url,
        method: 'POST',
        event_types: ['audit.event'],
        auth_type: 'bearer',
        enabled: true,
        created_at: expect.any(String),
        secret_key: expect.stringMatching(/^whsec_[\w-]{43}$/),
      },
    ]);
  });

  it('to the same place under another spelling is none, and a secret that was sent is not shown', async () => {
    const { id } = await make();
    const same = { url: 'https://HOOKS.example.com:443/in#x' };
    expect((await call('PATCH', `${PATH}/${id}`, same)).status).toBe(200);
    const kept = await call('PATCH', `${PATH}/${id}`, { secret_key: 'whsec_of-the-receiver' });
    expect([kept.status, 'secret_key' in kept.json['data']]).toEqual([200, false]);
  });

  it('of how the receiver knows us needs what that takes', async () => {
    const { id } = await make({ auth_type: 'bearer', auth_config: { token: 'a' } });
    expect(await fieldsOf('PATCH', `${PATH}/${id}`, { auth_type: 'header' })).toEqual([
      400,
      { 'auth_config.name': [expect.any(String)], 'auth_config.value': [expect.any(String)] },
    ]);
    expect((await call('PATCH', `${PATH}/${id}`, { auth_type: 'none' })).json['data'].auth_type).toBe('none');
    expect(await fieldsOf('PATCH', `${PATH}/${id}`, {})).toEqual([400, { body: [expect.any(String)] }]);
  });
});

describe('who', () => {
  it('may not sign may name no key, and who reads no audit log hears of none', async () => {
    const { key } = await keyWith(['webhooks:write']);
    const asked = (body: object) => harness.call('POST', PATH, { key, body: { ...BASE, ...body } });
    const audit = await asked({});
    expect([audit.status, audit.json['error'].message]).toEqual([
      403,
      expect.stringContaining('audit_log:list'),
    ]);
    const hmac_key_id = '6f1c1f0e-0000-4000-8000-00000000000a';
    const signing = await asked({ event_types: ['webhook.test'], hmac_key_id });
    expect([signing.status, signing.json['error'].message]).toEqual([
      403,
      expect.stringContaining('crypto:sign'),
    ]);
    expect((await asked({ event_types: ['webhook.test'] })).status).toBe(201);
  });

  async function keyWith(scopes: readonly string[]) {
    const token = await harness.signIn(harness.tenant.ownerEmail);
    const { status, json, text } = await call(
      'POST',
      '/admin/api-keys',
      { name: 'narrow', key_type: 'access_key', scopes },
      { token },
    );
    if (status !== 201) throw new Error(text);
    return { key: json['data'].api_key };
  }
});
