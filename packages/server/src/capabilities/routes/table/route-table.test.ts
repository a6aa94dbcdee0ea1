import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Scope } from '../../../kernel/ids.js';
import { isPending } from '../../../kernel/promisable.js';
import type { JsonTree } from '../../../testing/calls.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import type { CallableRoute } from '../types.js';

const TARGET = 'https://api.example.com/v1';
let harness: Harness;
let live: Scope;

beforeAll(async () => {
  harness = await createHarness();
  live = { tenantId: harness.tenant.id, sandbox: false };
  await call('POST', '/v1/environments', { name: 'staging', variables: { REGION: 'eu' } });
});
afterAll(() => harness.close());

async function call(method: string, path: string, body?: unknown): Promise<JsonTree> {
  const answer = await harness.call(method, path, {
    key: harness.tenant.live,
    ...(body !== undefined && { body }),
  });
  expect([answer.status, answer.json['error']]).toEqual([answer.status < 300 ? answer.status : 0, undefined]);
  return answer.json['data'] as JsonTree;
}
let made = 0;
const make = (more: object = {}) =>
  call('POST', '/v1/routes', { name: `Route ${++made}`, target_base_url: TARGET, ...more });
const find = async (reference: unknown, scope = live) =>
  harness.namedRoutes.table.find(scope, String(reference));
const settings = (route: CallableRoute | undefined, environment = 'production', method = 'GET') =>
  route!.environments.get(environment)!.settings(method);

describe('a reference', () => {
  it('is an id in any case, then a slug, then a name, case and all, of the tenant and mode', async () => {
    const first = await make({ name: 'Orders', slug: 'first' });
    const second = await make({ name: 'first', slug: 'orders' });
    const idOf = async (reference: unknown) => (await find(reference))?.id;
    expect(await idOf(first['id'])).toBe(first['id']);
    expect(await idOf(String(first['id']).toUpperCase())).toBe(first['id']);
    expect(await idOf('first')).toBe(first['id']);
    expect(await idOf('orders')).toBe(second['id']);
    expect(await idOf('Orders')).toBe(first['id']);
    expect(await idOf('ORDERS')).toBeUndefined();
    expect(await idOf('00000000-0000-4000-8000-00000000dead')).toBeUndefined();
    expect(await find('Orders', { ...live, sandbox: true })).toBeUndefined();
    expect(await find('Orders', { ...live, tenantId: harness.other.id })).toBeUndefined();
  });

  it('is known at once after the first time, and another change leaves its settings the same objects', async () => {
    const { id } = await make();
    const before = settings(await find(id));
    expect(isPending(harness.namedRoutes.table.find(live, String(id)))).toBe(false);
    await make();
    expect(settings(await find(id))).toBe(before);
    await call('PATCH', `/v1/routes/${id}`, { require_signature: true });
    const after = settings(await find(id));
    expect([before.requireSignature, after.requireSignature]).toEqual([false, true]);
  });

  it('has a place that is known at once, whether it was ever called, is off, or is none', async () => {
    const { table } = harness.namedRoutes;
    const { id, slug } = await make({ slug: 'cold' });
    const off = await make();
    await call('PATCH', `/v1/routes/${off['id']}`, { enabled: false });
    await find('none');
    const places = [id, slug, off['name'], 'none'].map((reference) => table.place(live, String(reference)));
    expect(places.map(isPending)).toEqual([false, false, false, false]);
    const known = { baseEnvironment: 'production' };
    expect(places).toMatchObject([
      { id, ...known },
      { id, ...known },
      { id: off['id'], ...known },
      undefined,
    ]);
    expect(isPending(table.find(live, String(id)))).toBe(true);
  });

  it('is gone with its route, and moves with its name', async () => {
    const { id, name } = await make();
    expect((await find(name))?.id).toBe(id);
    await call('PATCH', `/v1/routes/${id}`, { name: 'renamed', enabled: false });
    expect([await find(name), (await find('renamed'))?.enabled]).toEqual([undefined, false]);
    await call('DELETE', `/v1/routes/${id}`);
    expect(await find(id)).toBeUndefined();
  });
});

