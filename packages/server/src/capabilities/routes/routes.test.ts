import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_TIERS } from '../../kernel/plan-tiers.js';
import type { JsonTree } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import type { TestKey } from '../../testing/tenants.js';
import { createTestCa } from '../../testing/tls-upstream.js';

const PATH = '/v1/routes';
const UNKNOWN = '00000000-0000-4000-8000-00000000dead';
const TARGET = 'https://api.example.com/v1';
const { certPem: CERTIFICATE } = await (await createTestCa()).issue(['upstream.example.com']);
let harness: Harness;

beforeAll(async () => {
  const starter = { ...DEFAULT_TIERS.starter, caps: { ...DEFAULT_TIERS.starter.caps, routes: 1 } };
  harness = await createHarness({ tiers: { ...DEFAULT_TIERS, starter } });
  for (const name of ['staging', 'qa']) await call('POST', '/v1/environments', { name });
});
afterAll(() => harness.close());

const call = (method: string, path: string, body?: unknown, key: TestKey | string = harness.tenant.live) =>
  harness.call(method, path, { key, ...(body !== undefined && { body }) });
type Answer = Awaited<ReturnType<typeof call>>;
const dataOf = ({ json }: Answer) => json['data'] as JsonTree;
const rowsOf = ({ json }: Answer) => json['data'] as unknown as JsonTree[];
const errorOf = ({ status, json }: Answer) => [status, json['error']?.['type']];
const fieldsOf = ({ json }: Answer) => json['fields'] as unknown as Record<string, string[]>;

let made = 0;
const bodyOf = (more: object = {}) => ({ name: `Route ${++made}`, target_base_url: TARGET, ...more });
async function make(more: object = {}): Promise<JsonTree> {
  const answer = await call('POST', PATH, bodyOf(more));
  expect([answer.status, fieldsOf(answer)]).toEqual([201, undefined]);
  return dataOf(answer);
}
const put = (route: JsonTree, environment: string, body: object) =>
  call('PUT', `${PATH}/${route['id']}/environments/${environment}`, body);
const environmentsOf = async (route: JsonTree) =>
  rowsOf(await call('GET', `${PATH}/${route['id']}/environments`));
const auditOf = async (id: unknown) => {
  await harness.flush();
  const rows: JsonTree[] = [];
  for (let page = 1; ; page++) {
    const path = `/v1/audit-logs?resource_type=route&order=asc&per_page=100&page=${page}`;
    const some = rowsOf(await call('GET', path));
    if (some.length === 0) return rows.filter((row) => row['resource_id'] === id);
    rows.push(...some);
  }
};
const secretOf = async (body: object) => dataOf(await call('POST', '/v1/secrets', body))['id'];

