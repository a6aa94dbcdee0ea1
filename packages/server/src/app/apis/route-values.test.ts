import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { callRoute, errorType, type RouteCall } from '../../testing/route-calls.js';
import { startWholeServer, UPSTREAM_HOST, type WholeServer } from '../../testing/whole-server.js';

const JSON_TYPE = { 'content-type': 'application/json' };
const VALUE = 'sk-live "quoted" & more';
const MiB = 1024 * 1024;

let server: WholeServer;
let made = 0;
const got: { url: string; headers: IncomingHttpHeaders; body: Buffer }[] = [];

beforeAll(async () => {
  server = await startWholeServer({ environment: { KNOX_BASE_DOMAIN: 'knox.example' } });
  await api('POST', '/v1/environments', { name: 'staging' });
  const { json } = await server.api('GET', '/v1/environments');
  const { id } = json.data.find(({ name }: { name: string }) => name === 'production');
  await api('PATCH', `/v1/environments/${id}`, {
    variables: { REGION: 'eu "west"', NESTED: '{{secret:API_KEY}}' },
  });
  for (const secret of [
    { name: 'API_KEY', value: VALUE },
    { name: 'PLAIN', value: 'plain-value' },
    { name: 'BROKEN', value: 'a\r\nX-Evil: 1' },
    { name: 'OLD', value: 'old-value', expires_at: '2020-01-01T00:00:00Z' },
    {
      name: 'STRICT',
      value: 'strict-value',
      expires_at: '2020-01-01T00:00:00Z',
      strict_expiry_enforcement: true,
    },
    { name: 'ELSEWHERE', value: 'other-value', allowed_hosts: ['other.example.com'] },
    { name: 'PINNED', value: 'pinned-value', allowed_hosts: [UPSTREAM_HOST] },
  ])
    await api('POST', '/v1/secrets', secret);
});
afterAll(() => server.close());
afterEach(() => {
  got.length = 0;
  server.answer = null;
});

async function api(method: string, path: string, body: object) {
  const { status, json } = await server.api(method, path, body);
  if (status >= 300) throw new Error(JSON.stringify(json));
  return json.data;
}

async function make(settings: object = {}): Promise<{ id: string; name: string }> {
  const name = `values-${++made}`;
  const { id } = await api('POST', '/v1/routes', { name, slug: name, target_base_url: server.target });
  if (Object.keys(settings).length > 0) await api('PATCH', `/v1/routes/${id}`, settings);
  return { id, name };
}

const call = (name: string, how: RouteCall = {}) =>
  callRoute(server, `/proxy/${name}/x?q=1`, {
    method: 'POST',
    ...how,
    headers: { ...JSON_TYPE, ...how.headers },
  });

/** What the upstream got, which answers with nothing unless told. */
async function sent(name: string, how: RouteCall = {}, reply = '') {
  server.answer = async (request, response) => {
    got.push({ url: request.url ?? '', headers: request.headers, body: await buffer(request) });
    response.setHeader('content-type', 'application/json').end(reply);
  };
  const answer = await call(name, how);
  expect([answer.status, answer.text.slice(0, 200)]).toEqual([200, expect.any(String)]);
  return { ...got[0]!, text: got[0]!.body.toString(), answer };
}

/** On the upstream's address, without TLS. */
async function startPlainUpstream() {
  const bodies: string[] = [];
  const plain = createServer(async (request, response) => {
    bodies.push((await buffer(request)).toString());
    response.end('{}');
  });
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  return {
    bodies,
    port: (plain.address() as AddressInfo).port,
    close() {
      plain.closeAllConnections();
      return new Promise((resolve) => plain.close(resolve));
    },
  };
}

it('an injected header stands in the place of the client’s, in whichever spelling that comes', async () => {
  const { name } = await make({ inject_headers_json: { 'X-Name': 'of the route', X_Other: 'too' } });
  const headers = { X_Name: 'forged', 'x-name': 'forged', 'x-other': 'forged', X_Near_Name: 'kept' };
  const { headers: seen } = await sent(name, { body: '{}', headers });
  const named = Object.entries(seen).filter(([one]) => /^x[-_](name|other|near)/.test(one));
  expect(named.sort()).toEqual([
    ['x-name', 'of the route'],
    ['x_near_name', 'kept'],
    ['x_other', 'too'],
  ]);
});

