import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { callRoute, type RouteCall } from '../../testing/route-calls.js';
import { startWholeServer, type WholeServer } from '../../testing/whole-server.js';

let server: WholeServer;
let slug: string;
const got: { method?: string; url?: string; headers: IncomingMessage['headers']; body: string }[] = [];

beforeAll(async () => {
  server = await startWholeServer({ environment: { KNOX_BASE_DOMAIN: 'knox.example' } });
  slug = (await server.api('GET', '/v1/account')).json.data.slug;
  server.answer = async (request, response) => {
    const { method, url, headers } = request;
    got.push({ method: method ?? '', url: url ?? '', headers, body: (await buffer(request)).toString() });
    response.setHeader('x-upstream', 'yes').end('answered');
  };
  await make({ name: 'Orders API', slug: 'orders', target_base_url: `${server.target}/base?b=1` });
  await make({ name: 'docs', slug: null, target_base_url: `${server.target}/` });
});
afterAll(() => server.close());
afterEach(() => {
  got.length = 0;
});

async function make(body: object) {
  const { status, json } = await server.api('POST', '/v1/routes', body);
  expect([status, json]).toMatchObject([201, {}]);
  return json.data;
}

const call = (path: string, how?: RouteCall) => callRoute(server, path, how);

describe('a route is called', () => {
  const byHeader = { 'x-knoxcall-route': 'orders' };
  it.each<[string, string, RouteCall, string]>([
    ['by header on a plain address', '/a/b?c=2', { headers: byHeader }, '/base/a/b?b=1&c=2'],
    ['by header where another plane answers', '/v1/secrets', { headers: byHeader }, '/base/v1/secrets?b=1'],
    ['by header below /proxy', '/proxy/docs/x', { headers: byHeader }, '/base/proxy/docs/x?b=1'],
    ['by header with an empty path', '/', { headers: byHeader }, '/base/?b=1'],
    ['by header with its own query', '/?q=%20', { headers: byHeader }, '/base/?b=1&q=%20'],
    ['/api stays on a plain address', '/api/x', { headers: byHeader }, '/base/api/x?b=1'],
    ['/proxy/{route}', '/proxy/orders', {}, '/base/?b=1'],
    ['/proxy/{route}/rest', '/proxy/orders/x%2Fy/', {}, '/base/x%2Fy/?b=1'],
    ['/proxy/{name}', '/proxy/Orders%20API/x', {}, '/base/x?b=1'],
    ['/proxy/ with the name of a plane', '/proxy/docs/x', {}, '/x'],
  ])('%s', async (_name, path, how, url) => {
    const { status, headers } = await call(path, how);
    expect([status, got.map((one) => one.url)]).toEqual([200, [url]]);
    expect(headers).toMatchObject({
      'x-knox-upstream-status': '200',
      'x-knox-environment': 'production',
      'x-upstream': 'yes',
    });
    expect(headers['x-knox-route-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers).not.toHaveProperty('x-knox-destination-status');
  });

  it.each([
    ['first segment', '/orders/x', {}, '/base/x?b=1'],
    ['first segment alone', '/orders?y=1', {}, '/base/?b=1&y=1'],
    ['/api stripped once', '/api/api/v2', { 'x-knoxcall-route': 'orders' }, '/base/api/v2?b=1'],
    ['/api alone', '/api', { 'x-knoxcall-route': 'orders' }, '/base/?b=1'],
    ['/api/ alone', '/api/', { 'x-knoxcall-route': 'orders' }, '/base/?b=1'],
    ['/apix stays', '/apix', { 'x-knoxcall-route': 'orders' }, '/base/apix?b=1'],
    ['/proxy/{route} there too', '/proxy/orders/x', {}, '/base/x?b=1'],
  ])('on the host of its tenant: %s', async (_name, path, headers, url) => {
    const { status } = await call(path, { host: `${slug}.knox.example`, headers });
    expect([status, got.map((one) => one.url)]).toEqual([200, [url]]);
  });

  it('by its id, whatever the case', async () => {
    const { json } = await server.api('GET', '/v1/routes/orders');
    expect((await call('/x', { headers: { 'x-knoxcall-route': json.data.id.toUpperCase() } })).status).toBe(
      200,
    );
  });

  it('where no route is named other planes answer', async () => {
    expect((await call('/v1/account', { key: null })).status).toBe(401);
    expect((await call('/healthz', { key: null })).status).toBe(200);
    expect((await call('/nothing')).status).toBe(404);
    expect((await call('/healthz', { host: `${slug}.knox.example`, key: null })).status).toBe(200);
    expect(got).toEqual([]);
  });
});

describe('what goes to the upstream of a route', () => {
  it('everything but what is ours', async () => {
    await call('/proxy/orders/x', {
      method: 'PUT',
      body: 'text',
      headers: {
        'content-type': 'text/plain',
        authorization: 'Bearer the-upstreams',
        'x-api-key': 'the-upstreams',
        dpop: 'the-upstreams',
        'x-idempotency-key': 'one',
        'x-knoxcall-environment': 'production',
        'x-knoxcall-agent-token': 'x',
        'x-knox-proxy-url': 'https://elsewhere.example.com/',
        'x-knox-upstream-authorization': 'x',
        'x-forwarded-for': '192.0.2.1',
      },
    });
    const [one] = got;
    expect(one).toMatchObject({
      method: 'PUT',
      body: 'text',
      headers: {
        authorization: 'Bearer the-upstreams',
        'x-api-key': 'the-upstreams',
        dpop: 'the-upstreams',
        'x-idempotency-key': 'one',
      },
    });
    expect(Object.keys(one!.headers).filter((name) => /knox|forwarded/.test(name))).toEqual([]);
  });

  it.each([
    ['authorization', (key: string) => `Bearer ${key}`],
    ['x-api-key', (key: string) => key],
  ])('a key in %s is consumed', async (name, write) => {
    const { status } = await call('/proxy/orders/x', {
      key: null,
      headers: { [name]: write(server.bootstrap.live_api_key) },
    });
    expect([status, got[0]?.headers[name]]).toEqual([200, undefined]);
  });

  it('nothing, of what its caller only wants to look at', async () => {
    const { status, text } = await call('/proxy/orders/x', { headers: { 'x-knox-dry-run': '1' } });
    expect([status, text]).toEqual([400, expect.stringContaining('X-Knox-Dry-Run')]);
    expect(got).toEqual([]);
  });
});

describe('a path', () => {
  const climbing = [
    '/..',
    '/a/../..',
    '/%2e%2e/x',
    '/a/%2E./..%2f..',
    '/.%252e/x',
    '//../x',
    '/a/..;x/..;/y',
    '/a%2f..%2f..%2fb',
    '/a%2fb/../../x',
    '/a%252fb/../../x',
    '/a\\b',
    '/a%5Cb',
    '/a%00',
    '/a%0d%0aX: y',
    '/a%250ab',
  ];
  it.each(climbing)('that leaves its base is refused: %s', async (path) => {
    const { status, text } = await call(path.replaceAll(' ', '%20'), {
      headers: { 'x-knoxcall-route': 'orders' },
    });
    expect([status, JSON.parse(text).error.type]).toEqual([400, 'validation_error']);
    expect(got).toEqual([]);
  });

  it.each(['/a/../b', '/a%2Fb', '/a/./b', '/...', '/a..b', '/%C3%A9?x=%zz', '/x?../..', '/a;b=c'])(
    'that stays there goes on as it is: %s',
    async (path) => {
      const { status } = await call(path, { headers: { 'x-knoxcall-route': 'orders' } });
      const [before, after] = path.split('?');
      expect([status, got[0]?.url]).toEqual([200, `/base${before}?b=1${after ? `&${after}` : ''}`]);
    },
  );
});
