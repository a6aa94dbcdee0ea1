import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import {
  type CallOptions,
  DEPLOYMENT_ID,
  type ProxyFixture,
  startProxyFixture,
} from '../../testing/proxy-fixture.js';

/** The error table of dataplane §1.5, but for what plans refuse (proxy-limits.test.ts) and what is not built yet. */
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

const to = (url: string): CallOptions => ({ headers: { 'x-knox-proxy-url': url } });
const json = (body: string, more: CallOptions = {}): CallOptions => ({
  ...more,
  headers: { 'content-type': 'application/json' },
  body,
});
const rowOf = async () => {
  while (proxy.rows.length === 0) await new Promise((resolve) => setImmediate(resolve));
  return proxy.rows[0]!;
};

const INVALID_URLS: readonly [string, string][] = [
  ['not a URL', 'api.example.com'],
  ['no host', 'https://'],
  ['http', 'http://api.example.com/x'],
  ['another scheme', 'ftp://api.example.com/x'],
  ['an IPv4 literal', 'https://93.184.216.34/'],
  ['an IPv4 literal in one number', 'https://1572395042/'],
  ['an IPv6 literal', 'https://[2606:2800:220:1::1]/'],
  ['a user name', 'https://user@example.com/'],
  ['a user name and password', 'https://user:pass@example.com/'],
  ['a space', 'https://example.com/a b'],
  ['a tab', 'https://example.com/a\tb'],
  ['no DNS name', 'https://a..example.com/'],
  ['one label', 'https://intranet/'],
  ['localhost', 'https://localhost/'],
  ['an internal name', 'https://db.svc.cluster.local/'],
  ['a metadata name', 'https://metadata.google.internal/'],
  ['a database’s port', 'https://api.example.org:5432/'],
  ['a port below 1024', 'https://api.example.org:22/'],
  ['more than 8 KiB', `https://example.com/${'a'.repeat(LIMITS.proxyUrlBytesMax)}`],
];

const TABLE: readonly [string, number, string, () => CallOptions][] = [
  ['no target', 400, 'missing_proxy_url', () => to('')],
  ...INVALID_URLS.map(([name, url]): [string, number, string, () => CallOptions] => [
    `target: ${name}`,
    400,
    'invalid_proxy_url',
    () => to(url),
  ]),
  ['timeout', 400, 'validation_error', () => ({ headers: { 'x-knox-timeout-ms': '0' } })],
  ['mode', 400, 'validation_error', () => ({ headers: { 'x-knox-proxy-mode': 'x' } })],
  ['malformed JSON with an expression', 400, 'validation_error', () => json('{"a":{{token:tok_pan}}}')],
  ['malformed expression', 400, 'template_error', () => json('["{{token:"]')],
  ['21 tokens', 400, 'too_many_tokens', () => json(`["${'{{token:tok_pan}}'.repeat(21)}"]`)],
  ['no proxy:invoke', 403, 'forbidden', () => ({ key: 'tk_live_none' })],
  ['no vaults:detokenize', 403, 'forbidden', () => json('["{{token:tok_pan}}"]', { key: 'tk_live_invoke' })],
  ['a private address', 403, 'ssrf_blocked', () => to('https://internal.example.com/')],
  [
    'a host off the allowlist',
    403,
    'egress_blocked',
    () => {
      proxy.allowedHosts = ['other.example.com'];
      return {};
    },
  ],
  ['disabled vault', 409, 'vault_disabled', () => json('["{{token:closed.tok_pan}}"]')],
  ['unknown token', 404, 'token_not_found', () => json('["{{token:tok_none}}"]')],
  [
    'a templated body above 10 MiB',
    413,
    'payload_too_large',
    // Chunked: of a declared length the server hangs up while the client is still writing.
    () => ({
      headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
      body: Buffer.alloc(LIMITS.templatedBodyBytesMax + 1, 0x20),
    }),
  ],
  ['an unknown name', 502, 'dns_failure', () => to('https://nowhere.example.com/')],
  [
    'a certificate of another name',
    502,
    'upstream_tls_error',
    () => to(`https://other-name.example.com:${proxy.upstreamPort}/`),
  ],
  [
    'an upstream that hangs up',
    502,
    'upstream_unreachable',
    () => {
      proxy.upstream = (request) => request.socket.destroy();
      return {};
    },
  ],
  [
    'a full request log',
    503,
    'dependency_unavailable',
    () => {
      proxy.logHasRoom = false;
      return {};
    },
  ],
  ['a loop', 508, 'loop_detected', () => ({ headers: { via: `1.1 knoxcall-${DEPLOYMENT_ID}` } })],
];

describe('every refusal: status and type, no marker of an upstream, nothing sent, a row with the error', () => {
  test.each(TABLE)('%s', async (_name, status, type, prepare) => {
    const answer = await proxy.call(prepare());
    const { error } = JSON.parse(answer.body.toString());
    expect([answer.status, error.type]).toEqual([status, type]);
    expect(error.message).not.toBe('');
    expect(answer.headers).not.toHaveProperty('x-knox-destination-status');
    expect(proxy.seen).toEqual([]);
    expect(await rowOf()).toMatchObject({ statusCode: status, error: type, proxyMode: 'ephemeral' });
  });
});