describe('placeholders of the client’s body', () => {
  it('are secrets and variables, escaped where they stand, read once', async () => {
    const { name } = await make();
    const body = '{"a":"Bearer {{secret:api_key}}","r":"{{ var:REGION }}","n":"{{var:NESTED}}","x":1e400}';
    const { text } = await sent(name, { body });
    expect(text).toBe(
      `{"a":${JSON.stringify(`Bearer ${VALUE}`)},"r":"eu \\"west\\"","n":"{{secret:API_KEY}}","x":1e400}`,
    );
  });

  it.each(['PUT', 'PATCH'])('with %s too', async (method) => {
    const { name } = await make();
    expect((await sent(name, { method, body: '"{{secret:PLAIN}}"' })).text).toBe('"plain-value"');
  });

  it.each([
    ['GET', JSON_TYPE],
    ['DELETE', JSON_TYPE],
    ['POST', { 'content-type': 'application/octet-stream' }],
    ['POST', { ...JSON_TYPE, 'content-encoding': 'gzip' }],
  ])('not with %s of %o', async (method, headers) => {
    const { name } = await make();
    const body = '"{{secret:PLAIN}} {{var:NONE}}"';
    expect((await sent(name, { method, body, headers })).text).toBe(body);
  });

  it('in a form and a text, and of no other kind, nor in headers or the query', async () => {
    const { name } = await make();
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect((await sent(name, { headers: form, body: 'a=%7B%7Bsecret:API_KEY%7D%7D' })).text).toBe(
      `a=${encodeURIComponent(VALUE)}`,
    );
    got.length = 0;
    const text = { 'content-type': 'text/plain', 'x-own': '{{secret:PLAIN}}' };
    const ephemeral = '{{ token: cards.tok_x }} {{ encrypted | json: a:b }} {{secret:PLAIN}}';
    const seen = await sent(name, { headers: text, body: ephemeral });
    expect(seen.text).toBe('{{ token: cards.tok_x }} {{ encrypted | json: a:b }} plain-value');
    expect(seen.headers['x-own']).toBe('{{secret:PLAIN}}');
  });

  it.each([
    ['{{secret:NONE}}', 400, 'secret_not_found'],
    ['{{secret_id:00000000-0000-4000-8000-000000000001}}', 400, 'secret_not_found'],
    ['{{secret:STRICT}}', 400, 'secret_expired'],
    ['{{secret:ELSEWHERE}}', 403, 'egress_blocked'],
    ['{{var:NONE}}', 400, 'template_error'],
    ['{{secret:}}', 400, 'template_error'],
  ])('%s refuses the call', async (text, status, type) => {
    const { name } = await make();
    let isCalled = false;
    server.answer = () => {
      isCalled = true;
    };
    const answer = await call(name, { body: JSON.stringify([text]) });
    expect([answer.status, errorType(answer), isCalled]).toEqual([status, type, false]);
  });

  it('a secret that is bound to the host is sent to it, but not without TLS', async () => {
    const { name } = await make();
    expect((await sent(name, { body: '"{{secret:PINNED}}"' })).text).toBe('"pinned-value"');
    const plain = await startPlainUpstream();
    try {
      const target_base_url = `http://${UPSTREAM_HOST}:${plain.port}`;
      const { name: bare } = await make({ target_base_url });
      const { id, name: late } = await make({ inject_headers_json: { 'x-key': '{{secret:LATE}}' } });
      await api('PATCH', `/v1/routes/${id}`, { target_base_url });
      // Of that name only after the route was judged, so that the call alone can refuse it.
      await api('POST', '/v1/secrets', { name: 'LATE', value: 'late-value', allowed_hosts: [UPSTREAM_HOST] });
      for (const [route, body] of [
        [bare, '"{{secret:PINNED}}"'],
        [late, '{}'],
      ] as const) {
        const answer = await call(route, { body });
        expect([answer.status, errorType(answer)]).toEqual([403, 'egress_blocked']);
        expect(answer.text).toContain('over TLS only');
      }
      expect(plain.bodies).toEqual([]);
      expect((await call(bare, { body: '"{{secret:PLAIN}}"' })).status).toBe(200);
      expect(plain.bodies).toEqual(['"plain-value"']);
    } finally {
      await plain.close();
    }
  });

  it('an expired secret that is not strict is sent', async () => {
    const { name } = await make();
    expect((await sent(name, { body: '"{{secret:OLD}}"' })).text).toBe('"old-value"');
  });
});