describe('a new route', () => {
  it('answers its record, and is as the contract says where nothing is said', async () => {
    const name = `Orders API ${++made}`;
    const answer = await call('POST', PATH, { name, target_base_url: TARGET });
    expect([answer.status, dataOf(answer)]).toEqual([
      201,
      {
        id: expect.any(String),
        tenant_id: harness.tenant.id,
        name,
        slug: `orders-api-${made}`,
        sandbox: false,
        target_base_url: TARGET,
        enabled: true,
        created_at: expect.stringMatching(/Z$/),
        requires_clients: false,
        base_environment: 'production',
        mtls_certificate_id: null,
        egress_server_id: null,
        collection_id: null,
        favicon_url: null,
        favicon_updated_at: null,
        favicon_data: null,
      },
    ]);
    const { id } = dataOf(answer);
    expect(dataOf(await call('GET', `${PATH}/${id}`))).toEqual({
      id,
      name,
      slug: `orders-api-${made}`,
      target_base_url: TARGET,
      base_environment: 'production',
      enabled: true,
      requires_clients: false,
      mtls_certificate_id: null,
      collection_id: null,
      created_at: expect.any(String),
      environment_override_count: 0,
      configured_environments: ['production'],
      payload_structure: null,
      injection_rules: [],
      ip_allowlist: [],
      data_plane_node_id: null,
    });
    expect(await environmentsOf(dataOf(answer))).toMatchObject([
      {
        environment_name: 'production',
        enabled: true,
        require_signature: false,
        signature_tolerance_sec: 300,
        rate_limit_enabled: false,
        rate_limit_requests: null,
        allowed_methods: null,
        http_method_restrictions_enabled: false,
        requires_clients: false,
        intercept_enabled: false,
      },
    ]);
  });

  it('is found by its slug too, and not by its name', async () => {
    const { id, slug, name } = await make({ slug: 'by-slug' });
    expect(dataOf(await call('GET', `${PATH}/${slug}`))['id']).toBe(id);
    expect((await call('GET', `${PATH}/${encodeURIComponent(String(name))}`)).status).toBe(404);
    expect((await call('GET', `${PATH}/${slug}`, undefined, harness.other.live)).status).toBe(404);
    expect((await call('GET', `${PATH}/${slug}`, undefined, harness.tenant.test)).status).toBe(404);
  });

  it('has a slug of its name, another where that is taken, none where it cannot be, or none by wish', async () => {
    const slugs = async (...names: string[]) => {
      const found: unknown[] = [];
      for (const name of names) found.push((await make({ name }))['slug']);
      return found;
    };
    expect(await slugs('Café & Bar', 'café  bar', 'API', '日本', '-x-')).toEqual([
      'cafe-bar',
      'cafe-bar-2',
      'api-2',
      null,
      'x',
    ]);
    expect((await make({ slug: null }))['slug']).toBeNull();
    expect((await make({ name: 'y'.repeat(255) }))['slug']).toBe('y'.repeat(63));
  });

  it('is of a base environment that there is', async () => {
    expect((await make({ base_environment: 'qa' }))['base_environment']).toBe('qa');
    const answer = await call('POST', PATH, bodyOf({ base_environment: 'nowhere' }));
    expect([errorOf(answer), fieldsOf(answer)]).toEqual([
      [400, 'validation_error'],
      { base_environment: ['"nowhere" is not an environment of this mode'] },
    ]);
  });

  it.each([
    ['name', { name: '' }, /./],
    ['name', { name: ' x' }, /spaces/],
    ['name', { name: UNKNOWN }, /form of an id/],
    ['slug', { slug: 'Big' }, /a-z/],
    ['slug', { slug: 'x'.repeat(64) }, /63|64/],
    ['slug', { slug: 'healthz' }, /the server itself/],
    ['slug', { slug: UNKNOWN }, /form of an id/],
    ['target_base_url', { target_base_url: 'ftp://example.com' }, /https: or http:/],
    ['target_base_url', { target_base_url: '/v1' }, /absolute/],
    ['target_base_url', { target_base_url: 'https://u:p@example.com' }, /user name/],
    ['target_base_url', { target_base_url: 'https://example.com/#a' }, /fragment/],
    ['target_base_url', { target_base_url: 'https://{{secret:A}}.example.com/' }, /./],
    ['target_base_url', { target_base_url: 'https://example.com/{{secret:A}}' }, /placeholders/],
    ['target_base_url', { target_base_url: 'http://localhost:3000' }, /special-use|label/],
    ['target_base_url', { target_base_url: 'http://127.0.0.1:3000' }, /not an IP address/],
    ['target_base_url', { target_base_url: 'https://example.com:6379' }, /port/i],
    ['inject_headers_json', { inject_headers_json: { 'a b': 'x' } }, /none of a header/],
    ['inject_headers_json', { inject_headers_json: { Host: 'x' } }, /the proxy sets itself/],
    ['inject_headers_json', { inject_headers_json: { 'X-Knox-A': 'x' } }, /the proxy sets itself/],
    ['inject_headers_json', { inject_headers_json: { a: '1', A: '2' } }, /once/],
    ['inject_headers_json', { inject_headers_json: { a: 'x\r\ny' } }, /visible ASCII/],
    ['inject_headers_json', { inject_headers_json: { a: '{{secret:}}' } }, /not closed or names nothing/],
    ['inject_headers_json', { inject_headers_json: { a: '{{secret:A' } }, /not closed/],
    ['inject_headers_json', { inject_headers_json: { a: '{{secret_id:A}}' } }, /not a UUID/],
    ['inject_headers_json', { inject_headers_json: { a: `{{secret_id:${UNKNOWN}}}` } }, /names no secret/],
    ['inject_body_json', { inject_body_json: { a: [{ b: '{{ secret : "A }}' }] } }, /not closed/],
    ['inject_body_json', { inject_body_json: { a: 'x'.repeat(64 * 1024) } }, /bytes as JSON/],
    ['inject_body_json', { inject_body_json: [] }, /./],
    ['ip_allowlist[0]', { ip_allowlist: ['10.0.0.1/8'] }, /without host bits/],
    ['ip_allowlist[0]', { ip_allowlist: ['example.com'] }, /IP address/],
    ['allowed_methods[1]', { allowed_methods: ['get', 'TRACE'] }, /one of/],
    ['allowed_methods', { http_method_restrictions_enabled: true }, /due/],
    ['rate_limit_requests', { rate_limit_enabled: true }, /due/],
    ['rate_limit_window_sec', { rate_limit_window_sec: 0 }, /./],
    ['signature_tolerance_sec', { signature_tolerance_sec: 3601 }, /./],
    ['signature_header', { signature_header: 'a b' }, /name of a header/],
    ['timestamp_header', { timestamp_header: 'x-signature' }, /another header/],
    ['method_configs', { method_configs: { TRACE: {} } }, /methods alone/],
    ['method_configs', { method_configs: { get: {}, GET: {} } }, /once/],
    [
      'method_configs.POST.target_base_url',
      { method_configs: { POST: { target_base_url: 'http://10.0.0.1/' } } },
      /IP/,
    ],
    [
      'method_configs.POST.rate_limit_requests',
      { method_configs: { POST: { rate_limit_enabled: true } } },
      /due/,
    ],
    ['mtls_certificate_id', { mtls_certificate_id: UNKNOWN }, /names no secret/],
    ['egress_server_id', { egress_server_id: UNKNOWN }, /names no egress server/],
    ['data_plane_node_id', { data_plane_node_id: UNKNOWN }, /no data plane nodes/],
    ['injection_rules', { injection_rules: [{}] }, /\{\{secret_id:…\}\} placeholders/],
  ])('refuses %s in %j', async (field, more, rule) => {
    const answer = await call('POST', PATH, bodyOf(more));
    expect(errorOf(answer)).toEqual([400, 'validation_error']);
    const [[name, [text]]] = Object.entries(fieldsOf(answer)) as [[string, [string]]];
    expect(name).toBe(field);
    expect(text).toMatch(rule);
  });

  it('is refused by the names and the room that there are', async () => {
    const { name } = await make({ slug: 'taken' });
    expect(errorOf(await call('POST', PATH, bodyOf({ name, slug: 'free' })))).toEqual([409, 'conflict']);
    expect(errorOf(await call('POST', PATH, bodyOf({ slug: 'taken' })))).toEqual([409, 'conflict']);
    const both = await call('POST', PATH, { ...bodyOf(), name, slug: 'taken' }, harness.tenant.test);
    expect(both.status).toBe(201);
    await harness.tenantSwitch.changeBySlug(harness.other.slug, { plan: 'starter' });
    const ofOther = (key: TestKey) => call('POST', PATH, bodyOf(), key);
    expect((await ofOther(harness.other.live)).status).toBe(201);
    expect(errorOf(await ofOther(harness.other.live))).toEqual([402, 'plan_limit']);
    for (let n = 0; n < 2; n++) expect((await ofOther(harness.other.test)).status).toBe(201);
    const usage = dataOf(await call('GET', '/v1/account/usage', undefined, harness.other.live));
    expect(usage['resources']).toMatchObject({ routes: { used: 1, limit: 1 } });
  });
});

