import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callRoute, errorType } from '../../testing/route-calls.js';
import { startWholeServer, type WholeServer } from '../../testing/whole-server.js';

let server: WholeServer;
const heard: { event: string; data: Record<string, unknown> }[] = [];
let routeId: string;

beforeAll(async () => {
  server = await startWholeServer();
  server.answer = (request, response) => {
    if (request.url !== '/hook') {
      response.statusCode = request.url === '/fails' ? 503 : 200;
      response.end('ok');
      return;
    }
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      heard.push(JSON.parse(text));
      response.end();
    });
  };
  const route = await api('POST', '/v1/routes', {
    name: 'told',
    slug: 'told',
    target_base_url: server.target,
  });
  await api('POST', '/v1/routes', { name: 'untold', slug: 'untold', target_base_url: server.target });
  routeId = route.id;
  await api('POST', '/v1/webhooks', {
    name: 'calls',
    url: `${server.target}/hook`,
    event_types: ['request.received', 'request.success', 'request.server_error'],
    route_filter: [routeId],
  });
});
afterAll(() => server.close());

async function api(method: string, path: string, body: object) {
  const { status, json } = await server.api(method, path, body);
  if (status >= 300) throw new Error(JSON.stringify(json));
  return json.data;
}

describe('webhooks of a route', () => {
  it('hear of its calls alone, and which they were', async () => {
    await callRoute(server, '/proxy/untold/x');
    const good = await callRoute(server, '/proxy/told/x?q=hidden');
    const bad = await callRoute(server, '/proxy/told/fails');
    await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(4);
    const of = (id: unknown) =>
      heard
        .filter(({ data }) => data['request_id'] === id)
        .map(({ event, data }) => [event, data['response']]);
    expect(of(good.headers['x-request-id'])).toEqual(
      expect.arrayContaining([
        ['request.received', null],
        ['request.success', expect.objectContaining({ status: 200 })],
      ]),
    );
    expect(of(bad.headers['x-request-id'])).toEqual(
      expect.arrayContaining([
        ['request.received', null],
        ['request.server_error', expect.objectContaining({ status: 503 })],
      ]),
    );
    for (const { data } of heard)
      expect(data).toMatchObject({
        route_id: routeId,
        route_name: 'told',
        environment: 'production',
        proxy_mode: 'route',
        request: { path: expect.stringMatching(/^\/(x|fails)$/) },
      });
  }, 30_000);

  it('are told nothing that a route puts in, and no body that its field actions change', async () => {
    const card = '4242424242424242';
    const tracking = 'trk-51c0a7e29d';
    await api('POST', '/v1/secrets', { name: 'TRACKING', value: tracking });
    await api('POST', '/v1/vaults', { name: 'cards', token_format: 'pan' });
    const route = await api('POST', '/v1/routes', {
      name: 'acted',
      slug: 'acted',
      target_base_url: server.target,
      inject_headers_json: { 'X-Run': '{{secret:TRACKING}}' },
    });
    for (const [direction, action] of [
      ['request', 'tokenize'],
      ['response', 'detokenize'],
    ])
      await api('POST', `/v1/routes/${route.id}/actions`, {
        direction,
        action,
        selectors: ['$.card'],
        key_name: 'cards',
      });
    await api('POST', '/v1/webhooks', {
      name: 'all of it',
      url: `${server.target}/hook`,
      event_types: ['request.received', 'request.success'],
      route_filter: [route.id],
      include_headers: true,
      include_request_body: true,
      include_response_body: true,
    });
    const before = heard.length;
    const got: { headers: unknown; body: string }[] = [];
    const { answer } = server;
    server.answer = (request, response) => {
      if (request.url === '/hook') return answer?.(request, response);
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        got.push({ headers: request.headers, body });
        response.setHeader('content-type', 'application/json');
        response.end(body);
      });
    };
    const called = await callRoute(server, '/proxy/acted/x', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-run': 'of the caller' },
      body: JSON.stringify({ card }),
    });
    expect([called.status, JSON.parse(called.text)]).toEqual([200, { card }]);
    expect(got).toEqual([
      { headers: expect.objectContaining({ 'x-run': tracking }), body: expect.anything() },
    ]);
    expect(got[0]!.body).not.toContain(card);
    await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(before + 2);
    const told = heard.slice(before).map(({ data }) => data as { request: object; response: object | null });
    for (const { request } of told)
      expect(request).toMatchObject({ body: null, headers: { 'x-run': 'of the caller' } });
    expect(told.map(({ response }) => response)).toContainEqual(expect.objectContaining({ body: null }));
    expect(JSON.stringify(told)).not.toContain(card);
    expect(JSON.stringify(told)).not.toContain(tracking);
  }, 30_000);
});

describe('a route', () => {
  it('of live mode is none of the sandbox', async () => {
    const answer = await callRoute(server, '/proxy/told/x', { key: server.bootstrap.test_api_key });
    expect([answer.status, errorType(answer)]).toEqual([404, 'route_not_found']);
  });

  it('is called by who may invoke routes, and by nobody else', async () => {
    const keyWith = async (permission: string) =>
      (await api('POST', '/v1/api-keys', { name: permission, grants: [{ permission }] })).api_key;
    const invoking = await keyWith('routes:invoke');
    expect((await callRoute(server, '/proxy/told/x', { key: invoking })).status).toBe(200);
    const reading = await callRoute(server, '/proxy/told/x', { key: await keyWith('routes:read') });
    expect([reading.status, errorType(reading)]).toEqual([403, 'forbidden']);
  });

  it('counts for the limit of the key that calls it', async () => {
    const { api_key: key } = await api('POST', '/v1/api-keys', {
      name: 'limited',
      rate_limit_requests: 1,
      rate_limit_window_sec: 3_600,
    });
    expect((await callRoute(server, '/proxy/told/x', { key })).status).toBe(200);
    const second = await callRoute(server, '/proxy/told/x', { key });
    expect([second.status, JSON.parse(second.text).error.limit.scope]).toEqual([429, 'key']);
  });
});
