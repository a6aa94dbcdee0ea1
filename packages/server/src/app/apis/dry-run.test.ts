import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import {
  type CallOptions,
  DEPLOYMENT_ID,
  KC_TEXT,
  type ProxyFixture,
  REQUEST_ID,
  startProxyFixture,
} from '../../testing/proxy-fixture.js';

let proxy: ProxyFixture;
let counted = 0;
beforeAll(async () => {
  proxy = await startProxyFixture();
});
afterAll(() => proxy.close());
afterEach(() => proxy.reset());

const JSON_TYPE = { 'content-type': 'application/json' };
const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded' };
const to = (url: string) => ({ 'x-knox-proxy-url': url });
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64');

/** The call as a dry run: whatever it is, nothing is sent, read out or counted. */
async function dryRun(options: CallOptions = {}) {
  counted = 0;
  proxy.plans = {
    ...proxy.plans,
    admitOperation: () => ({
      count() {
        counted += 1;
      },
    }),
  };
  const answer = await proxy.call({ ...options, headers: { ...options.headers, 'x-knox-dry-run': '1' } });
  expect([proxy.seen, proxy.detokenized, counted]).toEqual([[], [], 0]);
  expect(answer.headers).not.toHaveProperty('x-knox-destination-status');
  expect(answer.headers['x-request-id']).toBe(REQUEST_ID);
  return answer;
}

async function dataOf(options: CallOptions = {}) {
  const { status, headers, body } = await dryRun(options);
  expect(status).toBe(200);
  expect(headers).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  });
  const { data, meta } = JSON.parse(body.toString());
  expect(meta).toEqual({ request_id: REQUEST_ID });
  return data;
}

const verdicts = (...list: string[]) =>
  ['target', 'egress_allowlist', 'address', 'template', 'values'].map((name, i) => ({
    name,
    verdict: list[i] ?? 'not_judged',
  }));
const PASSED = 'passed';

describe('a dry run of what would be sent', () => {
  test('shows it with masks, and leaves a row that says so', async () => {
    const data = await dataOf({
      method: 'PATCH',
      path: '/v1/proxy?b=%7B%7Btoken:tok_pan%7D%7D',
      headers: {
        ...JSON_TYPE,
        ...to('https://api.example.com/a?a=1'),
        connection: 'close, x-hop',
        'x-hop': '1',
        'x-own': ['v', 'w'],
        'x-api-key': 'canary-key',
        cookie: 'canary=1',
        'x-knox-upstream-authorization': 'Bearer canary',
      },
      body: '{ "n":1e400,"card":"no {{ token: cards.tok_pan }}","sealed":"{{ encrypted | json: a:canary }}" }',
    });
    expect(data).toEqual({
      method: 'PATCH',
      url: `https://api.example.com:${proxy.upstreamPort}/a?a=1&b=%5BSECRET%5D`,
      headers: {
        'content-type': 'application/json',
        'x-own': ['v', 'w'],
        'x-api-key': '[SECRET]',
        cookie: '[SECRET]',
        authorization: '[SECRET]',
        'accept-encoding': 'identity',
        via: `1.1 knoxcall-${DEPLOYMENT_ID}`,
      },
      body_preview: '{ "n":1e400,"card":"no [SECRET]","sealed":"[SECRET]" }',
      address_class: 'loopback',
      rules: verdicts(PASSED, PASSED, PASSED, PASSED, PASSED),
      would_send: true,
      refusal: null,
    });
    expect(await proxy.row()).toMatchObject({
      statusCode: 200,
      error: 'dry_run',
      upstreamHost: 'api.example.com',
      path: '/a',
      proxyMode: 'ephemeral',
      echo: null,
    });
  });

  test('renders forms and texts, opens nothing, and shows nothing of X-Knox-Encrypted', async () => {
    const previewOf = async (contentType: string, body: string | Buffer, more = {}) =>
      (await dataOf({ headers: { 'content-type': contentType, ...more }, body })).body_preview;
    expect(await previewOf(FORM_TYPE['content-type'], 'a=%7B%7Btoken:tok_odd%7D%7D&b=1')).toBe(
      'a=%5BSECRET%5D&b=1',
    );
    expect(await previewOf('text/plain', '{{ token: tok_odd }} é')).toBe('[SECRET] é');
    expect(await previewOf('application/json', `["${KC_TEXT}"]`)).toBe('["[SECRET]"]');
    const document = base64({ card: { number: 'canary', list: [1] } });
    const body = '["{{ encrypted | json: $.card.number }}","{{ encrypted | json: $.card }}"]';
    const shown = await previewOf('application/json', body, { 'x-knox-encrypted': document });
    expect(JSON.parse(shown)).toEqual(['[SECRET]', '{"number":"[SECRET]","list":["[SECRET]"]}']);
  });

  test('transparent: nothing is rendered', async () => {
    const data = await dataOf({
      headers: { ...JSON_TYPE, 'x-knox-proxy-mode': 'transparent' },
      body: '["{{ token: tok_none }}"]',
    });
    expect(data).toMatchObject({ would_send: true, body_preview: '["{{ token: tok_none }}"]' });
  });

  test('without a body, and to HEAD without an answer’s', async () => {
    expect(await dataOf({ method: 'GET' })).toMatchObject({ body_preview: null, would_send: true });
    const { status, headers, body } = await dryRun({ method: 'HEAD' });
    expect([status, body.length]).toEqual([200, 0]);
    expect(Number(headers['content-length'])).toBeGreaterThan(0);
  });

  test('shows the beginning of a long text in whole characters, and nothing of bytes', async () => {
    const { dryRunPreviewBytesMax: bytesMax } = LIMITS;
    const text = `x${'é'.repeat(bytesMax)}`;
    const long = await dataOf({ headers: { 'content-type': 'text/plain' }, body: text });
    expect(long.body_preview).toBe(text.slice(0, bytesMax / 2));
    const short = { 'content-type': 'application/octet-stream' };
    const bytes = { headers: short, body: Buffer.of(0xff, 0xfe) };
    expect(await dataOf(bytes)).toMatchObject({ body_preview: null, would_send: true });
    const streamed = await dataOf({ headers: short, body: Buffer.alloc(200_000, 'a') });
    expect(streamed).toMatchObject({ body_preview: null, would_send: true });
  });

  test('asks for what redaction and the echo guard can read, as the call would', async () => {
    proxy.plan = { hasBodyRules: true, body: [] };
    const { headers } = await dataOf({ headers: { 'accept-encoding': 'gzip' } });
    expect(headers['accept-encoding']).toBe('identity');
    proxy.plan = { hasBodyRules: false, body: [] };
    const encodingOf = async (token: string) =>
      (await dataOf({ headers: { ...JSON_TYPE, 'accept-encoding': 'gzip' }, body: `["{{token:${token}}}"]` }))
        .headers['accept-encoding'];
    expect([await encodingOf('tok_pan'), await encodingOf('tok_loud')]).toEqual(['identity', 'gzip']);
  });

  test('invites a body that waits for leave', async () => {
    const request = proxy.open({
      headers: { ...JSON_TYPE, expect: '100-continue', 'x-knox-dry-run': '1', 'content-length': '2' },
    });
    request.once('continue', () => request.end('{}'));
    request.flushHeaders();
    const status = await new Promise((resolve) =>
      request.once('response', (response) => resolve(response.resume().statusCode)),
    );
    expect(status).toBe(200);
    expect(proxy.seen).toEqual([]);
  });
});

