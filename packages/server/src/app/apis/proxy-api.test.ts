import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { PassThrough, Readable, Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import {
  DEPLOYMENT_ID,
  type ProxyFixture,
  REQUEST_ID,
  startProxyFixture,
} from '../../testing/proxy-fixture.js';

let proxy: ProxyFixture;
beforeAll(async () => {
  proxy = await startProxyFixture();
});
afterAll(() => proxy.close());
afterEach(() => {
  proxy.upstream = null;
  proxy.plan = { hasBodyRules: false, body: [] };
  proxy.logHasRoom = true;
  proxy.allowedHosts = [];
  for (const list of [proxy.rows, proxy.seen, proxy.detokenized]) list.length = 0;
});

const URL_HEADER = 'x-knox-proxy-url';
const JSON_TYPE = { 'content-type': 'application/json' };
const KC_TEXT = [
  'kc:1:j',
  Buffer.from('aaaaaaaa-0000-4000-8000-000000000001:bbbbbbbb-0000-4000-8000-000000000001:1').toString(
    'base64url',
  ),
  'A'.repeat(87),
  'B'.repeat(16),
  'C'.repeat(32),
  '$',
].join(':');
const errorOf = (answer: { body: Buffer }) => JSON.parse(answer.body.toString()).error;
/** The row is written when the answer is complete, which the client may see a turn earlier. */
const rowOf = async () => {
  while (proxy.rows.length === 0) await new Promise((resolve) => setImmediate(resolve));
  return proxy.rows[0]!;
};

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
      expect(JSON.stringify(await rowOf())).not.toContain('canary');
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
    expect(JSON.stringify(await rowOf())).not.toContain(document);
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

describe('what comes back', () => {
  test('status, headers and body, with our markers and without forged ones', async () => {
    proxy.upstream = (_request, response) => {
      response.writeHead(418, [
        'Content-Type',
        'text/plain',
        'Set-Cookie',
        'a=1',
        'Set-Cookie',
        'b=2',
        'X-Request-Id',
        'theirs',
        'X-Knox-Destination-Status',
        '200',
        'X-Knox-Other',
        'x',
        'Alt-Svc',
        'h3=":443"',
        'Connection',
        'X-Hop',
        'X-Hop',
        '1',
        'Proxy-Authenticate',
        'Basic',
        'X-Own',
        'v',
        'Content-Length',
        '2',
      ]);
      response.end('hi');
    };
    const answer = await proxy.call();
    expect(answer.status).toBe(418);
    expect(answer.body.toString()).toBe('hi');
    expect(answer.headers).toMatchObject({
      'x-knox-destination-status': '418',
      'x-request-id': REQUEST_ID,
      'x-knox-upstream-request-id': 'theirs',
      'x-own': 'v',
      'content-length': '2',
      'set-cookie': ['a=1', 'b=2'],
    });
    for (const name of ['x-knox-other', 'alt-svc', 'x-hop', 'proxy-authenticate']) {
      expect(answer.headers).not.toHaveProperty(name);
    }
  });

  test('a redirect is returned, not followed', async () => {
    proxy.upstream = (_request, response) =>
      response.writeHead(302, { location: '//169.254.169.254/' }).end();
    const answer = await proxy.call();
    expect([answer.status, answer.headers.location]).toEqual([302, '//169.254.169.254/']);
  });

  test.each<[string, Buffer]>([
    ['gzip', gzipSync('{"a":1}')],
    ['br', brotliCompressSync('{"a":1}')],
    // RFC 8878: a frame of one raw block.
    ['zstd', Buffer.from('28b52ffd2007390000' + '7b2261223a317d', 'hex')],
  ])('P17: an answer in %s passes unchanged, its headers too', async (coding, body) => {
    const sent = {
      'content-encoding': coding,
      'content-type': 'application/json',
      'content-length': String(body.length),
      etag: '"e"',
      vary: 'accept-encoding',
    };
    proxy.upstream = (_request, response) => response.writeHead(200, sent).end(body);
    for (const mode of [{}, { 'x-knox-proxy-mode': 'transparent' }] as Record<string, string>[]) {
      const answer = await proxy.call({ headers: { ...mode, 'accept-encoding': coding } });
      expect(answer.headers).toMatchObject(sent);
      expect(answer.body.equals(body)).toBe(true);
    }
  });

  test('P21: HEAD, 204 and 304 have no body', async () => {
    proxy.upstream = (request, response) => {
      const status = Number(new URL(request.url!, 'http://x').searchParams.get('s'));
      response.writeHead(status, status === 204 ? {} : { 'content-length': '5' });
      response.end(status === 200 ? 'hello' : undefined);
    };
    const head = await proxy.call({ method: 'HEAD', path: '/v1/proxy?s=200' });
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '5', 0]);
    for (const status of [204, 304]) {
      const answer = await proxy.call({ method: 'GET', path: `/v1/proxy?s=${status}` });
      expect([answer.status, answer.body.length]).toEqual([status, 0]);
    }
  });

  test('P18: a record is with the client before the upstream writes the next, and the head before the first', async () => {
    const steps: string[] = [];
    let clientHas!: () => void;
    const read = () =>
      new Promise<void>((resolve) => {
        clientHas = resolve;
      });
    let hasRead = read();
    proxy.upstream = async (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      await hasRead;
      for (const record of ['data: 1\n\n', 'data: 2\n\n']) {
        hasRead = read();
        steps.push('wrote');
        response.write(record);
        await hasRead;
      }
      response.end();
    };
    const request = proxy.open();
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    steps.push('head');
    clientHas();
    response.on('data', (chunk) => {
      steps.push(String(chunk).trim());
      clientHas();
    });
    await once(response, 'end');
    expect(steps).toEqual(['head', 'wrote', 'data: 1', 'wrote', 'data: 2']);
  });

  test('P20: an upstream that dies mid-body breaks the client’s stream', async () => {
    proxy.upstream = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.destroy());
    };
    const request = proxy.open();
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    await expect(once(response, 'end')).rejects.toThrow('aborted');
    expect(await rowOf()).toMatchObject({ statusCode: 200, error: 'upstream_unreachable' });
  });

  test('an answer through redaction', async () => {
    proxy.plan = {
      hasBodyRules: true,
      body: [
        new Transform({ transform: (chunk, _encoding, done) => done(null, String(chunk).toUpperCase()) }),
      ],
    };
    proxy.upstream = (_request, response) => response.end('secret');
    const answer = await proxy.call();
    expect([answer.status, answer.body.toString()]).toEqual([200, 'SECRET']);
    expect(answer.headers['x-knox-destination-status']).toBe('200');
  });

  test('redaction that fails on the last byte is 502 and says so in the log row', async () => {
    proxy.plan = {
      hasBodyRules: true,
      body: [
        new Transform({
          transform: (_chunk, _encoding, done) => done(),
          flush: (done) => done(new AppError('redaction_failed', 'The answer cannot be inspected')),
        }),
      ],
    };
    const answer = await proxy.call();
    expect([answer.status, errorOf(answer).type]).toEqual([502, 'redaction_failed']);
    expect(proxy.rows.at(-1)).toMatchObject({ statusCode: 502, error: 'redaction_failed' });
  });

  test('a redacted answer is over when the client has it: one who leaves before is in the log row', async () => {
    proxy.plan = {
      hasBodyRules: true,
      body: [
        new Transform({
          transform: (_chunk, _encoding, done) => done(),
          flush: (done) => done(null, Buffer.alloc(20_000_000)),
        }),
      ],
    };
    proxy.upstream = (request, response) => {
      request.resume();
      response.write('of no declared length');
      response.end();
    };
    const request = proxy.open();
    request.on('error', () => {}).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.on('error', () => {});
    await sleep(100);
    expect(proxy.rows).toEqual([]);
    request.destroy();
    await vi.waitFor(() => expect(proxy.rows.at(-1)?.error).toBe('client_disconnected'));
  });

  test('a client that leaves takes its pipelined calls with it', async () => {
    let begun = 0;
    let closed = 0;
    proxy.upstream = (request, response) => {
      begun++;
      request.resume();
      response.on('close', () => closed++);
    };
    const one = (path: string) =>
      `GET /v1/proxy HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tk_live_full\r\nX-Knox-Proxy-URL: https://api.example.com/${path}\r\n\r\n`;
    const socket = await proxy.raw(one('a') + one('b') + one('c'));
    await vi.waitFor(() => expect(begun).toBe(3));
    socket.destroy();
    await vi.waitFor(() => expect(closed).toBe(3));
    await vi.waitFor(() =>
      expect(proxy.rows.map(({ error }) => error)).toEqual(Array(3).fill('client_disconnected')),
    );
  });

  test('redaction that fails before its first byte is 502, after it a broken stream', async () => {
    const failure = () => new AppError('redaction_failed', 'The answer cannot be inspected');
    proxy.upstream = (_request, response) => response.end('body');
    proxy.plan = {
      hasBodyRules: true,
      body: [new Transform({ transform: (_c, _e, done) => done(failure()) })],
    };
    const answer = await proxy.call();
    expect([answer.status, errorOf(answer).type]).toEqual([502, 'redaction_failed']);
    expect(answer.headers).not.toHaveProperty('x-knox-destination-status');

    proxy.plan = {
      hasBodyRules: true,
      body: [
        new Transform({
          transform: (chunk, _e, done) => done(null, chunk),
          flush: (done) => done(failure()),
        }),
      ],
    };
    let finish!: () => void;
    proxy.upstream = (_request, response) => {
      response.write('body');
      finish = () => response.end();
    };
    const request = proxy.open();
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    await once(response, 'data');
    finish();
    await expect(once(response, 'end')).rejects.toThrow('aborted');
  });
});

