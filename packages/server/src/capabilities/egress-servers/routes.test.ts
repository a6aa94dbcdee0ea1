import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHarness, type Harness } from '../../testing/harness.js';

const SERVERS = '/v1/egress/servers';
const DEFAULT = '/v1/egress/default';
const UNKNOWN = 'aaaaaaaa-0000-4000-8000-00000000dead';
let harness: Harness;
let made = 0;

beforeAll(async () => {
  harness = await createHarness();
});
afterAll(() => harness.close());

const call = (method: string, path: string, body?: unknown, key = harness.tenant.live) =>
  harness.call(method as 'POST', path, { key, ...(body !== undefined && { body }) });
const terms = (more: object = {}) => ({
  name: `out${++made}`,
  kind: 'socks5',
  address: 'proxy.example.com',
  port: 1080,
  ...more,
});
const LOGIN = { username: 'user', password: 'canary' };
// biome-ignore lint/suspicious/noExplicitAny: what the wire says is what is tested
const create = async (more: object = {}): Promise<any> => {
  const answer = await call('POST', SERVERS, terms(more));
  expect([answer.status, answer.json['error']]).toEqual([201, undefined]);
  return answer.json['data'];
};
const refused = async (method: string, path: string, body: unknown) => {
  const { status, json } = await call(method, path, body);
  return [status, json['error']?.['type'], Object.keys((json['fields'] ?? {}) as object)];
};
const scope = () => harness.callerOf(harness.tenant, 'live').principal.scope;
const chain = async (id: string | null) =>
  (await harness.egressServers.forCall(scope(), id))?.map((one) => one.id) ?? null;

describe('records', () => {
  it('are made, read, changed and deleted, the password never shown', async () => {
    const server = await create(LOGIN);
    expect(server).toMatchObject({ kind: 'socks5', has_password: true, username: 'user', enabled: true });
    const path = `${SERVERS}/${server.id}`;
    const [own] = (await harness.egressServers.forCall(scope(), server.id)) ?? [];
    expect((await own!.login())?.password.reveal()).toBe('canary');
    const changed = await call('PATCH', path, { password: 'other canary' });
    expect(changed.status).toBe(200);
    for (const answer of [changed, await call('GET', path), await call('GET', SERVERS)])
      expect(JSON.stringify(answer.json)).not.toContain('canary');
    await expect(own!.login()).rejects.toMatchObject({ type: 'egress_unavailable' });
    const [next] = (await harness.egressServers.forCall(scope(), server.id)) ?? [];
    expect([next!.version, (await next!.login())?.password.reveal()]).toEqual([2, 'other canary']);
    expect((await call('GET', path, undefined, harness.tenant.test)).status).toBe(404);
    expect((await call('DELETE', path)).json['data']).toEqual({ deleted: true });
    expect((await call('GET', path)).status).toBe(404);
  });

  it('need the password again with another kind, address or port', async () => {
    const { id } = await create(LOGIN);
    const path = `${SERVERS}/${id}`;
    for (const moved of [{ kind: 'http_proxy' }, { address: 'else.example.com' }, { port: 3128 }]) {
      const [field] = Object.keys(moved);
      expect(await refused('PATCH', path, moved)).toEqual([400, 'validation_error', [field, 'password']]);
    }
    expect((await call('PATCH', path, { port: 3128, password: 'again' })).status).toBe(200);
    expect((await call('PATCH', path, { name: `renamed${made}`, enabled: false })).status).toBe(200);
    expect((await call('PATCH', `${SERVERS}/${(await create()).id}`, { port: 3128 })).status).toBe(200);
  });

  it.each([
    [{ kind: 'vpn' }, ['kind']],
    [{ port: null }, ['port']],
    [{ port: 0 }, ['port']],
    [{ port: 25 }, ['port']],
    [{ port: 6379 }, ['port']],
    [{ username: 'user' }, ['password']],
    [{ password: 'p' }, ['username']],
    [{ username: 'u'.repeat(256), password: 'p' }, ['username']],
    [{ username: 'a\r\nb', password: 'p' }, ['username']],
    [{ kind: 'http_proxy', username: 'a:b', password: 'p' }, ['username']],
    [{ kind: 'source_address', address: '198.51.100.7' }, ['port']],
    [{ kind: 'source_address', address: '198.51.100.7', port: null }, ['address']],
    [{ address: 'localhost' }, ['address']],
    [{ address: 'user@proxy.example.com' }, ['address']],
    [{ address: 'proxy.example.com/x' }, ['address']],
    [{ address: '010.0.0.1' }, ['address']],
    [{ failover_id: UNKNOWN }, ['failover_id']],
  ])('%j is 400 of its field', async (more, fields) => {
    expect(await refused('POST', SERVERS, terms(more))).toEqual([400, 'validation_error', fields]);
  });

  it.each(['10.0.0.1', '127.0.0.1', '169.254.169.254', '::1', '::ffff:10.0.0.1'])(
    'do not lead to %s, so that nobody looks around in the network of the operator',
    async (address) => {
      expect(await refused('POST', SERVERS, terms({ address }))).toEqual([403, 'ssrf_blocked', []]);
    },
  );

  it('have names of their own', async () => {
    const { name } = await create();
    expect((await refused('POST', SERVERS, terms({ name }))).slice(0, 2)).toEqual([409, 'conflict']);
  });
});