describe('what a route does', () => {
  it('is what the contract says where nothing is said', async () => {
    const { id } = await make();
    const route = await find(id);
    expect(route).toMatchObject({ id, enabled: true, baseEnvironment: 'production', actions: [] });
    expect([...route!.environments.keys()]).toEqual(['production']);
    expect(settings(route)).toEqual({
      targetBaseUrl: TARGET,
      injectHeaders: new Map(),
      injectBody: null,
      requireSignature: false,
      signatureToleranceSec: 300,
      signatureHeader: 'X-Signature',
      timestampHeader: 'X-Timestamp',
      rateLimit: null,
      allowedMethods: null,
      egressServerId: null,
      requiresClients: false,
      mtlsCertificateId: null,
      ipAllowlist: [],
      interceptEnabled: false,
    });
  });

  it('is inherited live where it is null or empty, and overridden as a whole; enabled never is', async () => {
    const { id } = await make({
      inject_headers_json: { A: '1', B: '2' },
      inject_body_json: { a: 1 },
      allowed_methods: ['GET'],
      ip_allowlist: ['10.0.0.0/8'],
      rate_limit_enabled: true,
      rate_limit_requests: 10,
      requires_clients: true,
      require_signature: true,
    });
    const at = `/v1/routes/${id}/environments/staging`;
    await call('PUT', at, { inject_headers_json: { B: '3' }, inject_body_json: {}, ip_allowlist: [] });
    expect(settings(await find(id), 'staging')).toMatchObject({
      targetBaseUrl: TARGET,
      injectHeaders: new Map([['B', '3']]),
      injectBody: { a: 1 },
      allowedMethods: ['GET'],
      ipAllowlist: ['10.0.0.0/8'],
      rateLimit: { requests: 10, windowSec: 60, burst: 0 },
      requiresClients: true,
      requireSignature: true,
    });
    await call('PATCH', `/v1/routes/${id}`, { ip_allowlist: ['192.0.2.1'], enabled: false });
    await call('PUT', at, {
      require_signature: false,
      rate_limit_burst: 5,
      http_method_restrictions_enabled: false,
    });
    const route = await find(id);
    expect(settings(route, 'staging')).toMatchObject({
      ipAllowlist: ['192.0.2.1'],
      requireSignature: false,
      rateLimit: { requests: 10, windowSec: 60, burst: 5 },
      allowedMethods: null,
    });
    expect([route!.enabled, route!.environments.get('staging')!.enabled]).toEqual([false, true]);
  });

  it('is overridden by method, in an environment too', async () => {
    const { id } = await make({
      inject_headers_json: { A: '1' },
      rate_limit_window_sec: 5,
      method_configs: {
        post: { target_base_url: 'https://post.example.com', rate_limit_requests: 3 },
        DELETE: { inject_headers_json: { B: '2' } },
      },
    });
    await call('PUT', `/v1/routes/${id}/environments/staging`, { target_base_url: 'https://s.example.com' });
    const route = await find(id);
    expect(settings(route, 'production', 'POST')).toMatchObject({
      targetBaseUrl: 'https://post.example.com',
      injectHeaders: new Map([['A', '1']]),
      rateLimit: { requests: 3, windowSec: 5, burst: 0 },
    });
    expect(settings(route, 'staging', 'POST').targetBaseUrl).toBe('https://post.example.com');
    expect(settings(route, 'staging', 'DELETE')).toMatchObject({
      targetBaseUrl: 'https://s.example.com',
      injectHeaders: new Map([['B', '2']]),
      rateLimit: null,
    });
    expect(settings(route, 'staging', 'PATCH')).toBe(settings(route, 'staging', 'GET'));
    await call('PATCH', `/v1/routes/${id}`, { use_method_specific_configs: false });
    expect(settings(await find(id), 'production', 'POST').targetBaseUrl).toBe(TARGET);
  });

  it('has the list of methods of its base where its own is empty', async () => {
    const { id } = await make({ allowed_methods: ['GET'] });
    const at = `/v1/routes/${id}/environments/staging`;
    await call('PUT', at, { allowed_methods: ['POST'] });
    await call('PUT', at, { allowed_methods: [], http_method_restrictions_enabled: true });
    expect(settings(await find(id), 'staging').allowedMethods).toEqual(['GET']);
  });

  it('knows the variables of its environments, and their names', async () => {
    const { id } = await make();
    await call('PUT', `/v1/routes/${id}/environments/staging`, {});
    const variables = async (name = 'staging') => (await find(id))!.environments.get(name)?.variables;
    expect(await variables()).toEqual(new Map([['REGION', 'eu']]));
    const rows = (await call('GET', '/v1/environments')) as unknown as JsonTree[];
    const path = `/v1/environments/${rows.find(({ name }) => name === 'staging')!['id']}`;
    await call('PATCH', path, { variables: { REGION: 'us', A: '' } });
    expect(await variables()).toEqual(
      new Map([
        ['REGION', 'us'],
        ['A', ''],
      ]),
    );
    await call('PATCH', path, { name: 'stage' });
    expect([await variables(), await variables('stage')]).toEqual([undefined, expect.any(Map)]);
    await call('DELETE', path);
    expect([...(await find(id))!.environments.keys()]).toEqual(['production']);
    await call('POST', '/v1/environments', { name: 'staging', variables: { REGION: 'eu' } });
  });

  it('has its enabled actions in order', async () => {
    const { id } = await make();
    const add = (sort_order: number, enabled = true) =>
      call('POST', `/v1/routes/${id}/actions`, {
        direction: 'response',
        action: 'decrypt',
        selectors: ['$.a'],
        sort_order,
        enabled,
      });
    const [second, first] = [await add(2), await add(1)];
    await add(0, false);
    expect((await find(id))!.actions.map((action) => action.id)).toEqual([first['id'], second['id']]);
    await call('DELETE', `/v1/routes/${id}/actions/${first['id']}`);
    expect((await find(id))!.actions).toMatchObject([{ id: second['id'], selectors: ['$.a'] }]);
  });
});
