import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '../../kernel/errors.js';
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
const errorOf = (answer: { body: Buffer }) => JSON.parse(answer.body.toString()).error;

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
    [
      'a scheme without a secret',
      400,
      'validation_error',
      { headers: { 'x-knox-upstream-auth-scheme': 'none' } },
      'X-Knox-Upstream-Auth-Scheme',
    ],
    [
      'no such upstream secret',
      400,
      'secret_not_found',
      { headers: { 'x-knox-upstream-auth-secret': 'NOBODY' } },
      'X-Knox-Upstream-Auth-Secret',
    ],
    [
      'an upstream secret that is not bound',
      403,
      'egress_blocked',
      { headers: { 'x-knox-upstream-auth-secret': 'UNBOUND' } },
    ],
    [
      'upstream secret twice',
      400,
      'validation_error',
      { headers: { 'x-knox-upstream-auth-secret': ['API_KEY', 'API_KEY'] } },
      'more than once',
    ],
    ...['', 'a b', 'Bearer,', 'é'].map((scheme): [string, number, string, object, string] => [
      `scheme "${scheme}"`,
      400,
      'validation_error',
      { headers: { 'x-knox-upstream-auth-secret': 'API_KEY', 'x-knox-upstream-auth-scheme': scheme } },
      'X-Knox-Upstream-Auth-Scheme',
    ]),
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
    ['broken placeholder', 400, 'template_error', { headers: JSON_TYPE, body: '["{{secret:}}"]' }],
    ['unknown secret', 400, 'secret_not_found', { headers: JSON_TYPE, body: '["{{secret:A}}"]' }],
    ['unbound secret', 403, 'egress_blocked', { headers: JSON_TYPE, body: '["{{secret_id:UNBOUND}}"]' }],
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
    expect(await proxy.row()).toMatchObject({ statusCode: status, error: type, proxyMode: 'ephemeral' });
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
    expect(await proxy.row()).toMatchObject({ error: type, upstreamHost: host, statusCode: status });
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
      expect(await proxy.row()).toMatchObject({ error: 'egress_blocked', statusCode: 403 });
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
    expect(await proxy.row()).toMatchObject({ statusCode: 504, latencyMs: 1000 });
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
    expect(await proxy.row()).toMatchObject({ statusCode: 413 });
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

  /**
   * Upstream, proxy and client share this process, and on a busy machine any of them may be behind by some chunks, or
   * buffers wait to be swept. What is kept of a body is in each sample of its later half.
   */
  const leastOfLaterHalf = (samples: readonly number[]): number =>
    Math.min(...samples.slice(samples.length / 2));

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
    const samples: number[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) {
      came.update(chunk);
      if (Math.floor(received / (10 * MiB)) !== Math.floor((received + chunk.length) / (10 * MiB))) {
        samples.push(held());
      }
      received += chunk.length;
    }
    expect(received).toBe(100 * MiB);
    expect(came.digest('hex')).toBe(sent.digest('hex'));
    expect(samples.length).toBeGreaterThan(8);
    expect(leastOfLaterHalf(samples) - before).toBeLessThan(24 * MiB);
  });

  test('P23: 100 MiB go through while little memory is held, and the next byte is one too many', async () => {
    let received = 0;
    const samples: number[] = [];
    const before = held();
    proxy.upstream = (request, response) => {
      request.on('data', (chunk: Buffer) => {
        if (Math.floor(received / (10 * MiB)) !== Math.floor((received + chunk.length) / (10 * MiB))) {
          samples.push(held());
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
    expect(samples.length).toBeGreaterThan(8);
    expect(leastOfLaterHalf(samples) - before).toBeLessThan(24 * MiB);
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