describe('a change', () => {
  it('of the route is one of its base environment, but for what is in every environment', async () => {
    const route = await make();
    await put(route, 'qa', { target_base_url: 'https://qa.example.com' });
    const certificate = await certificateOf();
    const answer = await call('PATCH', `${PATH}/${route['id']}`, {
      name: 'changed',
      target_base_url: 'https://new.example.com',
      require_signature: true,
      rate_limit_enabled: true,
      rate_limit_requests: 5,
      requires_clients: true,
      mtls_certificate_id: certificate,
    });
    expect([answer.status, dataOf(answer)]).toMatchObject([
      200,
      {
        name: 'changed',
        slug: route['slug'],
        target_base_url: 'https://new.example.com',
        requires_clients: true,
        mtls_certificate_id: certificate,
      },
    ]);
    expect(await environmentsOf(route)).toMatchObject([
      {
        environment_name: 'production',
        target_base_url: 'https://new.example.com',
        require_signature: true,
        rate_limit_requests: 5,
        requires_clients: true,
        mtls_certificate_id: certificate,
      },
      {
        environment_name: 'qa',
        target_base_url: 'https://qa.example.com',
        require_signature: null,
        rate_limit_requests: null,
        requires_clients: true,
        mtls_certificate_id: certificate,
      },
    ]);
    const [, , row] = await auditOf(route['id']);
    expect(row).toMatchObject({
      action: 'route.update',
      details: {
        name: 'changed',
        changed: expect.arrayContaining(['name', 'target_base_url', 'requires_clients']),
        old: { target_base_url: TARGET, requires_clients: false },
        new: { target_base_url: 'https://new.example.com', requires_clients: true },
      },
    });
    expect(errorOf(await call('DELETE', `/v1/secrets/${certificate}`))).toEqual([409, 'conflict']);
    await call('PATCH', `${PATH}/${route['id']}`, { mtls_certificate_id: null });
    expect((await call('DELETE', `/v1/secrets/${certificate}`)).status).toBe(200);
  });

  it('of `enabled` alone is audited as what it is', async () => {
    const route = await make();
    for (const enabled of [false, true])
      expect(dataOf(await call('PATCH', `${PATH}/${route['id']}`, { enabled }))['enabled']).toBe(enabled);
    const actions = (await auditOf(route['id'])).map(({ action }) => action);
    expect(actions).toEqual(['route.create', 'route.disable', 'route.enable']);
  });

  it('switches methods and overrides on and off with what they list, unless it says so itself', async () => {
    const route = await make();
    const change = async (body: object) => {
      expect((await call('PATCH', `${PATH}/${route['id']}`, body)).status).toBe(200);
      const [base] = await environmentsOf(route);
      return [base!['allowed_methods'], base!['http_method_restrictions_enabled']];
    };
    expect(await change({ allowed_methods: ['get', 'GET', 'post'] })).toEqual([['GET', 'POST'], true]);
    expect(await change({ allowed_methods: null })).toEqual([null, false]);
    expect(await change({ allowed_methods: ['GET'], http_method_restrictions_enabled: false })).toEqual([
      ['GET'],
      false,
    ]);
    await call('PATCH', `${PATH}/${route['id']}`, { method_configs: { post: { rate_limit_requests: 1 } } });
    expect((await environmentsOf(route))[0]).toMatchObject({
      use_method_specific_configs: true,
      method_configs: { POST: { rate_limit_requests: 1, target_base_url: null } },
    });
  });

  it.each([
    ['nothing', {}, 400],
    ['a slug', { slug: 'other' }, 400],
    ['a base environment', { base_environment: 'qa' }, 400],
    ['no target', { target_base_url: null }, 400],
    ['rules', { injection_rules: [{ a: 1 }] }, 400],
    ['no rules', { injection_rules: [] }, 200],
    ['no node', { data_plane_node_id: null }, 200],
  ])('that names %s', async (_, body, status) => {
    const { id } = await make();
    expect((await call('PATCH', `${PATH}/${id}`, body)).status).toBe(status);
  });

  it('has its values as they are where it is refused', async () => {
    const route = await make();
    const body = { name: 'not written', inject_headers_json: { a: 'b' }, mtls_certificate_id: UNKNOWN };
    expect((await call('PATCH', `${PATH}/${route['id']}`, body)).status).toBe(400);
    expect(dataOf(await call('GET', `${PATH}/${route['id']}`))['name']).toBe(route['name']);
    expect((await environmentsOf(route))[0]!['inject_headers_json']).toBeNull();
  });
});