describe('a long body', () => {
  const text = { 'content-type': 'text/plain' };

  it('goes on unread where nothing in it is to be rendered', async () => {
    const { name } = await make();
    const body = Buffer.alloc(12 * MiB, 'a {{other}} ');
    const { body: arrived } = await sent(name, { headers: text, body });
    expect(arrived.equals(body)).toBe(true);
  });

  it.each([
    ['in its first 10 MiB', 100],
    ['behind them', 11 * MiB],
  ])('with an expression %s is refused', async (_where, at) => {
    const { name } = await make();
    const body = Buffer.alloc(12 * MiB, 'a');
    body.write('{{secret:PLAIN}}', at);
    let hasWhole = false;
    server.answer = (request) => {
      request.resume().on('end', () => {
        hasWhole = true;
      });
    };
    const answer = await call(name, { headers: text, body });
    expect([answer.status, errorType(answer), hasWhole]).toEqual([413, 'payload_too_large', false]);
  });

  it('is refused where the route changes it', async () => {
    const { name } = await make({ inject_body_json: { a: 1 } });
    const answer = await call(name, { body: Buffer.alloc(11 * MiB, ' ') });
    expect([answer.status, errorType(answer)]).toEqual([413, 'payload_too_large']);
  });
});

describe('what a route injects', () => {
  it('takes the place of a client’s header, whatever its case', async () => {
    const { name } = await make({
      inject_headers_json: {
        Authorization: 'Bearer {{secret:PLAIN}}',
        'X-Own': 'a {{secret:PLAIN}} {{var:REGION}}',
      },
    });
    const { headers } = await sent(name, {
      body: '{}',
      headers: { authorization: 'Bearer theirs', 'x-OWN': 'theirs', 'x-other': 'stays' },
    });
    expect(headers).toMatchObject({
      authorization: 'Bearer plain-value',
      'x-own': 'a plain-value {{var:REGION}}',
      'x-other': 'stays',
    });
  });

  it('is refused where a value would split the head', async () => {
    const { name } = await make({ inject_headers_json: { 'X-Own': '{{secret:BROKEN}}' } });
    const answer = await call(name, { body: '{}' });
    expect([answer.status, errorType(answer)]).toEqual([400, 'validation_error']);
    expect(answer.text).not.toContain('Evil');
  });

  it('is merged into a JSON object and into nothing else', async () => {
    const { name } = await make({ inject_body_json: { a: { s: '{{secret:API_KEY}}' }, n: 1 } });
    expect((await sent(name, { body: '{"a":0,"b":1e400}' })).text).toBe(
      `{"a":${JSON.stringify({ s: VALUE })},"b":1e400,"n":1}`,
    );
    for (const body of ['[1]', '"a"', 'no json']) {
      got.length = 0;
      expect((await sent(name, { body })).text).toBe(body);
    }
    got.length = 0;
    expect((await sent(name, { method: 'DELETE', body: '{"a":0}' })).text).toBe('{"a":0}');
  });

  it('changes with the route and with the secret, at once', async () => {
    const secret = await api('POST', '/v1/secrets', { name: 'TURNS', value: 'first' });
    const { id, name } = await make({ inject_headers_json: { 'x-key': '{{secret:TURNS}}' } });
    expect((await sent(name, { body: '{}' })).headers['x-key']).toBe('first');
    await api('PUT', `/v1/secrets/${secret.id}/value`, { value: 'second' });
    got.length = 0;
    expect((await sent(name, { body: '{}' })).headers['x-key']).toBe('second');
    await api('PATCH', `/v1/routes/${id}`, { inject_headers_json: { 'x-key': 'third' } });
    got.length = 0;
    expect((await sent(name, { body: '{}' })).headers['x-key']).toBe('third');
  });

  it('does not come back: not in the answer, not in the log', async () => {
    const { name } = await make({ inject_headers_json: { 'x-key': '{{secret:PLAIN}}' } });
    const { answer } = await sent(
      name,
      { body: '"{{secret:API_KEY}}"' },
      JSON.stringify(['plain-value', VALUE]),
    );
    expect(JSON.parse(answer.text)).toEqual(['[SECRET]', '{{secret:API_KEY}}']);
    expect(answer.headers['x-knox-echo-guarded']).toBe('2');
    server.answer = (_request, response) => void response.end('{}');
    const { headers } = await callRoute(server, `/proxy/${name}/a/plain-value`);
    expect((await logRow(String(headers['x-request-id']))).path).toBe('/a/[SECRET]');
  });
});

