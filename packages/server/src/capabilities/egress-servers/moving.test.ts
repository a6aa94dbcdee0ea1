import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHarness, type Harness } from '../../testing/harness.js';

const SERVERS = '/v1/egress/servers';
const DEFAULT = '/v1/egress/default';
const ACTION = { direction: 'request', action: 'detokenize', selectors: ['$.card'], key_name: 'cards' };
let harness: Harness;
let made = 0;
let network: string;
let both: string;
let editor: string;

beforeAll(async () => {
  harness = await createHarness();
  await call('POST', '/v1/vaults', { name: 'cards' });
  network = await keyThatMay(['egress:write', 'egress:read']);
  both = await keyThatMay(['egress:write', 'vaults:detokenize']);
  editor = await keyThatMay(['egress:write', 'routes:write']);
});
afterAll(() => harness.close());

const call = (
  method: string,
  path: string,
  body?: unknown,
  key: string | Harness['tenant']['live'] = harness.tenant.live,
) => harness.call(method as 'POST', path, { key, ...(body !== undefined && { body }) });
async function keyThatMay(scopes: readonly string[]): Promise<string> {
  const token = await harness.signIn(harness.tenant.ownerEmail);
  const body = { name: 'narrow', key_type: 'access_key', scopes };
  return (await harness.call('POST', '/admin/api-keys', { token, body })).json['data'].api_key;
}
async function create(path: string, body: object): Promise<string> {
  const answer = await call('POST', path, body);
  expect([answer.status, answer.json['error']]).toEqual([201, undefined]);
  return answer.json['data'].id;
}
const server = (more: object = {}) =>
  create(SERVERS, {
    name: `out${++made}`,
    kind: 'socks5',
    address: 'proxy.example.com',
    port: 1080,
    ...more,
  });
const route = (more: object = {}) =>
  create('/v1/routes', { name: `r${++made}`, target_base_url: 'https://api.example.com', ...more });
const actingRoute = async (more: object = {}) => {
  const id = await route(more);
  await create(`/v1/routes/${id}/actions`, { ...ACTION, enabled: false });
  return id;
};
const patch = (id: string, changes: object, key?: string) => call('PATCH', `${SERVERS}/${id}`, changes, key);
const outcome = ({ status, json }: Awaited<ReturnType<typeof call>>) =>
  status === 200 ? 200 : [status, json['error']!['message']];
const lacks = (permission: string) => [403, `This credential lacks the permission ${permission}`];

describe('a server of a route with field actions', () => {
  it.each<[string, object]>([
    ['address', { address: 'else.example.com' }],
    ['port', { port: 1081 }],
    ['kind', { kind: 'http_proxy' }],
  ])('gets another %s by who may do what they do', async (_, changes) => {
    const id = await server();
    await actingRoute({ egress_server_id: id });
    expect(outcome(await patch(id, changes, network))).toEqual(lacks('vaults:detokenize'));
    expect((await call('GET', `${SERVERS}/${id}`)).json['data']).toMatchObject({
      port: 1080,
      kind: 'socks5',
    });
    expect(outcome(await patch(id, changes, both))).toBe(200);
  });

  it('gets another server to fail over to so, and one behind that', async () => {
    const [last, stand, id] = [await server({ port: 1083 }), await server({ port: 1084 }), await server()];
    await actingRoute({ egress_server_id: id });
    expect(outcome(await patch(id, { failover_id: stand }, network))).toEqual(lacks('vaults:detokenize'));
    expect(outcome(await patch(id, { failover_id: stand }, both))).toBe(200);
    expect(outcome(await patch(stand, { failover_id: last }, network))).toEqual(lacks('vaults:detokenize'));
    expect(outcome(await patch(stand, { port: 1085 }, network))).toEqual(lacks('vaults:detokenize'));
    expect(outcome(await patch(stand, { enabled: false }, network))).toBe(200);
    expect(outcome(await patch(stand, { enabled: true }, network))).toEqual(lacks('vaults:detokenize'));
    expect(outcome(await patch(id, { failover_id: null }, network))).toBe(200);
    expect(outcome(await patch(stand, { failover_id: last, port: 1086 }, network))).toBe(200);
  });

  it('is the network’s to change in all that moves no call', async () => {
    const id = await server();
    await actingRoute({ egress_server_id: id });
    const login = { username: 'user', password: 'secret' };
    for (const changes of [
      { name: `renamed${made}` },
      login,
      { enabled: false },
      { address: 'proxy.example.com' },
    ])
      expect(outcome(await patch(id, changes, network))).toBe(200);
  });

  it('is asked of environments that name it, whatever the base goes by', async () => {
    const id = await server();
    await call('POST', '/v1/environments', { name: 'staging' });
    const acting = await actingRoute({ egress_server_id: await server() });
    const own = `/v1/routes/${acting}/environments/staging`;
    expect((await call('PUT', own, { egress_server_id: id })).status).toBe(200);
    expect(outcome(await patch(id, { port: 1081 }, network))).toEqual(lacks('vaults:detokenize'));
  });
});

describe('a server of a route without', () => {
  it('is moved by who may change servers, where TLS hides what goes by', async () => {
    const id = await server();
    await route({ egress_server_id: id, inject_headers_json: { 'X-Key': 'value' } });
    expect(outcome(await patch(id, { port: 1081 }, network))).toBe(200);
  });

  it.each<[string, object]>([
    ['a target', { target_base_url: 'HTTP://api.example.com' }],
    ['a target of a method', { method_configs: { POST: { target_base_url: 'http://api.example.com' } } }],
  ])('of %s of http: by who may write routes too', async (_, more) => {
    const id = await server();
    await route({ egress_server_id: id, ...more });
    expect(outcome(await patch(id, { port: 1081 }, network))).toEqual(lacks('routes:write'));
    expect(outcome(await patch(id, { port: 1081 }, editor))).toBe(200);
  });
});

describe('the default', () => {
  it('moves calls of routes that name none, and a server that is the default does', async () => {
    const [first, second] = [await server(), await server({ address: 'second.example.com' })];
    const setDefault = async (id: string | null, key?: string) =>
      outcome(await call('PUT', DEFAULT, { egress_server_id: id }, key));
    const acting = await actingRoute({ egress_server_id: second });
    expect(await setDefault(first, network)).toBe(200);
    await actingRoute();
    expect(await setDefault(second, network)).toEqual(lacks('vaults:detokenize'));
    expect(await setDefault(null, network)).toEqual(lacks('vaults:detokenize'));
    expect(outcome(await patch(first, { port: 1081 }, network))).toEqual(lacks('vaults:detokenize'));
    expect(await setDefault(first, network)).toBe(200);
    expect(await setDefault(second, both)).toBe(200);
    expect(await setDefault('aaaaaaaa-0000-4000-8000-00000000dead', both)).toEqual([400, expect.any(String)]);
    expect((await call('DELETE', `/v1/routes/${acting}`)).status).toBe(200);
  });
});