describe('refusals: nothing is sent, no value is read, one row is left', () => {
  const fields: [string, number, string, Parameters<ProxyFixture['call']>[0], (RegExp | string)?][] = [
    ['no target', 400, 'missing_proxy_url', { headers: { [URL_HEADER]: '' } }],
    ['http target', 400, 'invalid_proxy_url', { headers: { [URL_HEADER]: 'http://api.example.com/' } }],
    [
      'target twice',
      400,
      'invalid_proxy_url',
      { headers: { [URL_HEADER]: ['https://a.example/', 'https://b.example/'] } },
    ],
    ...['0', '30001', '-1', '1e3', ' ', '1.5', 'abc', '+5', '0x10', '99999999999'].map(
      (value): [string, number, string, object] => [
        `timeout ${value}`,
        400,
        'validation_error',
        { headers: { 'x-knox-timeout-ms': value } },
      ],
    ),
    ['timeout twice', 400, 'validation_error', { headers: { 'x-knox-timeout-ms': ['1', '2'] } }],
    ['unknown mode', 400, 'validation_error', { headers: { 'x-knox-proxy-mode': 'opaque' } }],
    ['encrypted', 400, 'validation_error', { headers: { 'x-knox-encrypted': 'e30={' } }],
    ['encrypted twice', 400, 'validation_error', { headers: { 'x-knox-encrypted': ['e30=', 'e30='] } }],
    [
      'a path that the document has not',
      400,
      'template_error',
      { headers: { ...JSON_TYPE, 'x-knox-encrypted': 'e30=' }, body: '["{{ encrypted | json: $.a }}"]' },
    ],
    [
      'a ciphertext without crypto:decrypt',
      403,
      'forbidden',
      { key: 'tk_live_invoke', headers: JSON_TYPE, body: `["${KC_TEXT}"]` },
      'crypto:decrypt',
    ],
    ...['x-knox-upstream-auth-secret', 'x-knox-upstream-auth-scheme'].map(
      (name): [string, number, string, object, string] => [
        name,
        400,
        'validation_error',
        { headers: { [name]: '1' } },
        name,
      ],
    ),
    [
      'both upstream credentials',
      400,
      'validation_error',
      {
        headers: {
          'x-knox-upstream-auth-scheme': 'none',
          'x-knox-upstream-auth-secret': 'name',
          'x-knox-upstream-authorization': 'canary',
        },
      },
      'together with',
    ],
    [
      'empty upstream credential',
      400,
      'validation_error',
      { headers: { 'x-knox-upstream-authorization': '' } },
      'must not be empty',
    ],
    [
      'upstream credential twice',
      400,
      'validation_error',
      { headers: { 'x-knox-upstream-authorization': ['canary', 'canary'] } },
      /^(?!.*canary).*more than once/,
    ],
    [
      'P08: Content-Type twice',
      400,
      'validation_error',
      { headers: { 'content-type': ['application/json', 'text/plain'] }, body: '{}' },
    ],
    ['malformed JSON', 400, 'validation_error', { headers: JSON_TYPE, body: '{"a":{{token:tok_pan}}}' }],
    [
      'broken expression in a form',
      400,
      'template_error',
      { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'a={{token:tok_pan' },
    ],
    [
      'expression in text of another charset',
      400,
      'validation_error',
      { headers: { 'content-type': 'text/plain; charset=utf-16' }, body: '{{ token: tok_pan }}' },
      'charset',
    ],
    ['broken expression', 400, 'template_error', { headers: JSON_TYPE, body: '["{{ token: "]' }],
    [
      'encrypted expression',
      400,
      'template_error',
      { headers: JSON_TYPE, body: '["{{ encrypted | json: $.a }}"]' },
    ],
    ['secret placeholder', 400, 'template_error', { headers: JSON_TYPE, body: '["{{secret:A}}"]' }],
    [
      'P11: 21 references',
      400,
      'too_many_tokens',
      { headers: JSON_TYPE, body: `["${'{{token:tok_pan}}'.repeat(21)}"]` },
    ],
    ['without proxy:invoke', 403, 'forbidden', { key: 'tk_live_none' }, 'proxy:invoke'],
    [
      'without vaults:detokenize',
      403,
      'forbidden',
      { key: 'tk_live_invoke', headers: JSON_TYPE, body: '["{{token:tok_pan}}"]' },
      'vaults:detokenize',
    ],
    [
      'P12: one unknown token',
      404,
      'token_not_found',
      { headers: JSON_TYPE, body: '["{{token:tok_none}}","{{token:tok_pan}}"]' },
    ],
    ['disabled vault', 409, 'vault_disabled', { headers: JSON_TYPE, body: '["{{token:closed.tok_pan}}"]' }],
    ['loop', 508, 'loop_detected', { headers: { via: `1.1 x, 1.1 KnoxCall-${DEPLOYMENT_ID}` } }],
  ];

  test.each(fields)('%s', async (_name, status, type, options, text = '') => {
    const answer = await proxy.call(options);
    expect([answer.status, errorOf(answer).type]).toEqual([status, type]);
    expect(errorOf(answer)).toMatchObject({ request_id: REQUEST_ID, message: expect.stringMatching(text) });
    expect(answer.headers).not.toHaveProperty('x-knox-destination-status');
    expect(answer.headers['x-request-id']).toBe(REQUEST_ID);
    expect(proxy.seen).toEqual([]);
    expect(proxy.detokenized).toEqual([]);
    expect(await rowOf()).toMatchObject({ statusCode: status, error: type, proxyMode: 'ephemeral' });
  });

  test.each([
    ['authentication_required', null, {}],
    ['invalid_api_key', 'tk_live_wrong', {}],
  ] as const)('401 %s leaves no row', async (type, key, headers) => {
    const answer = await proxy.call({ key, headers });
    expect([answer.status, errorOf(answer).type]).toEqual([401, type]);
    expect(proxy.rows).toEqual([]);
  });

  test.each([
    ['ssrf_blocked', 403, 'internal.example.com'],
    ['dns_failure', 502, 'nowhere.example.com'],
  ])('%s comes before any body is read', async (type, status, host) => {
    const answer = await proxy.call({
      headers: { ...JSON_TYPE, [URL_HEADER]: `https://${host}/x` },
      body: '["{{ token: broken"]',
    });
    expect([answer.status, errorOf(answer).type]).toEqual([status, type]);
    expect(answer.body.toString()).not.toContain('10.1.2.3');
    expect(await rowOf()).toMatchObject({ error: type, upstreamHost: host, statusCode: status });
  });

  test.each<Record<string, string>>([{}, { 'x-knox-proxy-mode': 'transparent' }])(
    'egress_blocked comes before DNS and before any body is read: %j',
    async (mode) => {
      proxy.allowedHosts = ['*.example.org'];
      const answer = await proxy.call({
        headers: { ...JSON_TYPE, ...mode, [URL_HEADER]: 'https://nowhere.example.com/x' },
        body: '["{{ token: broken"]',
      });
      expect([answer.status, errorOf(answer).type]).toEqual([403, 'egress_blocked']);
      expect(answer.headers).not.toHaveProperty('x-knox-destination-status');
      expect(await rowOf()).toMatchObject({ error: 'egress_blocked', statusCode: 403 });
      proxy.allowedHosts = ['*.example.com'];
      expect((await proxy.call()).status).toBe(200);
    },
  );

  test('a name that the certificate lacks is upstream_tls_error', async () => {
    const url = `https://other-name.example.com:${proxy.upstreamPort}/`;
    const answer = await proxy.call({ headers: { [URL_HEADER]: url } });
    expect([answer.status, errorOf(answer).type]).toEqual([502, 'upstream_tls_error']);
    expect(proxy.seen).toEqual([]);
  });

  test('P13: another tenant’s token is an unknown one, in the same words', async () => {
    const body = (token: string) => ({ headers: JSON_TYPE, body: `["{{token:cards.${token}}}"]` });
    const foreign = await proxy.call(body('tok_foreign'));
    const unknown = await proxy.call(body('tok_none'));
    expect(foreign.body.toString()).toBe(unknown.body.toString());
    expect((await proxy.call({ ...body('tok_foreign'), key: 'tk_live_other' })).status).toBe(200);
  });

  test('502 when the upstream answers nothing, 502 when redaction refuses its head', async () => {
    proxy.upstream = (request) => request.socket.destroy();
    expect(errorOf(await proxy.call()).type).toBe('upstream_unreachable');
    proxy.upstream = null;
    proxy.plan = { hasBodyRules: true, body: [], headError: new AppError('redaction_failed', 'no') };
    expect(errorOf(await proxy.call()).type).toBe('redaction_failed');
  });

  test('503 while the request log is full', async () => {
    proxy.logHasRoom = false;
    const answer = await proxy.call();
    expect([answer.status, errorOf(answer).dependency]).toEqual([503, 'request_log']);
    expect(answer.headers['retry-after']).toMatch(/^[1-9][0-9]*$/);
    expect(proxy.seen).toEqual([]);
  });

  test('504 when the clock runs out before the head', async () => {
    let arrived!: () => void;
    const isThere = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    proxy.upstream = () => arrived();
    const answer = proxy.call({ headers: { 'x-knox-timeout-ms': '1000' } });
    await isThere;
    proxy.clock.advance(999);
    proxy.clock.advance(1);
    expect(errorOf(await answer).type).toBe('upstream_timeout');
    expect(await rowOf()).toMatchObject({ statusCode: 504, latencyMs: 1000 });
  });

  test('504 when the client’s own body is what takes too long', async () => {
    const request = proxy.open({
      headers: { ...JSON_TYPE, 'content-length': '10', 'x-knox-timeout-ms': '5' },
    });
    request.write('{');
    const answered = once(request, 'response');
    let settled = false;
    void answered.then(() => {
      settled = true;
    });
    while (!settled) {
      await new Promise((resolve) => setImmediate(resolve));
      proxy.clock.advance(5);
    }
    const [response] = (await answered) as [IncomingMessage];
    expect(response.statusCode).toBe(504);
    request.destroy();
  });

  test.each([
    'POST /v1/proxy HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /v1/proxy HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc',
    'POST /v1/proxy HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n',
    'POST /v1/proxy HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n',
    'POST /v1/proxy HTTP/1.1\r\nhost: x\r\nauthorization: Bearer tk_live_full\r\nx-knox-proxy-url: https://a.example/\r\ntransfer-encoding: chunked\t\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    'POST /v1/proxy HTTP/1.1\r\nhost: x\r\nx-a: b\rc\r\n\r\n',
    'POST /v1/proxy HTTP/1.1\r\nhost: x\r\nx-a: b\0c\r\n\r\n',
  ])('P01, P02, P03, P07: %j is 400', async (text) => {
    const socket = await proxy.raw(text);
    expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1\.1 400 /);
    socket.destroy();
    expect(proxy.seen).toEqual([]);
  });
});