const logRow = async (requestId: string) => {
  const read = () => server.api('GET', `/v1/logs/${requestId}`);
  await expect.poll(async () => (await read()).status).toBe(200);
  return (await read()).json.data;
};

describe('a log row', () => {
  it('tells route, environment and upstream', async () => {
    const { id, name } = await make();
    const { answer } = await sent(name, { body: '{}', headers: { 'x-knoxcall-origin': 'sdk-intercept' } });
    expect(await logRow(String(answer.headers['x-request-id']))).toMatchObject({
      route_id: id,
      environment: 'production',
      matched_client_id: null,
      identification_method: 'api_key',
      method: 'POST',
      status_code: 200,
      path: '/x',
      upstream_host: UPSTREAM_HOST,
      error: null,
      proxy_mode: 'route',
      client_origin: 'sdk_intercept',
      rate_limited: false,
    });
    await expect
      .poll(async () => (await server.api('GET', `/v1/routes/${id}/logs`)).json.data)
      .toMatchObject([{ path: '/x', environment: 'production', signature_valid: null }]);
  });

  it('warns of an expired secret that was used: of the route, of its caller', async () => {
    const warningOf = async (settings: object, body: string, status = 200) => {
      const { name } = await make(settings);
      const answer = await call(name, { body });
      expect(answer.status).toBe(status);
      const { warning, error } = await logRow(String(answer.headers['x-request-id']));
      return [warning, error];
    };
    const injecting = (text: string) => ({ inject_headers_json: { 'x-injected': text } });
    expect(await warningOf(injecting('{{secret:OLD}}'), '{}')).toEqual(['secret_expired', null]);
    expect(await warningOf({ inject_body_json: { a: '{{secret:OLD}}' } }, '{}')).toEqual([
      'secret_expired',
      null,
    ]);
    expect(await warningOf({}, '"{{secret:OLD}}"')).toEqual(['secret_expired', null]);
    expect(await warningOf(injecting('{{secret:PLAIN}}'), '"{{secret:PLAIN}}"')).toEqual([null, null]);
    expect(await warningOf({}, '"{{secret:STRICT}}"', 400)).toEqual([null, 'secret_expired']);
  });

  it('of a refusal says why', async () => {
    const { name } = await make({ ip_allowlist: ['192.0.2.1'] });
    const { headers } = await call(name, { body: '{}' });
    expect(await logRow(String(headers['x-request-id']))).toMatchObject({
      status_code: 403,
      error: 'ip_not_allowed',
      upstream_host: null,
    });
  });
});