describe('a dry run of what would be refused', () => {
  const NOT_JSON = '{"a":{{token:tok_pan}}}';
  const refusals: readonly [string, number, string, string[], string | null, () => CallOptions][] = [
    [
      'a literal address',
      400,
      'invalid_proxy_url',
      ['refused'],
      null,
      () => ({ headers: to('https://10.0.0.1/') }),
    ],
    [
      'http',
      400,
      'invalid_proxy_url',
      ['refused'],
      null,
      () => ({ headers: to('http://api.example.com/x') }),
    ],
    [
      'a private address',
      403,
      'ssrf_blocked',
      [PASSED, PASSED, 'refused'],
      'private',
      () => ({ headers: to('https://internal.example.com/') }),
    ],
    [
      'a name that is not there',
      502,
      'dns_failure',
      [PASSED, PASSED, 'refused'],
      null,
      () => ({ headers: to('https://nowhere.example.com/') }),
    ],
    [
      'malformed JSON',
      400,
      'validation_error',
      [PASSED, PASSED, PASSED, 'refused'],
      'loopback',
      () => ({ headers: JSON_TYPE, body: NOT_JSON }),
    ],
    [
      'too many tokens',
      400,
      'too_many_tokens',
      [PASSED, PASSED, PASSED, 'refused'],
      'loopback',
      () => ({ headers: JSON_TYPE, body: `["${'{{token:tok_pan}}'.repeat(21)}"]` }),
    ],
    [
      'a body that is too long',
      413,
      'payload_too_large',
      [PASSED, PASSED, PASSED, 'refused'],
      'loopback',
      () => ({
        headers: { 'content-type': 'application/octet-stream', 'transfer-encoding': 'chunked' },
        body: Buffer.alloc(LIMITS.templatedBodyBytesMax + 1),
      }),
    ],
    [
      'an unknown token',
      404,
      'token_not_found',
      [PASSED, PASSED, PASSED, PASSED, 'refused'],
      'loopback',
      () => ({ headers: JSON_TYPE, body: '["{{token:tok_none}}"]' }),
    ],
    [
      'a disabled vault',
      409,
      'vault_disabled',
      [PASSED, PASSED, PASSED, PASSED, 'refused'],
      'loopback',
      () => ({ headers: JSON_TYPE, body: '["{{token:closed.tok_pan}}"]' }),
    ],
    [
      'a token without vaults:detokenize',
      403,
      'forbidden',
      [PASSED, PASSED, PASSED, PASSED, 'refused'],
      'loopback',
      () => ({ key: 'tk_live_invoke', headers: JSON_TYPE, body: '["{{token:tok_pan}}"]' }),
    ],
    [
      'a sealed text without crypto:decrypt',
      403,
      'forbidden',
      [PASSED, PASSED, PASSED, PASSED, 'refused'],
      'loopback',
      () => ({ key: 'tk_live_invoke', headers: JSON_TYPE, body: `["${KC_TEXT}"]` }),
    ],
  ];

  test.each(refusals)('%s: %i %s', async (_name, status, type, judged, addressClass, options) => {
    const data = await dataOf(options());
    expect(data).toMatchObject({
      method: 'POST',
      url: null,
      headers: null,
      body_preview: null,
      address_class: addressClass,
      rules: verdicts(...judged),
      would_send: false,
      refusal: { type, status, message: expect.stringMatching(/./) },
    });
    expect(JSON.stringify(data)).not.toContain('10.1.2.3');
    expect(await proxy.row()).toMatchObject({ statusCode: 200, error: 'dry_run' });
    // The same call in earnest is refused with just that.
    proxy.upstream = (request) => request.resume();
    const refused = await proxy.call(options());
    expect([refused.status, JSON.parse(refused.body.toString()).error]).toMatchObject([
      status,
      { type, message: data.refusal.message },
    ]);
  });

  test('a host off the allowlist', async () => {
    proxy.allowedHosts = ['*.example.org'];
    expect(await dataOf()).toMatchObject({
      address_class: null,
      rules: verdicts(PASSED, 'refused'),
      refusal: { type: 'egress_blocked', status: 403 },
    });
  });

  test('a body that does not come in time', async () => {
    const request = proxy.open({
      headers: {
        ...JSON_TYPE,
        expect: '100-continue',
        'content-length': '10',
        'x-knox-dry-run': '1',
        'x-knox-timeout-ms': '1000',
      },
    });
    request.flushHeaders();
    await once(request, 'continue');
    proxy.clock.advance(1_000);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    const [text] = await once(response.setEncoding('utf8'), 'data');
    expect(JSON.parse(text).data).toMatchObject({
      rules: verdicts(PASSED, PASSED, PASSED, 'refused'),
      refusal: { type: 'upstream_timeout', status: 504 },
    });
    request.on('error', () => {}).destroy();
  });
});