describe('failover', () => {
  it('is followed past those that are off, and never in a circle', async () => {
    const third = (await create()).id;
    const second = (await create({ failover_id: third, enabled: false })).id;
    const first = (await create({ failover_id: second })).id;
    expect(await chain(first)).toEqual([first, third]);
    expect(await chain(second)).toEqual([third]);
    expect(await chain(UNKNOWN)).toEqual([]);
    for (const failover_id of [first, third])
      expect(await refused('PATCH', `${SERVERS}/${third}`, { failover_id })).toEqual([
        400,
        'validation_error',
        ['failover_id'],
      ]);
    expect((await refused('DELETE', `${SERVERS}/${third}`, undefined)).slice(0, 2)).toEqual([
      409,
      'conflict',
    ]);
  });
});

describe('the default', () => {
  it('is none at first, then that of calls that name none, of one mode', async () => {
    expect([(await call('GET', DEFAULT)).json['data'], await chain(null)]).toEqual([
      { egress_server_id: null },
      null,
    ]);
    const { id } = await create();
    expect((await call('PUT', DEFAULT, { egress_server_id: id })).json['data']).toEqual({
      egress_server_id: id,
    });
    expect(await chain(null)).toEqual([id]);
    expect((await call('GET', DEFAULT, undefined, harness.tenant.test)).json['data']).toEqual({
      egress_server_id: null,
    });
    expect((await refused('DELETE', `${SERVERS}/${id}`, undefined)).slice(0, 2)).toEqual([409, 'conflict']);
    expect(await refused('PUT', DEFAULT, { egress_server_id: UNKNOWN })).toEqual([
      400,
      'validation_error',
      ['egress_server_id'],
    ]);
    await call('PUT', DEFAULT, { egress_server_id: null });
    expect(await chain(null)).toBeNull();
    const audits = await call('GET', '/v1/audit-logs?action=egress.update');
    expect(audits.json['data']).toHaveLength(2);
    expect((await call('DELETE', `${SERVERS}/${id}`)).status).toBe(200);
  });
});

it('a test tells what was found, and refuses what a call would be refused', async () => {
  const { id } = await create();
  const path = `${SERVERS}/${id}/test`;
  const found = await call('POST', path, { host: 'api.example.com' });
  expect(found.json['data']).toMatchObject({ success: false, error: expect.any(String) });
  expect(await refused('POST', path, { host: 'localhost' })).toEqual([400, 'validation_error', ['host']]);
});