describe('limits of a route', () => {
  it('are those of the environment, with a burst on top', async () => {
    const { name } = await make({
      rate_limit_enabled: true,
      rate_limit_requests: 2,
      rate_limit_window_sec: 3_600,
      rate_limit_burst: 1,
    });
    const remaining: unknown[] = [];
    for (let i = 0; i < 3; i++)
      remaining.push((await sent(name, { body: '{}' })).answer.headers['x-ratelimit-remaining']);
    expect(remaining).toEqual(['2', '1', '0']);
    const answer = await call(name, { body: '{}' });
    expect([answer.status, errorType(answer)]).toEqual([429, 'rate_limit_exceeded']);
    expect(JSON.parse(answer.text).error.limit).toMatchObject({
      scope: 'route',
      limit: 3,
      window_sec: 3_600,
    });
    expect(await logRow(String(answer.headers['x-request-id']))).toMatchObject({ rate_limited: true });
  });
});

describe('a client', () => {
  it('is let in by its address alone, signs its calls, and stands in the log', async () => {
    const secret = await api('POST', '/v1/secrets', { name: 'SIGNING', value: 'shared-key' });
    const client = await api('POST', '/v1/clients', { name: 'local', ip_address: '127.0.0.1' });
    await api('PATCH', `/v1/clients/${client.id}`, { signing_secret_id: secret.id });
    const { id, name } = await make({ requires_clients: true });
    const put = await server.api('PUT', `/v1/routes/${id}/environments/production/clients`, {
      client_ids: [client.id],
    });
    expect(put.status).toBe(200);
    const slug = (await server.api('GET', '/v1/account')).json.data.slug;
    const host = `${slug}.knox.example`;
    const { answer } = await sent(name, { key: null, host, body: '{}' });
    expect(await logRow(String(answer.headers['x-request-id']))).toMatchObject({
      matched_client_id: client.id,
      identification_method: 'ip',
    });
    await api('PATCH', `/v1/routes/${id}`, { require_signature: true });
    const unsigned = await call(name, { key: null, host, body: '{}' });
    expect([unsigned.status, errorType(unsigned)]).toEqual([403, 'signature_missing']);
    const timestamp = String(Math.floor(Date.now() / 1000));
    const signature = createHmac('sha256', 'shared-key')
      .update(`${timestamp}POST/x?q=1{"a":"b"}`)
      .digest('hex');
    const signed = { 'x-timestamp': timestamp, 'x-signature': signature };
    got.length = 0;
    const good = await sent(name, { key: null, host, body: '{"a":"b"}', headers: signed });
    expect(good.text).toBe('{"a":"b"}');
    const bad = await call(name, { key: null, host, body: '{"a":"c"}', headers: signed });
    expect([bad.status, errorType(bad)]).toEqual([403, 'invalid_signature']);
    await logRow(String(bad.headers['x-request-id']));
    const rows = (await server.api('GET', `/v1/routes/${id}/logs`)).json.data;
    expect(rows.map((row: { signature_valid: unknown }) => row.signature_valid)).toEqual([
      false,
      true,
      false,
      null,
    ]);
    await api('PATCH', `/v1/secrets/${secret.id}`, { expires_at: '2020-01-01T00:00:00Z' });
    const late = await sent(name, { key: null, host, body: '{"a":"b"}', headers: signed });
    expect((await logRow(String(late.answer.headers['x-request-id']))).warning).toBe('secret_expired');
    expect((await server.api('GET', `/v1/routes/${id}/logs`)).json.data[0].warning).toBe('secret_expired');
    // A credential that is sent is judged all the same.
    expect((await call(name, { host, key: 'tk_live_none_none', body: '{}' })).status).toBe(401);
  });
});

describe('an environment', () => {
  it('is the one that the header names, with its own target path and limits of method', async () => {
    const { id, name } = await make({ inject_headers_json: { 'x-env': 'production' } });
    await api('PUT', `/v1/routes/${id}/environments/staging`, {
      target_base_url: `${server.target}/staging`,
    });
    const seen = await sent(name, { body: '{}', headers: { 'x-knoxcall-environment': 'staging' } });
    expect([seen.url, seen.headers['x-env']]).toEqual(['/staging/x?q=1', 'production']);
    expect(seen.answer.headers['x-knox-environment']).toBe('staging');
  });
});
