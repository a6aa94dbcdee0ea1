import { request } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startWholeServer, UPSTREAM_HOST, type WholeServer } from '../../testing/whole-server.js';

const VALUE = 'sk-live-0123456789abcdef';

let server: WholeServer;

beforeAll(async () => {
  server = await startWholeServer();
  const allowed_hosts = [UPSTREAM_HOST];
  for (const secret of [
    { name: 'Pay key', value: VALUE, allowed_hosts },
    { name: 'SCHLÜSSEL', value: 'umlaut-value', allowed_hosts },
    { name: 'TWO_LINES', value: 'one\r\nx-evil: 1', allowed_hosts },
    { name: 'NOT_ASCII', value: 'ключ', allowed_hosts },
    { name: 'PATHLIKE', value: 'charge-42', allowed_hosts },
    { name: 'ELSEWHERE', value: 'elsewhere', allowed_hosts: ['other.example.com'] },
    { name: 'UNBOUND', value: 'unbound' },
    { name: 'ENDED', value: 'ended', allowed_hosts, expires_at: '2020-01-01T00:00:00Z' },
    {
      name: 'STRICT',
      value: 'strict',
      allowed_hosts,
      expires_at: '2020-01-01T00:00:00Z',
      strict_expiry_enforcement: true,
    },
  ])
    expect((await server.api('POST', '/v1/secrets', secret)).status).toBe(201);
});
afterAll(() => server.close());
afterEach(() => {
  server.answer = null;
});

async function call(headers: Record<string, string>, path = '/charge') {
  const response = await fetch(`http://127.0.0.1:${server.port}/v1/proxy`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${server.bootstrap.live_api_key}`,
      'x-knox-proxy-url': `${server.target}${path}`,
      'content-type': 'application/json',
      ...headers,
    },
    body: '{"a":1}',
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** The heads that the upstream got, each header by each of its lines. */
async function headOf(headers: Record<string, string>): Promise<readonly string[]> {
  let lines: string[] = [];
  server.answer = (request, response) => {
    lines = request.rawHeaders.flatMap((name, i) =>
      i % 2 === 0 ? [`${name.toLowerCase()}: ${request.rawHeaders[i + 1]}`] : [],
    );
    response.end();
  };
  const { status, text } = await call(headers);
  expect([status, text]).toEqual([200, '']);
  return lines;
}

const authorizationOf = async (headers: Record<string, string>) =>
  (await headOf(headers)).filter((line) => line.startsWith('authorization:'));

const named = (name: string) => ({ 'x-knox-upstream-auth-secret': name });

describe('X-Knox-Upstream-Auth-Secret', () => {
  it('is the Authorization of the upstream, as Bearer unless it is told otherwise', async () => {
    expect(await authorizationOf(named('Pay_key'))).toEqual([`authorization: Bearer ${VALUE}`]);
    expect(await authorizationOf({ ...named('PAY_KEY'), 'x-knox-upstream-auth-scheme': 'Token' })).toEqual([
      `authorization: Token ${VALUE}`,
    ]);
    expect(await authorizationOf({ ...named('pay_key'), 'x-knox-upstream-auth-scheme': 'None' })).toEqual([
      `authorization: ${VALUE}`,
    ]);
  });

  it('is sent in transparent mode too, and none of our headers is', async () => {
    const lines = await headOf({ ...named('Pay_key'), 'x-knox-proxy-mode': 'transparent' });
    expect(lines).toContain(`authorization: Bearer ${VALUE}`);
    expect(lines.filter((line) => line.startsWith('x-knox'))).toEqual([]);
  });

  it('cannot be taken away by Connection', async () => {
    let seen: string | undefined;
    server.answer = (incoming, response) => {
      seen = incoming.headers.authorization;
      response.end();
    };
    await new Promise<void>((resolve, reject) => {
      const sent = request({
        port: server.port,
        host: '127.0.0.1',
        method: 'POST',
        path: '/v1/proxy',
        headers: {
          authorization: `Bearer ${server.bootstrap.live_api_key}`,
          'x-knox-proxy-url': `${server.target}/charge`,
          connection: 'close, authorization',
          ...named('Pay_key'),
        },
      });
      sent.on('response', (response) => response.resume().on('end', resolve));
      sent.on('error', reject);
      sent.end();
    });
    expect(seen).toBe(`Bearer ${VALUE}`);
  });

  it('has a name of any letters, in UTF-8', async () => {
    const inHeader = Buffer.from('schlüssel').toString('latin1');
    expect(await authorizationOf(named(inHeader))).toEqual(['authorization: Bearer umlaut-value']);
  });

  it('is sent after its end, unless that is strict', async () => {
    expect(await authorizationOf(named('ENDED'))).toEqual(['authorization: Bearer ended']);
  });

  it.each([
    [400, 'secret_not_found', 'NOBODY'],
    [400, 'secret_expired', 'STRICT'],
    [400, 'validation_error', 'TWO_LINES'],
    [400, 'validation_error', 'NOT_ASCII'],
    [403, 'egress_blocked', 'ELSEWHERE'],
    [403, 'egress_blocked', 'UNBOUND'],
  ])('%i %s: %s', async (status, type, name) => {
    let isCalled = false;
    server.answer = (_request, response) => {
      isCalled = true;
      response.end();
    };
    const answer = await call(named(name));
    expect([answer.status, JSON.parse(answer.text).error.type]).toEqual([status, type]);
    expect(answer.text).not.toContain('evil');
    expect(isCalled).toBe(false);
  });

  it('is of one mode', async () => {
    const answer = await call({
      ...named('Pay_key'),
      authorization: `Bearer ${server.bootstrap.test_api_key}`,
    });
    expect([answer.status, JSON.parse(answer.text).error.type]).toEqual([400, 'secret_not_found']);
  });

  it('comes back in no answer, head or body', async () => {
    server.answer = (request, response) => {
      response.setHeader('x-seen', request.headers.authorization ?? '');
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ saw: request.headers.authorization }));
    };
    const answer = await call(named('Pay_key'));
    expect(answer.text).toBe('{"saw":"Bearer {{secret:Pay_key}}"}');
    expect(answer.headers.get('x-seen')).toBe('Bearer {{secret:Pay_key}}');
    expect(answer.headers.get('x-knox-echo-guarded')).toBe('2');
  });

  it('stands in no log row, not even where its value stands in the path', async () => {
    const answer = await call(named('PATHLIKE'), '/charge-42');
    const read = () => server.api('GET', `/v1/logs/${answer.headers.get('x-request-id')}`);
    await expect.poll(async () => (await read()).status).toBe(200);
    expect((await read()).json.data.path).toBe('/[SECRET]');
  });

  it('is a mask in a dry run', async () => {
    const answer = await call({ ...named('Pay_key'), 'x-knox-dry-run': '1' });
    expect(answer.status).toBe(200);
    expect(answer.text).not.toContain(VALUE);
    const { data } = JSON.parse(answer.text);
    expect(data).toMatchObject({ would_send: true, headers: { authorization: '[SECRET]' } });
    const refused = JSON.parse((await call({ ...named('UNBOUND'), 'x-knox-dry-run': '1' })).text).data;
    expect(refused).toMatchObject({ would_send: false, refusal: { type: 'egress_blocked', status: 403 } });
  });
});