describe('an environment of a route', () => {
  it('has what is its own, and null where it inherits; what is not sent stays', async () => {
    const route = await make();
    const first = await put(route, 'staging', { inject_headers_json: { A: 'b' }, enabled: false });
    expect([first.status, dataOf(first)]).toEqual([
      200,
      {
        id: expect.any(String),
        route_id: route['id'],
        environment_name: 'staging',
        target_base_url: null,
        inject_headers_json: { A: 'b' },
        inject_body_json: null,
        created_at: expect.any(String),
        updated_at: expect.any(String),
        require_signature: null,
        signature_tolerance_sec: null,
        signature_header: null,
        timestamp_header: null,
        rate_limit_enabled: null,
        rate_limit_requests: null,
        rate_limit_window_sec: null,
        rate_limit_burst: null,
        allowed_methods: null,
        method_configs: null,
        use_method_specific_configs: null,
        http_method_restrictions_enabled: null,
        egress_server_id: null,
        enabled: false,
        requires_clients: null,
        mtls_certificate_id: null,
        payload_structure: null,
        injection_rules: [],
        ip_allowlist: null,
        data_plane_node_id: null,
        intercept_enabled: null,
      },
    ]);
    const { id } = dataOf(first);
    expect(dataOf(await put(route, 'staging', { target_base_url: 'https://s.example.com' }))).toMatchObject({
      id,
      target_base_url: 'https://s.example.com',
      inject_headers_json: { A: 'b' },
      enabled: false,
    });
    expect(dataOf(await put(route, 'staging', { target_base_url: '' }))['target_base_url']).toBeNull();
    expect(dataOf(await call('GET', `${PATH}/${route['id']}`))).toMatchObject({
      configured_environments: ['production', 'staging'],
      environment_override_count: 1,
    });
    const rows = await auditOf(route['id']);
    expect(rows.map(({ action }) => action)).toEqual([
      'route.create',
      ...Array(3).fill('route.environment.update'),
    ]);
    expect(rows[1]).toMatchObject({ details: { environment: 'staging', is_new: true } });
  });

  it('is one that the mode has, is named by the path, and has a target where it is the base', async () => {
    const route = await make();
    expect(errorOf(await put(route, 'nowhere', {}))).toEqual([404, 'not_found']);
    expect(fieldsOf(await put(route, 'qa', { environment_name: 'staging' }))).toHaveProperty([
      'environment_name',
    ]);
    expect((await put(route, 'qa', { environment_name: 'qa' })).status).toBe(200);
    expect(fieldsOf(await put(route, 'production', { target_base_url: null }))).toHaveProperty([
      'target_base_url',
    ]);
    expect(dataOf(await put(route, 'production', { require_signature: null }))['require_signature']).toBe(
      false,
    );
  });

  it('is judged with what it inherits', async () => {
    const route = await make({ rate_limit_requests: 5, allowed_methods: ['GET'] });
    expect((await put(route, 'qa', { rate_limit_enabled: true })).status).toBe(200);
    const answer = await call('PATCH', `${PATH}/${route['id']}`, { rate_limit_requests: null });
    expect([errorOf(answer), fieldsOf(answer)]).toEqual([
      [400, 'validation_error'],
      { rate_limit_requests: [expect.stringContaining('"qa"')] },
    ]);
  });

  it('is taken away, but not the base', async () => {
    const route = await make();
    await put(route, 'qa', {});
    const at = `${PATH}/${route['id']}/environments`;
    expect(errorOf(await call('DELETE', `${at}/production`))).toEqual([409, 'conflict']);
    expect(dataOf(await call('DELETE', `${at}/qa`))).toEqual({ deleted: true });
    expect(errorOf(await call('DELETE', `${at}/qa`))).toEqual([404, 'not_found']);
  });

  it('follows the environment of the mode: its name, and its end; a base one keeps it', async () => {
    const made = dataOf(await call('POST', '/v1/environments', { name: 'old', variables: { A: '1' } }));
    const based = await make({ base_environment: 'old' });
    const other = await make();
    await put(other, 'old', {});
    const path = `/v1/environments/${made['id']}`;
    await call('PATCH', path, { name: 'new' });
    expect(dataOf(await call('GET', `${PATH}/${based['id']}`))).toMatchObject({
      base_environment: 'new',
      configured_environments: ['new'],
    });
    const refused = await call('DELETE', path);
    expect([errorOf(refused), refused.json['error']!['message']]).toEqual([
      [409, 'conflict'],
      'This environment is the base environment of a route',
    ]);
    await call('DELETE', `${PATH}/${based['id']}`);
    expect((await call('DELETE', path)).status).toBe(200);
    expect(dataOf(await call('GET', `${PATH}/${other['id']}`))['configured_environments']).toEqual([
      'production',
    ]);
  });
});