describe('sizes', () => {
  const MiB = 1024 * 1024;

  test.each([
    ['templated', JSON_TYPE, 10 * MiB + 1],
    ['opaque', { 'content-type': 'image/png' }, 10 * MiB + 1],
    ['transparent', { 'x-knox-proxy-mode': 'transparent' }, 100 * MiB + 1],
  ])('a declared %s body above the limit is 413 before it is read', async (_name, headers, length) => {
    const request = proxy.open({ headers: { ...headers, 'content-length': String(length) } });
    request.flushHeaders();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(413);
    request.destroy();
    expect(proxy.seen).toEqual([]);
  });

  test.each([
    ['templated', JSON_TYPE],
    ['opaque', { 'content-type': 'image/png' }],
  ])('a chunked %s body above the limit is 413', async (_name, headers) => {
    proxy.upstream = (request, response) => request.resume().on('end', () => response.end());
    const answer = await proxy.call({
      headers: { ...headers, 'transfer-encoding': 'chunked' },
      body: Buffer.alloc(10 * MiB + 1, 0x20),
    });
    expect([answer.status, errorOf(answer).type]).toEqual([413, 'payload_too_large']);
    expect(await rowOf()).toMatchObject({ statusCode: 413 });
  });

  test('10 MiB of JSON with an expression are rendered', async () => {
    const body = `["${'x'.repeat(10 * MiB - 40)}","{{token:tok_pan}}"]`;
    const answer = await proxy.call({ headers: JSON_TYPE, body });
    expect(answer.status).toBe(200);
    expect(proxy.seen[0]!.body.toString()).toBe(body.replace('{{token:tok_pan}}', '4111111111111111'));
  });

  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const held = (): number => {
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };

  test('P23: an answer of 100 MiB comes whole while little memory is held', async () => {
    const piece = randomBytes(MiB);
    const sent = createHash('sha256');
    proxy.upstream = (_request, response) => {
      Readable.from(
        (function* () {
          for (let i = 0; i < 100; i++) {
            sent.update(piece);
            yield piece;
          }
        })(),
      ).pipe(response);
    };
    const before = held();
    const request = proxy.open({ headers: { 'x-knox-proxy-mode': 'transparent' } });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const came = createHash('sha256');
    let received = 0;
    let peak = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      came.update(chunk);
      if (Math.floor(received / (10 * MiB)) !== Math.floor((received + chunk.length) / (10 * MiB))) {
        peak = Math.max(peak, held());
      }
      received += chunk.length;
    }
    expect(received).toBe(100 * MiB);
    expect(came.digest('hex')).toBe(sent.digest('hex'));
    expect(peak).toBeGreaterThan(0);
    expect(peak - before).toBeLessThan(24 * MiB);
  });

  test('P23: 100 MiB go through while little memory is held, and the next byte is one too many', async () => {
    let received = 0;
    let peak = 0;
    const before = held();
    proxy.upstream = (request, response) => {
      request.on('data', (chunk: Buffer) => {
        if (Math.floor(received / (10 * MiB)) !== Math.floor((received + chunk.length) / (10 * MiB))) {
          peak = Math.max(peak, held());
        }
        received += chunk.length;
      });
      request.on('end', () => response.end('done'));
      request.on('error', () => {});
    };
    const upload = async (bytes: number) => {
      const request = proxy.open({
        headers: { 'x-knox-proxy-mode': 'transparent', 'transfer-encoding': 'chunked' },
      });
      request.on('error', () => {});
      const responded = once(request, 'response');
      const chunk = Buffer.alloc(MiB, 1);
      for (let left = bytes; left > 0; left -= chunk.length) {
        if (!request.write(left < MiB ? chunk.subarray(0, left) : chunk)) await once(request, 'drain');
      }
      request.end();
      const [response] = (await responded) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    expect(await upload(100 * MiB)).toBe(200);
    expect(received).toBe(100 * MiB);
    expect(peak - before).toBeLessThan(24 * MiB);
    expect(await upload(100 * MiB + 1)).toBe(413);
  });

  test('an upstream that does not read stops the client, not the memory', async () => {
    let resume!: () => void;
    proxy.upstream = (request, response) => {
      resume = () => request.resume().on('end', () => response.end());
    };
    const request = proxy.open({
      headers: { 'x-knox-proxy-mode': 'transparent', 'transfer-encoding': 'chunked' },
    });
    let written = 0;
    let isBlocked = false;
    const chunk = Buffer.alloc(256 * 1024, 1);
    // Loopback's socket buffers take some MiB per hop; far more than that would have to be held by the proxy.
    while (!isBlocked && written < 90 * MiB) {
      written += chunk.length;
      if (request.write(chunk)) continue;
      let drained = false;
      request.once('drain', () => {
        drained = true;
      });
      for (let turn = 0; turn < 2000 && !drained; turn += 1) await new Promise((r) => setImmediate(r));
      isBlocked = !drained;
    }
    expect(isBlocked).toBe(true);
    expect(written).toBeLessThan(60 * MiB);
    resume();
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    response.resume();
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
    const row = await rowOf();
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
    expect(await rowOf()).toMatchObject({ statusCode: 499, error: 'client_disconnected' });
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
    const row = await rowOf();
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