describe('what refuses a dry run itself, as any call', () => {
  const cases: readonly [string, number, string, CallOptions][] = [
    ['no credential', 401, 'authentication_required', { key: null }],
    ['a wrong key', 401, 'invalid_api_key', { key: 'tk_live_wrong' }],
    ['without proxy:invoke', 403, 'forbidden', { key: 'tk_live_none' }],
    ['no target', 400, 'missing_proxy_url', { headers: to('') }],
    ['a bad timeout', 400, 'validation_error', { headers: { 'x-knox-timeout-ms': '0' } }],
    ['a scheme alone', 400, 'validation_error', { headers: { 'x-knox-upstream-auth-scheme': 'none' } }],
    ['a loop', 508, 'loop_detected', { headers: { via: `1.1 knoxcall-${DEPLOYMENT_ID}` } }],
  ];
  test.each(cases)('%s: %i %s', async (_name, status, type, options) => {
    const answer = await dryRun(options);
    expect([answer.status, JSON.parse(answer.body.toString()).error.type]).toEqual([status, type]);
    if (status !== 401) expect(await proxy.row()).toMatchObject({ statusCode: status, error: type });
  });

  test.each([['0'], ['true'], [''], ['1, 1'], [['1', '1']]])('X-Knox-Dry-Run: %j', async (value) => {
    const answer = await proxy.call({ headers: { 'x-knox-dry-run': value } });
    expect([answer.status, JSON.parse(answer.body.toString())]).toMatchObject([
      400,
      { error: { type: 'validation_error' } },
    ]);
    expect(answer.body.toString().toLowerCase()).toContain('x-knox-dry-run');
    expect(proxy.seen).toEqual([]);
  });

  test('a full request log', async () => {
    proxy.logHasRoom = false;
    expect((await dryRun()).status).toBe(503);
  });
});