describe('secrets that a route sends', () => {
  const host = 'https://bound.example.com/';
  const bound = () => ({ name: `BOUND_${++made}`, value: 'canary', allowed_hosts: ['bound.example.com'] });

  it('go to the hosts that they are bound to, in every environment', async () => {
    const inject_headers_json = { Authorization: `Bearer {{secret_id:${await secretOf(bound())}}}` };
    const route = await make({ target_base_url: host, inject_headers_json });
    expect(errorOf(await call('POST', PATH, bodyOf({ inject_headers_json })))).toEqual([
      403,
      'egress_blocked',
    ]);
    const elsewhere = { target_base_url: TARGET };
    expect(errorOf(await put(route, 'qa', elsewhere))).toEqual([403, 'egress_blocked']);
    expect(errorOf(await call('PATCH', `${PATH}/${route['id']}`, elsewhere))).toEqual([
      403,
      'egress_blocked',
    ]);
    expect((await put(route, 'qa', { ...elsewhere, inject_headers_json: { A: 'b' } })).status).toBe(200);
    const byMethod = { method_configs: { POST: { target_base_url: TARGET } } };
    expect(errorOf(await call('PATCH', `${PATH}/${route['id']}`, byMethod))).toEqual([403, 'egress_blocked']);
    const kept = dataOf(await call('GET', `${PATH}/${route['id']}`));
    expect([kept['target_base_url'], kept['environment_override_count']]).toEqual([host, 1]);
  });

  it('go over TLS only where they are bound, and without it where they are not', async () => {
    const plain = { target_base_url: host.replace('https', 'http') };
    const inject_headers_json = { 'X-Key': `{{secret_id:${await secretOf(bound())}}}` };
    const route = await make({ target_base_url: host, inject_headers_json });
    const at = `${PATH}/${route['id']}`;
    for (const answer of [
      await call('POST', PATH, bodyOf({ ...plain, inject_headers_json })),
      await call('PATCH', at, plain),
      await put(route, 'qa', plain),
      await call('PATCH', at, { method_configs: { POST: plain } }),
    ])
      expect([errorOf(answer), answer.json['error']!['message']]).toEqual([
        [403, 'egress_blocked'],
        expect.stringContaining('over TLS only'),
      ]);
    const free = `{{secret_id:${await secretOf({ name: `FREE_${++made}`, value: 'canary' })}}}`;
    await make({ ...plain, inject_headers_json: { 'X-Key': free } });
  });

  it('need not be there by name, and are texts', async () => {
    await make({ inject_body_json: { deep: [{ key: '{{secret:LATER}}' }] } });
    const inject_body_json = { key: `{{secret_id:${await certificateOf()}}}` };
    const answer = await call('POST', PATH, bodyOf({ inject_body_json }));
    expect(fieldsOf(answer)).toEqual({ inject_body_json: [expect.stringContaining('certificate')] });
  });

  it('go where a route was moved to without being sent again, unless they are bound', async () => {
    const id = await secretOf({ name: `FREE_${++made}`, value: 'canary' });
    const route = await make({ inject_headers_json: { 'X-Key': `{{secret_id:${id}}}` } });
    const moved = await call('PATCH', `${PATH}/${route['id']}`, { target_base_url: host });
    expect(moved.status).toBe(200);
  });

  it('is not in audit rows, as all that is injected', async () => {
    const route = await make({ inject_headers_json: { Authorization: 'Bearer canary-literal' } });
    await call('PATCH', `${PATH}/${route['id']}`, { inject_body_json: { a: 'canary-body' } });
    expect(JSON.stringify(await auditOf(route['id']))).not.toMatch(/canary/);
  });
});

