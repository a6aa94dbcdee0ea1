import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  DEPLOYMENT_ID,
  KC_TEXT,
  type ProxyFixture,
  REQUEST_ID,
  startProxyFixture,
} from '../../testing/proxy-fixture.js';

let proxy: ProxyFixture;
beforeAll(async () => {
  proxy = await startProxyFixture();
});
afterAll(() => proxy.close());
afterEach(() => proxy.reset());

const URL_HEADER = 'x-knox-proxy-url';
const JSON_TYPE = { 'content-type': 'application/json' };

describe('what goes upstream', () => {
  test('method, path, both queries, headers and body', async () => {
    await proxy.call({
      method: 'PATCH',
      path: '/v1/proxy?b=2&c=%20x',
      headers: {
        [URL_HEADER]: 'https://api.example.com/a/b?a=1',
        'content-type': 'application/json',
        'x-own': 'v',
      },
      body: '{"n":1e400}',
    });
    expect(proxy.seen).toHaveLength(1);
    expect(proxy.seen[0]).toMatchObject({ method: 'PATCH', url: '/a/b?a=1&b=2&c=%20x' });
    expect(proxy.seen[0]!.headers).toMatchObject({
      host: `api.example.com:${proxy.upstreamPort}`,
      'x-own': 'v',
      'content-length': '11',
    });
    expect(proxy.seen[0]!.body.toString()).toBe('{"n":1e400}');
  });

  test.each(['GET', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY', 'PURGE', 'TRACE'])('%s', async (method) => {
    await proxy.call({ method });
    expect(proxy.seen[0]?.method).toBe(method);
    expect(proxy.seen[0]?.headers).not.toHaveProperty('content-type');
  });

  test.each(['DELETE', 'OPTIONS', 'GET'])('P04: a chunked %s keeps its whole body', async (method) => {
    const modes: Record<string, string>[] = [{}, { 'x-knox-proxy-mode': 'transparent' }];
    for (const mode of modes) {
      proxy.seen.length = 0;
      await proxy.call({
        method,
        headers: { 'transfer-encoding': 'chunked', ...JSON_TYPE, ...mode },
        body: '{"a":1}',
      });
      expect(proxy.seen[0]?.body.toString()).toBe('{"a":1}');
    }
  });

  test('P05: Connection names what is for this hop, and cannot take away what we add', async () => {
    await proxy.call({
      headers: { connection: 'x-hop, via, x-request-id', 'x-hop': '1', 'x-stays': '1' },
    });
    const { headers } = proxy.seen[0]!;
    expect(headers).not.toHaveProperty('x-hop');
    expect(headers).toMatchObject({ 'x-stays': '1', via: `1.1 knoxcall-${DEPLOYMENT_ID}` });
  });

  test('P06: credentials, identity and hop-by-hop headers stay here', async () => {
    const stripped = {
      'keep-alive': '1',
      te: 'trailers',
      trailer: 'x',
      trailers: 'x',
      'proxy-authorization': 'x',
      'proxy-authenticate': 'x',
      'proxy-connection': 'x',
      'x-knox-anything': 'x',
      'x-knoxcall-key': 'x',
      dpop: 'x',
      'x-idempotency-key': 'x',
      'knoxcall-version': '2026-08-05',
      'x-knoxcall-telemetry': 'x',
      forwarded: 'x',
      'x-forwarded-for': 'x',
      'x-forwarded-host': 'x',
      'x-forwarded-proto': 'x',
      'x-forwarded-client-cert': 'x',
      'x-forwarded-tls-client-cert-info': 'x',
      'client-cert': 'x',
      'client-cert-chain': 'x',
      'cloudfront-viewer-cert-sha256': 'x',
      'x-amzn-mtls-clientcert-leaf': 'x',
      expect: '100-continue',
    };
    await proxy.call({ headers: { ...stripped, accept: 'text/html', 'User-Agent': 'own/1' } });
    const { headers } = proxy.seen[0]!;
    for (const name of [...Object.keys(stripped), 'authorization', 'x-knox-proxy-url']) {
      expect(headers).not.toHaveProperty(name);
    }
    expect(headers).toMatchObject({
      host: `api.example.com:${proxy.upstreamPort}`,
      accept: 'text/html',
      'user-agent': 'own/1',
    });
  });

  test('P06: an x-api-key of ours stays, another one passes', async () => {
    for (const [key, passed] of [
      ['tk_live_full', undefined],
      ['sk-upstream', 'sk-upstream'],
    ]) {
      await proxy.call({ headers: { 'x-api-key': key! } });
      expect(proxy.seen.pop()!.headers['x-api-key']).toBe(passed);
    }
    await proxy.call({ key: null, headers: { 'X-API-Key': 'tk_live_full' } });
    expect(proxy.seen.pop()!.headers).not.toHaveProperty('x-api-key');
    for (const key of ['kc_live_x', 'AKEx_y', 'tk_test_x']) {
      expect((await proxy.call({ headers: { 'x-api-key': key } })).status).toBe(400);
    }
    expect(proxy.seen).toEqual([]);
  });

  test.each<Record<string, string>>([{}, { 'x-knox-proxy-mode': 'transparent' }])(
    'X-Knox-Upstream-Authorization is the upstream’s Authorization, verbatim, and stands nowhere else: %j',
    async (mode) => {
      await proxy.call({
        headers: {
          ...mode,
          connection: 'authorization',
          'X-Knox-Upstream-Authorization': 'Basic  canary:{{token:tok_pan}}==',
        },
        body: '{}',
      });
      const { headers, rawHeaders } = proxy.seen[0]!;
      expect(headers['authorization']).toBe('Basic  canary:{{token:tok_pan}}==');
      expect(headers).not.toHaveProperty('x-knox-upstream-authorization');
      expect(rawHeaders.filter((name) => name.toLowerCase() === 'authorization')).toHaveLength(1);
      expect(JSON.stringify(await proxy.row())).not.toContain('canary');
    },
  );

  test('cookies of ours stay, others pass', async () => {
    await proxy.call({ headers: { cookie: 'a=1; knox_refresh=s; __Host-knox_csrf=s; b=2' } });
    expect(proxy.seen[0]!.headers.cookie).toBe('a=1; b=2');
    await proxy.call({ headers: { cookie: 'knox_refresh=s' } });
    expect(proxy.seen[1]!.headers).not.toHaveProperty('cookie');
  });

  test('repeated headers stay repeated, and our hop is appended to Via', async () => {
    await proxy.call({ headers: { 'x-many': ['1', '2'], via: ['1.1 a', '1.1 b'] } });
    const { rawHeaders, headers } = proxy.seen[0]!;
    expect(rawHeaders.filter((name) => name === 'x-many')).toHaveLength(2);
    expect(headers.via).toBe(`1.1 a, 1.1 b, 1.1 knoxcall-${DEPLOYMENT_ID}`);
  });

  test('headers are never templated', async () => {
    await proxy.call({ headers: { 'x-own': '{{ token: cards.tok_pan }}' } });
    expect(proxy.seen[0]!.headers['x-own']).toBe('{{ token: cards.tok_pan }}');
    expect(proxy.detokenized).toEqual([]);
  });

  test('a body without Content-Type is JSON; no body, no Content-Type; transparent adds none', async () => {
    await proxy.call({ body: '{"a":"{{token:cards.tok_pan}}"}' });
    expect(proxy.seen[0]!.headers['content-type']).toBe('application/json');
    expect(proxy.seen[0]!.body.toString()).toBe('{"a":"4111111111111111"}');
    await proxy.call({});
    expect(proxy.seen[1]!.headers).not.toHaveProperty('content-type');
    await proxy.call({
      headers: { 'x-knox-proxy-mode': 'transparent' },
      body: '{"a":"{{token:cards.tok_pan}}"}',
    });
    expect(proxy.seen[2]!.headers).not.toHaveProperty('content-type');
    expect(proxy.seen[2]!.body.toString()).toBe('{"a":"{{token:cards.tok_pan}}"}');
  });

  test('P15: binary and compressed bodies are byte-equal, short and long, sized and chunked', async () => {
    const long = Buffer.alloc(300_000, Buffer.from([0, 255, 123, 123, 10, 13]));
    const cases: [Record<string, string>, Buffer][] = [
      [{ 'content-type': 'application/octet-stream' }, long.subarray(0, 100)],
      [{ 'content-type': 'application/octet-stream' }, long],
      [{ 'content-type': 'application/octet-stream', 'transfer-encoding': 'chunked' }, long],
      [{ 'content-type': 'application/json', 'content-encoding': 'gzip' }, gzipSync('{"a":"{{token:x}}"}')],
      [{ 'content-type': 'multipart/form-data; boundary=x' }, Buffer.from('--x {{token:x}}')],
      [{ 'content-type': 'text/plain', 'x-knox-proxy-mode': 'transparent' }, long],
    ];
    for (const [headers, body] of cases) {
      proxy.seen.length = 0;
      await proxy.call({ headers, body });
      expect(proxy.seen[0]!.body.equals(body)).toBe(true);
      if (headers['transfer-encoding'] === undefined) {
        expect(proxy.seen[0]!.headers['content-length']).toBe(String(body.length));
      }
    }
  });

  test('P16: a client that waits for leave gets it after the checks, and never on a refusal', async () => {
    const head = (key: string) =>
      `POST /v1/proxy HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n${URL_HEADER}: https://api.example.com/\r\n` +
      'expect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n';
    const refused = await proxy.raw(head('tk_live_wrong'));
    expect(String((await once(refused, 'data'))[0])).toMatch(/^HTTP\/1\.1 401 /);
    refused.destroy();
    const invited = await proxy.raw(head('tk_live_full'));
    expect(String((await once(invited, 'data'))[0])).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    invited.write('{}');
    expect(String((await once(invited, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /);
    invited.destroy();
    expect(proxy.seen[0]!.body.toString()).toBe('{}');
  });

  test('redaction that must read the body asks for an uncompressed one', async () => {
    proxy.plan = { hasBodyRules: true, body: [] };
    await proxy.call({ headers: { 'accept-encoding': 'gzip, br' } });
    expect(proxy.seen[0]!.headers['accept-encoding']).toBe('identity');
  });
});

describe('templates', () => {
  test('P09, P10: values are escaped where they stand', async () => {
    await proxy.call({
      headers: { ...JSON_TYPE, [URL_HEADER]: 'https://api.example.com/?q={{token:cards.tok_odd}}' },
      path: '/v1/proxy?p=%7B%7Btoken:tok_pan%7D%7D',
      body: '{"v":"{{ token: cards.tok_odd }}"}',
    });
    expect(JSON.parse(proxy.seen[0]!.body.toString())).toEqual({ v: 'a"b\\c\n&=é' });
    expect(proxy.seen[0]!.url).toBe('/?q=a%22b%5Cc%0A%26%3D%C3%A9&p=4111111111111111');
    expect(proxy.detokenized).toEqual([
      { vault: 'cards', token: 'tok_odd' },
      { vault: null, token: 'tok_pan' },
      { vault: 'cards', token: 'tok_odd' },
    ]);
  });

  test.each([
    [
      'application/x-www-form-urlencoded',
      'n=1+1&v={{+token:+cards.tok_odd+}}',
      'n=1+1&v=a%22b%5Cc%0A%26%3D%C3%A9',
    ],
    ['text/xml', '<v>{{ token: cards.tok_odd }}</v>', '<v>a"b\\c\n&=é</v>'],
  ])('a body of %s is rendered, its length set anew', async (type, body, rendered) => {
    await proxy.call({ headers: { 'content-type': type }, body });
    expect(proxy.seen[0]!.body.toString()).toBe(rendered);
    expect(proxy.seen[0]!.headers).toMatchObject({
      'content-type': type,
      'content-length': String(Buffer.byteLength(rendered)),
    });
    expect(proxy.detokenized).toEqual([{ vault: 'cards', token: 'tok_odd' }]);
  });

  test('P14: template text inside a value is not rendered again', async () => {
    await proxy.call({ headers: JSON_TYPE, body: '["{{token:tok_template}}"]' });
    expect(proxy.seen[0]!.body.toString()).toBe('["{{ token: cards.tok_pan }}"]');
  });

  test('query templates work beside a streamed body', async () => {
    await proxy.call({
      headers: { 'content-type': 'image/png', [URL_HEADER]: 'https://api.example.com/?q={{token:tok_pan}}' },
      body: Buffer.alloc(100_000, 7),
    });
    expect(proxy.seen[0]!.url).toBe('/?q=4111111111111111');
    expect(proxy.seen[0]!.body).toHaveLength(100_000);
  });
});

describe('sealed texts', () => {
  test('are opened where a string is nothing else, made, and read from the header, which goes no further', async () => {
    const document = Buffer.from('{"pan":["4242"]}').toString('base64');
    const answer = await proxy.call({
      method: 'POST',
      headers: { ...JSON_TYPE, 'x-knox-encrypted': document },
      body: `["${KC_TEXT}","{{ encrypted | json: a:b }}","{{ encrypted | json: $.pan[0] }} {{ token: tok_pan }}"]`,
    });
    expect(answer.status).toBe(200);
    const [seen] = proxy.seen;
    expect(seen!.body.toString()).toBe(
      `[{"a":[1e400]},${JSON.stringify('sealed<{"a":"b"}>')},"4242 4111111111111111"]`,
    );
    expect(seen!.headers).not.toHaveProperty('x-knox-encrypted');
    expect(JSON.stringify(await proxy.row())).not.toContain(document);
  });

  test('hold values that are not looked at again', async () => {
    await proxy.call({
      method: 'POST',
      headers: JSON_TYPE,
      body: `["${KC_TEXT.replace('kc:1:j', 'kc:1:s')}"]`,
    });
    expect(proxy.seen[0]!.body.toString()).toBe('["opened {{ token: cards.tok_pan }}"]');
    expect(proxy.detokenized).toEqual([]);
  });

  test('go on as they are in transparent mode', async () => {
    const body = `["${KC_TEXT}","{{ encrypted | json: $.a }}"]`;
    await proxy.call({
      method: 'POST',
      headers: { ...JSON_TYPE, 'x-knox-proxy-mode': 'transparent', 'x-knox-encrypted': 'e30=' },
      body,
    });
    expect(proxy.seen[0]!.body.toString()).toBe(body);
    expect(proxy.seen[0]!.headers).not.toHaveProperty('x-knox-encrypted');
  });
});

describe('P19: a client that leaves takes its upstream call with it', () => {
  test.each(['before the head', 'in the middle of the body', 'during the upload'])('%s', async (when) => {
    let arrived!: () => void;
    const isThere = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const lost = new Promise<void>((resolve) => {
      proxy.upstream = (request, response) => {
        request.on('error', () => {});
        request.socket.once('close', () => resolve());
        if (when === 'in the middle of the body') response.write('x');
        arrived();
      };
    });
    const request = proxy.open({
      headers: {
        'x-knox-proxy-mode': 'transparent',
        ...(when === 'during the upload' ? { 'transfer-encoding': 'chunked' } : {}),
      },
    });
    request.on('error', () => {});
    if (when === 'during the upload') request.write('x');
    else request.end();
    await isThere;
    if (when === 'in the middle of the body')
      await once((await once(request, 'response'))[0] as IncomingMessage, 'data');
    request.destroy();
    await lost;
    const row = await proxy.row();
    expect(row.error).toBe('client_disconnected');
    expect(row.statusCode).toBe(when === 'in the middle of the body' ? 200 : 499);
  });

  test('while its body is being collected', async () => {
    const request = proxy.open({ headers: { ...JSON_TYPE, 'content-length': '10' } });
    request.on('error', () => {});
    request.write('{');
    await new Promise<void>((resolve) =>
      request.once('socket', (socket) => socket.once('connect', () => resolve())),
    );
    await new Promise((resolve) => setImmediate(resolve));
    request.destroy();
    expect(await proxy.row()).toMatchObject({ statusCode: 499, error: 'client_disconnected' });
    expect(proxy.seen).toEqual([]);
  });
});

describe('the log row', () => {
  test('says who, what and where, never a query or a value', async () => {
    await proxy.call({
      method: 'PUT',
      path: '/v1/proxy?p=canary1',
      headers: {
        ...JSON_TYPE,
        [URL_HEADER]: 'https://api.example.com/charge/canary?k=canary2&t={{token:tok_pan}}',
        'x-knoxcall-origin': 'sdk-intercept',
      },
      body: '{"v":"canary3 {{token:tok_pan}}"}',
    });
    const row = await proxy.row();
    expect(row).toEqual({
      scope: { tenantId: 'acme', sandbox: false },
      requestId: REQUEST_ID,
      routeId: null,
      matchedClientId: null,
      identificationMethod: 'api_key',
      method: 'PUT',
      statusCode: 200,
      srcIp: '127.0.0.1',
      environment: null,
      tsMs: expect.any(Number),
      path: '/charge/[REDACTED]',
      latencyMs: 0,
      upstreamHost: 'api.example.com',
      error: null,
      rateLimited: false,
      proxyMode: 'ephemeral',
      clientOrigin: 'sdk_intercept',
      echo: { guarded: 0, notGuarded: 0 },
      signatureValid: null,
      warning: null,
    });
    expect(JSON.stringify(row)).not.toMatch(/canary|4111/);
  });
});

test('a connection serves one call after another, refused uploads included', async () => {
  const text = (body: string, extra = '') =>
    `POST /v1/proxy HTTP/1.1\r\nhost: x\r\nauthorization: Bearer tk_live_full\r\n${URL_HEADER}: https://api.example.com/\r\n` +
    `${extra}content-length: ${body.length}\r\n\r\n${body}`;
  const socket = await proxy.raw(
    text('{"a":1}') +
      text('x'.repeat(200_000), 'x-knox-timeout-ms: 0\r\n') +
      text('{"a":2}', 'connection: close\r\n'),
  );
  const through = new PassThrough();
  socket.pipe(through);
  let answers = '';
  for await (const chunk of through) answers += String(chunk);
  expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400', 'HTTP/1.1 200']);
  expect(proxy.seen.map((one) => one.body.toString())).toEqual(['{"a":1}', '{"a":2}']);
});
