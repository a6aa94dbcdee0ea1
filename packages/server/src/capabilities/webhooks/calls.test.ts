import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { startWholeServer, type WholeServer } from '../../testing/whole-server.js';

interface Event {
  readonly event: string;
  readonly data: Record<string, never> & {
    readonly request: Record<string, unknown>;
    readonly response: Record<string, unknown> | null;
  };
}

let whole: WholeServer;
const events: Event[] = [];

beforeAll(async () => {
  whole = await startWholeServer();
  whole.answer = async (request, response) => {
    const body = await textOf(request);
    if (request.url === '/hook') {
      events.push(JSON.parse(body));
      response.end();
    } else if (request.url?.startsWith('/broken')) response.writeHead(503).end('broken');
    else response.writeHead(200, { 'content-type': 'application/json', 'set-cookie': 'a=b' }).end(body);
  };
});
beforeEach(() => {
  events.length = 0;
});
afterAll(() => whole.close());

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function make(body: Record<string, unknown>): Promise<string> {
  const url = `${whole.target}/hook`;
  const { status, json } = await whole.api('POST', '/v1/webhooks', { name: 'calls', url, ...body });
  expect(status).toBe(201);
  return json.data.id;
}

async function proxied(path: string, body: unknown, headers: Record<string, string> = {}): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${whole.port}/v1/proxy?q=hidden`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${whole.bootstrap.live_api_key}`,
      'x-knox-proxy-url': `${whole.target}${path}`,
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(body),
  });
  await answer.text();
  return answer.status;
}

it('tells of a call before it is forwarded and when it is over, with what was asked for', async () => {
  const id = await make({
    event_types: ['request.received', 'request.success', 'request.error', 'request.completed'],
    include_response_body: true,
    include_headers: true,
  });
  await whole.api('POST', '/v1/vaults', { name: 'cards', token_format: 'pan' });
  const made = await whole.api('POST', '/v1/vaults/cards/tokens', { value: '4111111111111111' });
  const template = `{{ token: cards.${made.json.data.token} }}`;
  expect(await proxied('/orders', { card: template }, { 'x-api-key': 'foreign', 'x-tag': 'seen' })).toBe(200);
  await expect.poll(() => events.length, { timeout: 20_000 }).toBe(3);
  const of = (type: string) => events.find(({ event }) => event === type)!;
  expect(events.map(({ event }) => event).sort()).toEqual([
    'request.completed',
    'request.received',
    'request.success',
  ]);
  const { data } = of('request.completed');
  expect(data).toMatchObject({
    route_id: null,
    route_name: null,
    environment: null,
    proxy_mode: 'ephemeral',
  });
  expect(data.request).toMatchObject({
    method: 'POST',
    path: '/orders',
    ip: '127.0.0.1',
    body: JSON.stringify({ card: template }),
    body_truncated: false,
    headers: { 'x-tag': 'seen', 'x-api-key': '[SECRET]' },
  });
  expect(data.response).toMatchObject({
    status: 200,
    latency_ms: expect.any(Number),
    headers: { 'content-type': 'application/json', 'set-cookie': '[SECRET]' },
  });
  // The value that was put in came back, and stands nowhere.
  expect(JSON.stringify(events)).not.toContain('4111111111111111');
  expect(JSON.stringify(events)).not.toContain('hidden');
  expect(of('request.received').data.response).toBeNull();
  await whole.api('DELETE', `/v1/webhooks/${id}`);
});

it('tells errors by their class; a filter of routes leaves calls without one out', async () => {
  const types = ['request.server_error', 'request.client_error', 'request.error', 'request.success'];
  const id = await make({ event_types: types, include_request_body: false });
  const filtered = await make({
    event_types: ['request.completed'],
    route_filter: '6f1c1f0e-0000-4000-8000-000000000001',
  });
  expect(await proxied('/broken', {})).toBe(503);
  expect(await proxied('/orders', {}, { 'x-knox-timeout-ms': 'soon' })).toBe(400);
  await expect.poll(() => events.length, { timeout: 20_000 }).toBe(4);
  const seen = events.map(({ event, data }) => [event, data.response!['status'], data['error']]);
  expect(seen.sort()).toEqual([
    ['request.client_error', 400, 'validation_error'],
    ['request.error', 400, 'validation_error'],
    ['request.error', 503, null],
    ['request.server_error', 503, null],
  ]);
  expect(events.some(({ data }) => 'body' in data.request)).toBe(false);
  for (const webhook of [id, filtered]) await whole.api('DELETE', `/v1/webhooks/${webhook}`);
});

it('tells nothing of a dry run', async () => {
  const id = await make({ event_types: ['request.completed'] });
  expect(await proxied('/dry', {}, { 'x-knox-dry-run': '1' })).toBe(200);
  expect(await proxied('/orders', {})).toBe(200);
  await expect.poll(() => events.length, { timeout: 20_000 }).toBe(1);
  expect(events.map(({ data }) => data.request['path'])).toEqual(['/orders']);
  await whole.api('DELETE', `/v1/webhooks/${id}`);
});

it('tells no header of an answer where a value that was put in is not looked for, and redacts others as the log', async () => {
  const answer = whole.answer;
  whole.answer = async (request, response) => {
    if (request.url === '/hook') return answer?.(request, response);
    const { card } = JSON.parse(await textOf(request)) as { card: string };
    response.writeHead(201, { 'content-type': 'application/json', location: `/cards/${card}` }).end('{}');
  };
  await whole.api('POST', '/v1/vaults', { name: 'loud', token_format: 'generic', echo_guard: false });
  const made = await whole.api('POST', '/v1/vaults/loud/tokens', { value: 'spoken-aloud-71' });
  const rule = await whole.api('POST', '/v1/redaction-rules', {
    name: 'cards in the log',
    match: { type: 'builtin', value: 'pan' },
    action: 'mask',
    target: 'log',
  });
  expect(rule.status, JSON.stringify(rule.json)).toBe(201);
  const id = await make({
    event_types: ['request.completed'],
    include_headers: true,
    include_response_body: true,
  });
  const template = `{{ token: loud.${made.json.data.token} }}`;
  expect(await proxied('/loud', { card: template }, { 'x-card': '4111111111111111' })).toBe(201);
  expect(await proxied('/plain', { card: '4111111111111111' })).toBe(201);
  await expect.poll(() => events.length, { timeout: 20_000 }).toBe(2);
  const of = (path: string) => events.find(({ data }) => data.request['path'] === path)!.data;
  expect(of('/loud').response).toMatchObject({ status: 201, headers: {}, body: null });
  expect(of('/plain').response!['headers']).toMatchObject({
    location: expect.stringMatching(/^\/cards\/\D+$/),
  });
  expect(JSON.stringify(events)).not.toMatch(/spoken-aloud-71|4111111111111111/);
  await whole.api('DELETE', `/v1/webhooks/${id}`);
  await whole.api('DELETE', `/v1/redaction-rules/${rule.json.data.id}`);
  whole.answer = answer;
});