it('goes to hosts of the egress allowlist alone', async () => {
  const { test } = harness.other;
  await call('PUT', '/v1/egress/allowlist', { hosts: ['listed.example.com'] }, test);
  expect(errorOf(await call('POST', PATH, bodyOf(), test))).toEqual([403, 'egress_blocked']);
  const listed = bodyOf({ target_base_url: 'http://listed.example.com' });
  expect((await call('POST', PATH, listed, test)).status).toBe(201);
});

describe('clients of an environment', () => {
  it('are a set, which the client shows with the name of the route', async () => {
    const route = await make({ name: 'With clients' });
    const at = `${PATH}/${route['id']}/environments/production/clients`;
    const ids: unknown[] = [];
    for (const name of ['a', 'b']) ids.push(dataOf(await call('POST', '/v1/clients', { name }))['id']);
    expect(dataOf(await call('PUT', at, { client_ids: ids }))).toEqual({ client_ids: ids });
    expect(dataOf(await call('DELETE', `${at}/${ids[0]}`))).toEqual({ deleted: true });
    expect(dataOf(await call('DELETE', `${at}/${ids[0]}`))).toEqual({ deleted: true });
    expect(dataOf(await call('GET', at))).toEqual({ client_ids: [ids[1]] });
    for (let n = 0; n < 2; n++)
      expect(dataOf(await call('POST', `${at}/${ids[0]}`))).toEqual({ assigned: true });
    expect(dataOf(await call('GET', `/v1/clients/${ids[0]}`))['route_assignments']).toEqual([
      { route_id: route['id'], route_name: 'With clients', environment_name: 'production' },
    ]);
    for (const wrong of [UNKNOWN, 'x'])
      expect(errorOf(await call('PUT', at, { client_ids: [...ids, wrong] }))).toEqual([404, 'not_found']);
    expect(errorOf(await call('GET', at.replace('production', 'qa')))).toEqual([404, 'not_found']);
    await call('DELETE', `${PATH}/${route['id']}`);
    expect(dataOf(await call('GET', `/v1/clients/${ids[0]}`))['route_assignments']).toEqual([]);
  });

  it('do not come back with an environment that was taken away', async () => {
    const route = await make();
    await put(route, 'qa', {});
    const at = `${PATH}/${route['id']}/environments/qa`;
    const { id } = dataOf(await call('POST', '/v1/clients', { name: 'c' }));
    await call('POST', `${at}/clients/${id}`);
    await call('DELETE', at);
    await put(route, 'qa', {});
    expect(dataOf(await call('GET', `${at}/clients`))).toEqual({ client_ids: [] });
  });
});

describe('actions', () => {
  const decrypt = { direction: 'request', action: 'decrypt', selectors: ['$.a.b[*].c'] };

  it('are rows in the order in which they are applied', async () => {
    const route = await make();
    const at = `${PATH}/${route['id']}/actions`;
    const later = dataOf(await call('POST', at, { ...decrypt, sort_order: 2, data_role: 'analyst' }));
    expect(later).toEqual({
      id: expect.any(String),
      route_id: route['id'],
      tenant_id: harness.tenant.id,
      ...decrypt,
      key_name: null,
      data_role: 'analyst',
      content_type: 'application/json',
      sort_order: 2,
      enabled: true,
    });
    const first = dataOf(await call('POST', at, { ...decrypt, content_type: 'Application/X-JSON' }));
    expect(first['content_type']).toBe('application/x-json');
    expect(rowsOf(await call('GET', at))).toEqual([first, later]);
    expect(dataOf(await call('DELETE', `${at}/${first['id']}`))).toEqual({ deleted: first['id'] });
    expect(errorOf(await call('DELETE', `${at}/${first['id']}`))).toEqual([404, 'not_found']);
    const other = await make();
    const foreign = `${PATH}/${other['id']}/actions/${later['id']}`;
    expect(errorOf(await call('DELETE', foreign))).toEqual([404, 'not_found']);
    expect((await auditOf(route['id'])).map(({ action }) => action)).toEqual([
      'route.create',
      'route.action.create',
      'route.action.create',
      'route.action.delete',
    ]);
  });

  it.each([
    ['key_name', { action: 'encrypt' }, /due/],
    ['key_name', { action: 'encrypt', key_name: 'nothing' }, /names no crypto key/],
    ['key_name', { action: 'tokenize', key_name: 'nothing' }, /names no vault/],
    ['selectors', { selectors: [] }, /./],
    ['selectors[0]', { selectors: ['a'] }, /begins with/],
    ['selectors[1]', { selectors: ['$', '$..a'] }, /not available/],
    ['content_type', { content_type: 'text/plain; charset=utf-8' }, /media type/],
    ['sort_order', { sort_order: -1 }, /./],
  ])('refuse %s in %j', async (field, more, rule) => {
    const route = await make();
    const answer = await call('POST', `${PATH}/${route['id']}/actions`, { ...decrypt, ...more });
    expect([errorOf(answer), fieldsOf(answer)]).toEqual([
      [400, 'validation_error'],
      { [field]: [expect.stringMatching(rule)] },
    ]);
  });

  it('do nothing that who makes them may not do', async () => {
    const route = await make();
    await call('POST', '/v1/vaults', { name: 'cards' });
    const grants = ['routes:write', 'vaults:tokenize'];
    const key = await keyThatMay(grants);
    const as = (action: string) =>
      call('POST', `${PATH}/${route['id']}/actions`, { ...decrypt, action, key_name: 'cards' }, key);
    expect((await as('tokenize')).status).toBe(201);
    expect(errorOf(await as('detokenize'))).toEqual([403, 'forbidden']);
  });

  describe('lead elsewhere by who may do what they do', () => {
    const elsewhere = { target_base_url: 'https://elsewhere.example.com' };
    const detokenize = { ...decrypt, action: 'detokenize', key_name: 'moved', enabled: false };
    let editor: string;
    let server: unknown;
    beforeAll(async () => {
      await call('POST', '/v1/vaults', { name: 'moved' });
      editor = await keyThatMay(['routes:write']);
      const terms = { name: 'out', kind: 'socks5', address: 'proxy.example.com', port: 1080 };
      server = dataOf(await call('POST', '/v1/egress/servers', terms))['id'];
    });
    async function makeActing() {
      const route = await make();
      expect((await put(route, 'staging', {})).status).toBe(200);
      const at = `${PATH}/${route['id']}`;
      expect((await call('POST', `${at}/actions`, detokenize)).status).toBe(201);
      return at;
    }
    const byMethod = { method_configs: { POST: elsewhere } };
    const moves: [string, string, object | (() => object)][] = [
      ['another target', 'PATCH', elsewhere],
      ['another scheme', 'PATCH', { target_base_url: TARGET.replace('https', 'http') }],
      ['another server', 'PATCH', () => ({ egress_server_id: server })],
      ['another target of a method', 'PATCH', byMethod],
      ['another target of the base environment', 'production', elsewhere],
      ['another target of another environment', 'staging', elsewhere],
      ['another server of another environment', 'staging', () => ({ egress_server_id: server })],
      ['another target of its method', 'staging', byMethod],
      ['a new environment that leads elsewhere', 'qa', elsewhere],
      ['a new environment of which a method does', 'qa', byMethod],
    ];
    const write = (at: string, where: string, body: object, key: string | TestKey = harness.tenant.live) =>
      where === 'PATCH'
        ? call('PATCH', at, body, key)
        : call('PUT', `${at}/environments/${where}`, body, key);

    it.each(moves)('%s (%s)', async (_, where, given) => {
      const at = await makeActing();
      const body = typeof given === 'function' ? given() : given;
      const refused = await write(at, where, body, editor);
      expect([errorOf(refused), refused.json['error']!['message']]).toEqual([
        [403, 'forbidden'],
        'This credential lacks the permission vaults:detokenize',
      ]);
      expect((await write(at, where, body)).status).toBe(200);
    });

    it('and so by the grants of vault and key', async () => {
      const at = await makeActing();
      await call('POST', `${at}/actions`, decrypt);
      const half = await keyThatMay(['routes:write', 'vaults:detokenize']);
      const refused = await write(at, 'PATCH', elsewhere, half);
      expect(refused.json['error']!['message']).toContain('crypto:decrypt');
      const whole = await keyThatMay(['routes:write', 'vaults:detokenize', 'crypto:decrypt']);
      expect((await write(at, 'PATCH', elsewhere, whole)).status).toBe(200);
    });

    it('even if the vault is gone, of which one of its name can be made', async () => {
      const at = await makeActing();
      await call('POST', '/v1/vaults', { name: 'leaves' });
      expect((await call('POST', `${at}/actions`, { ...detokenize, key_name: 'leaves' })).status).toBe(201);
      expect((await call('DELETE', '/v1/vaults/leaves')).status).toBe(200);
      expect(errorOf(await write(at, 'PATCH', elsewhere, editor))).toEqual([403, 'forbidden']);
      expect((await write(at, 'PATCH', elsewhere)).status).toBe(200);
    });

    it('while what leads nowhere else is the editor’s to change', async () => {
      const at = await makeActing();
      const limit = { rate_limit_enabled: true, rate_limit_requests: 5 };
      const same = { target_base_url: TARGET, method_configs: { POST: limit } };
      for (const where of ['PATCH', 'production', 'staging', 'qa'])
        for (const body of [limit, same])
          expect([where, (await write(at, where, body, editor)).status]).toEqual([where, 200]);
      expect((await call('PATCH', at, { name: `Route ${++made}`, enabled: false }, editor)).status).toBe(200);
    });

    it('and a route without actions goes where the editor wants', async () => {
      const { id } = await make();
      expect((await write(`${PATH}/${id}`, 'PATCH', elsewhere, editor)).status).toBe(200);
    });
  });
});

describe('lists', () => {
  it('are paged, sorted and filtered', async () => {
    const { test } = harness.tenant;
    for (const name of ['b', 'a']) await call('POST', PATH, { name, target_base_url: TARGET }, test);
    const { id } = dataOf(await call('GET', `${PATH}/a`, undefined, test));
    await call('PATCH', `${PATH}/${id}`, { enabled: false }, test);
    const names = async (query: string) =>
      rowsOf(await call('GET', `${PATH}?${query}`, undefined, test)).map(({ name }) => name);
    expect(await names('sort=name&order=asc&enabled=true')).not.toContain('a');
    expect(await names('enabled=false')).toEqual(['a']);
    expect((await names('sort=name&order=asc')).slice(-2)).toEqual(['a', 'b']);
    const { json } = await call('GET', `${PATH}?per_page=1&enabled=false`, undefined, test);
    expect(json['meta']).toMatchObject({ total: 1, page: 1, per_page: 1, total_pages: 1 });
    expect((await call('GET', `${PATH}?enabled=perhaps`, undefined, test)).status).toBe(400);
    expect(json['data'][0]).toEqual({
      id,
      name: 'a',
      slug: 'a',
      target_base_url: TARGET,
      base_environment: 'production',
      enabled: false,
      requires_clients: false,
      collection_id: null,
      created_at: expect.any(String),
      environment_override_count: 0,
      require_signature: false,
      rate_limit_enabled: false,
      rate_limit_requests: null,
      rate_limit_window_sec: null,
      allowed_methods: null,
    });
  });
});

it('shows its calls, the newest first, without addresses for whom may not see them', async () => {
  const route = await make();
  const id = String(route['id']);
  for (const statusCode of [200, 403])
    harness.apiLogs.append({
      requestId: harness.ids.uuid() as never,
      scope: { tenantId: harness.tenant.id, sandbox: false },
      routeId: id,
      matchedClientId: null,
      identificationMethod: null,
      method: 'GET',
      statusCode,
      srcIp: '203.0.113.7',
      environment: 'production',
      tsMs: harness.clock.nowMs(),
      path: '/v1/a',
      latencyMs: 3,
      upstreamHost: 'api.example.com',
      error: null,
      rateLimited: false,
      proxyMode: 'route',
      clientOrigin: 'direct',
      echo: null,
      signatureValid: null,
      warning: null,
    });
  const answer = await call('GET', `${PATH}/${id}/logs?per_page=1`);
  expect(answer.json['meta']).toMatchObject({ total: 2, total_pages: 2 });
  expect(rowsOf(answer)).toEqual([
    {
      id: expect.any(String),
      request_id: expect.any(String),
      ts: expect.any(String),
      src_ip: '203.0.113.7',
      method: 'GET',
      path: '/v1/a',
      status_code: 403,
      latency_ms: 3,
      upstream_host: 'api.example.com',
      error: null,
      environment: 'production',
      rate_limited: false,
      signature_valid: null,
      source_ip_country: null,
      source_ip_city: null,
      warning: null,
    },
  ]);
  const reader = await keyThatMay(['log:list']);
  const [row] = rowsOf(await call('GET', `${PATH}/${id}/logs`, undefined, reader));
  expect(row).not.toHaveProperty('src_ip');
});

async function certificateOf(): Promise<unknown> {
  const body = { name: `CERTIFICATE_${++made}`, certificate_content: CERTIFICATE };
  const answer = await call('POST', '/v1/secrets/certificate', body);
  expect(answer.status).toBe(201);
  return dataOf(answer)['id'];
}

async function keyThatMay(scopes: readonly string[]): Promise<string> {
  const token = await harness.signIn(harness.tenant.ownerEmail);
  const body = { name: 'narrow', key_type: 'access_key', scopes };
  return (await harness.call('POST', '/admin/api-keys', { token, body })).json['data'].api_key;
}
