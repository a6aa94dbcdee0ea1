import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import { tcpDialer } from '../../platform/egress/dial.js';
import { startDnsServer, type TestDnsServer } from '../../testing/dns-server.js';
import { openInstallation, type TestInstallation } from '../../testing/installation.js';
import { createTestCa, startTlsUpstream, type TlsUpstream } from '../../testing/tls-upstream.js';

const HOST = 'api.example.com';
const OTHER = 'other.example.com';
const VALUE = 'sk-live-0123456789abcdef';

let upstream: TlsUpstream;
let dns: TestDnsServer;
let rig: TestInstallation;
let port: number;
let answer: RequestListener | null = null;
let made = 0;

beforeAll(async () => {
  const ca = await createTestCa();
  upstream = await startTlsUpstream({
    ca,
    names: [HOST, OTHER],
    handler: (request, response) => {
      if (answer) answer(request, response);
      else request.pipe(response);
    },
  });
  dns = await startDnsServer({ records: { [HOST]: ['127.0.0.1'], [OTHER]: ['127.0.0.1'] } });
  rig = await openInstallation({
    hasWrapSubdomains: true,
    egress: {
      allowPrivateUpstreams: '127.0.0.1/32',
      extraCaPem: ca.caPem,
      dnsServers: [dns],
      // A gateway token names a host, and that is called at 443.
      dialer: (target) => tcpDialer({ ...target, port: upstream.port }),
    },
  });
  await rig.app.listen({ port: 0, host: '127.0.0.1' });
  port = (rig.app.server.address() as AddressInfo).port;
});
afterAll(async () => {
  await rig.close();
  await Promise.all([upstream.close(), dns.close()]);
});
afterEach(() => {
  answer = null;
});

const api = (method: string, path: string, body?: unknown) => rig.call(method, path, { body });

async function escrow(terms: Record<string, unknown> = {}): Promise<string> {
  const { status, json } = await api('POST', '/v1/wrap/credentials', {
    provider: 'openai',
    name: `KEY_${++made}`,
    value: VALUE,
    hosts: [HOST],
    ...terms,
  });
  expect(status, JSON.stringify(json)).toBe(201);
  return String(json['data']?.['name']);
}

interface Token {
  readonly id: string;
  readonly token: string;
  readonly base_url: string;
}

async function tokenFor(secret: string, terms: Record<string, unknown> = {}): Promise<Token> {
  const { status, json } = await api('POST', '/v1/wrap/tokens', { secret, ...terms });
  expect(status, JSON.stringify(json)).toBe(201);
  return json['data'] as unknown as Token;
}

interface Sent {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

async function call({ path, method = 'POST', headers = {}, body }: Sent) {
  const request = httpRequest({ port, host: '127.0.0.1', agent: false, method, path, headers });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { status: response.statusCode, headers: response.headers, text: await text(response) };
}

/** What the upstream got of a call. */
async function seenOf(sent: Sent) {
  let seen: { url: string; headers: IncomingMessage['headers']; rawHeaders: string[]; body: string } | null =
    null;
  answer = async (request, response) => {
    const { url = '', headers, rawHeaders } = request;
    seen = { url, headers, rawHeaders, body: await text(request) };
    response.end('ok');
  };
  const { status, text: got } = await call(sent);
  expect([status, got]).toEqual([200, 'ok']);
  return seen!;
}

const errorOf = (body: string) => JSON.parse(body).error;
const at = ({ token }: Token, rest: string, host = HOST) => `/wg/${token}/${host}${rest}`;

describe('a call at /wg/<token>/<host>', () => {
  it('goes to the host with the credential, as it is', async () => {
    const token = await tokenFor(await escrow());
    expect(token.base_url).toBe(`http://127.0.0.1:8787/wg/${token.token}/${HOST}`);
    const seen = await seenOf({
      path: at(token, '/v1/chat%20completions?a=1&b=%20x'),
      headers: { authorization: 'Bearer placeholder', 'content-type': 'application/json', 'x-own': '1' },
      body: '{"text":"{{ token: cards.tok_x }} {{secret:KEY_1}}"}',
    });
    expect(seen.url).toBe('/v1/chat%20completions?a=1&b=%20x');
    expect(seen.body).toBe('{"text":"{{ token: cards.tok_x }} {{secret:KEY_1}}"}');
    expect(seen.headers).toMatchObject({ host: HOST, authorization: `Bearer ${VALUE}`, 'x-own': '1' });
    expect(seen.rawHeaders.filter((name) => name.toLowerCase() === 'authorization')).toHaveLength(1);
    expect(JSON.stringify(seen)).not.toContain('wkt_');
  });

  it.each([
    ['', '/'],
    ['/', '/'],
    ['?q=1', '/?q=1'],
    ['//other.example.com/a', '//other.example.com/a'],
    ['/a/../../b', '/b'],
    ['/@other.example.com', '/@other.example.com'],
  ])('keeps its host whatever the path: %s', async (rest, url) => {
    const token = await tokenFor(await escrow());
    const seen = await seenOf({ path: at(token, rest), method: 'GET' });
    expect([seen.url, seen.headers.host]).toEqual([url, HOST]);
  });

  it('takes the host in any case, with the dot of the root', async () => {
    const token = await tokenFor(await escrow());
    expect((await seenOf({ path: at(token, '/a', 'API.example.COM.') })).url).toBe('/a');
  });

  it.each([
    ['anthropic', 'x-api-key', VALUE],
    ['gemini', 'x-goog-api-key', VALUE],
    ['azure-openai', 'api-key', VALUE],
    ['anything', 'authorization', `Bearer ${VALUE}`],
  ])('of the provider %s sends it in %s', async (provider, name, value) => {
    const token = await tokenFor(await escrow({ provider }));
    const seen = await seenOf({
      path: at(token, '/'),
      headers: { authorization: 'Bearer dummy', [name]: 'dummy' },
    });
    expect(seen.headers[name]).toBe(value);
    expect(JSON.stringify(seen.headers)).not.toContain('dummy');
  });

  it('sends the value of now, as it was rotated', async () => {
    const name = await escrow();
    const token = await tokenFor(name);
    const { json } = await api('GET', '/v1/secrets?per_page=100');
    const rows = json['data'] as unknown as { id: string; name: string }[];
    const { id } = rows.find((row) => row.name === name)!;
    await api('PUT', `/v1/secrets/${id}/value`, { value: 'sk-rotated-value' });
    expect((await seenOf({ path: at(token, '/') })).headers.authorization).toBe('Bearer sk-rotated-value');
  });

  it('brings the credential back in no answer', async () => {
    const name = await escrow();
    const token = await tokenFor(name);
    answer = (request, response) => {
      response.setHeader('x-seen', request.headers.authorization ?? '');
      response.end(`saw ${request.headers.authorization}`);
    };
    const got = await call({ path: at(token, '/') });
    expect([got.text, got.headers['x-seen']]).toEqual([
      `saw Bearer {{secret:${name}}}`,
      `Bearer {{secret:${name}}}`,
    ]);
    expect(got.headers['x-knox-destination-status']).toBe('200');
  });

  it('streams: what the upstream has said is there before it has ended', async () => {
    const token = await tokenFor(await escrow());
    let finish = () => {};
    answer = (_request, response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write(`data: ${'x'.repeat(200)}\n\n`);
      finish = () => response.end('data: [DONE]\n\n');
    };
    const request = httpRequest({ port, host: '127.0.0.1', path: at(token, '/stream') });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const [first] = (await once(response, 'data')) as [Buffer];
    expect(first.toString()).toContain('data: xxx');
    finish();
    expect(await text(response)).toContain('[DONE]');
  });

  it('can be rehearsed', async () => {
    const token = await tokenFor(await escrow());
    const got = await call({ path: at(token, '/a?b=1'), headers: { 'x-knox-dry-run': '1' } });
    expect(got.text).not.toContain(VALUE);
    expect(JSON.parse(got.text).data).toMatchObject({
      would_send: true,
      url: `https://${HOST}/a?b=1`,
      headers: { authorization: '[SECRET]' },
    });
  });
});

describe('a call at a name of its own', () => {
  const named = (token: Token) => ({ host: new URL(token.base_url).host });

  it('has a random label, and the token as the key', async () => {
    const token = await tokenFor(await escrow(), { style: 'subdomain' });
    expect(token.base_url).toMatch(/^http:\/\/[0-9a-f]{32}\.wrap\.localhost:8787$/);
    expect(token.base_url).not.toContain(token.token);
    const basic = Buffer.from(`${token.token}:`).toString('base64');
    const keys: Record<string, string>[] = [
      { authorization: `Bearer ${token.token}` },
      { authorization: `Basic ${basic}` },
      { 'x-api-key': token.token },
      { 'api-key': token.token },
      { 'x-goog-api-key': token.token },
    ];
    for (const key of keys) {
      // A path that is ours elsewhere is the upstream's here.
      const seen = await seenOf({ path: '/v1/proxy?a=1', headers: { ...named(token), ...key } });
      expect([seen.url, seen.headers.host, seen.headers.authorization]).toEqual([
        '/v1/proxy?a=1',
        HOST,
        `Bearer ${VALUE}`,
      ]);
      expect(JSON.stringify(seen)).not.toContain('wkt_');
    }
  });

  it.each(['/', '/healthz', '/nobody/knows', '/v1/secrets', '/wg/a/b', '/%zz', '/wg/%zz'])(
    'serves %s to nobody else',
    async (path) => {
      const token = await tokenFor(await escrow(), { style: 'subdomain' });
      const other = await tokenFor(await escrow(), { style: 'subdomain' });
      const keys: Record<string, string>[] = [
        {},
        { authorization: 'Bearer wkt_x' },
        { authorization: `Bearer ${other.token}` },
      ];
      for (const key of keys) {
        const got = await call({ path, method: 'GET', headers: { ...named(token), ...key } });
        expect([got.status, errorOf(got.text).type]).toEqual([401, 'invalid_token']);
      }
    },
  );
});

describe('401, the same for every cause', () => {
  it('comes before what is wrong with the path', async () => {
    const token = await tokenFor(await escrow());
    const got = await call({ path: at(token, '/a/%zz') });
    expect([got.status, JSON.parse(got.text).fields]).toEqual([
      400,
      { path: ['must be valid percent-encoded UTF-8'] },
    ]);
  });

  it('unknown, malformed, revoked, ended, of another host, of another place, of a deleted secret', async () => {
    const texts = new Set<string>();
    const refused = async (path: string) => {
      const got = await call({ path, method: 'GET' });
      const { request_id: _, ...error } = errorOf(got.text);
      expect(got.status, path).toBe(401);
      texts.add(JSON.stringify({ error, headers: got.headers['www-authenticate'] }));
    };
    const name = await escrow({ hosts: [HOST, OTHER] });
    const token = await tokenFor(name, { host: HOST });
    await refused(at(token, '/', OTHER));
    await refused(at(token, '/', `sub.${HOST}`));
    await refused(`/wg/${token.token}`);
    await refused(`/wg/${token.token}/`);
    await refused(`/wg//${HOST}/`);
    await refused(`/wg/${token.token.replace('wkt_', 'wkt%5F')}/${HOST}/`);
    await refused(`/wg/wkt_${'A'.repeat(43)}/${HOST}/`);
    await refused(`/wg/${token.token}x/${HOST}/`);
    await refused(`/wg/${token.token}x/${HOST}/%zz`);
    await refused(`/wg/%zz/${HOST}/`);
    const named = await tokenFor(name, { host: HOST, style: 'subdomain' });
    await refused(at(named, '/'));

    const revoked = await tokenFor(name, { host: HOST });
    expect((await call({ path: at(revoked, '/') })).status).toBe(200);
    expect((await api('DELETE', `/v1/wrap/tokens/${revoked.id}`)).json['data']).toEqual({
      id: revoked.id,
      revoked: true,
    });
    await refused(at(revoked, '/'));

    const short = await tokenFor(name, { host: HOST, ttl_seconds: 1 });
    expect((await call({ path: at(short, '/') })).status).toBe(200);
    rig.clock.advance(LIMITS.wrapTokenSecondsMin * 1000);
    await refused(at(short, '/'));

    const secret = (await rig.services.secrets.findByName(await scopeOf(), name))!;
    expect((await api('DELETE', `/v1/secrets/${secret.id}`)).status).toBe(200);
    await refused(at(token, '/'));
    expect(texts.size).toBe(1);
  });

  it('of the other mode, where the host has one', async () => {
    const token = await tokenFor(await escrow());
    const onHost = async (host: string) =>
      (await call({ path: at(token, '/'), method: 'GET', headers: { host } })).status;
    expect([await onHost('api.localhost'), await onHost('sandbox.localhost')]).toEqual([200, 401]);
    expect(await onHost('acme.localhost')).toBe(404);
  });

  it('then 429 of whoever guesses, who is told when to come again', async () => {
    const token = await tokenFor(await escrow());
    expect((await call({ path: at(token, '/') })).status).toBe(200);
    const guess = () => call({ path: `/wg/wkt_${'A'.repeat(43)}/${HOST}/`, method: 'GET' });
    let got = await guess();
    for (let n = 0; n < LIMITS.gatewayFailuresPerNetworkMax && got.status === 401; n++) got = await guess();
    expect([got.status, errorOf(got.text).type]).toEqual([429, 'rate_limit_exceeded']);
    expect(Number(got.headers['retry-after'])).toBeGreaterThan(0);
    expect((await call({ path: at(token, '/') })).status).toBe(200);
    rig.clock.advance(60_000);
    expect((await guess()).status).toBe(401);
  });

  it('and is no credential anywhere else', async () => {
    const { token } = await tokenFor(await escrow());
    const keys: Record<string, string>[] = [{ authorization: `Bearer ${token}` }, { 'x-api-key': token }];
    for (const headers of keys) {
      expect((await call({ path: '/v1/account', method: 'GET', headers })).status).toBe(401);
      const proxied = { ...headers, 'x-knox-proxy-url': `https://${HOST}/` };
      expect((await call({ path: '/v1/proxy', headers: proxied })).status).toBe(401);
    }
  });
});

const scopeOf = async () => {
  const token = await rig.services.accounts.tenantBySlug('default');
  return { tenantId: token!.id, sandbox: false };
};

describe('other refusals', () => {
  it.each([
    'x-knox-proxy-url',
    'x-knox-encrypted',
    'x-knox-upstream-authorization',
    'x-knox-upstream-auth-secret',
    'x-knox-upstream-auth-scheme',
  ])('%s is for /v1/proxy', async (name) => {
    const token = await tokenFor(await escrow());
    const got = await call({ path: at(token, '/'), headers: { [name]: 'a' } });
    expect([got.status, errorOf(got.text).type]).toEqual([400, 'validation_error']);
  });

  it('a secret that may no longer go to the host is 403', async () => {
    const name = await escrow({ hosts: [HOST, OTHER] });
    const token = await tokenFor(name, { host: HOST });
    const secret = (await rig.services.secrets.findByName(await scopeOf(), name))!;
    await api('PATCH', `/v1/secrets/${secret.id}`, { allowed_hosts: [OTHER] });
    const got = await call({ path: at(token, '/') });
    expect([got.status, errorOf(got.text).type]).toEqual([403, 'egress_blocked']);
  });

  it('a host off the allowlist is 403, and a body is not invited before the call is judged', async () => {
    const token = await tokenFor(await escrow());
    await api('PUT', '/v1/egress/allowlist', { hosts: ['else.example.com'] });
    const request = httpRequest({
      port,
      host: '127.0.0.1',
      method: 'POST',
      path: at(token, '/'),
      headers: { expect: '100-continue', 'content-length': '5' },
    });
    let isInvited = false;
    request.on('continue', () => {
      isInvited = true;
    });
    request.flushHeaders();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect([response.statusCode, errorOf(await text(response)).type]).toEqual([403, 'egress_blocked']);
    expect(isInvited).toBe(false);
    request.destroy();
    await api('PUT', '/v1/egress/allowlist', { hosts: [] });
  });
});

describe('what is left of a call', () => {
  it('is a row without the token, by its token, and the time of its use', async () => {
    const token = await tokenFor(await escrow(), { label: 'ci' });
    const got = await call({ path: at(token, `/v1/models/${VALUE}?q=1`), method: 'GET' });
    const read = () => api('GET', `/v1/logs/${got.headers['x-request-id']}`);
    await expect.poll(async () => (await read()).status).toBe(200);
    expect((await read()).json['data']).toMatchObject({
      path: '/v1/models/[SECRET]',
      upstream_host: HOST,
      proxy_mode: 'ephemeral',
      identification_method: 'wrap_token',
      status_code: 200,
    });
    const used = async () => {
      const { json } = await api('GET', '/v1/wrap/tokens');
      const rows = (json['data'] as unknown as { tokens: { id: string; last_used_at: string | null }[] })
        .tokens;
      return rows.find(({ id }) => id === token.id)!.last_used_at;
    };
    expect(await used()).toBeNull();
    rig.clock.advance(60_000);
    await expect.poll(used).not.toBeNull();
  });

  it('holds no token, wherever the server writes', async () => {
    const paths = await tokenFor(await escrow());
    const named = await tokenFor(await escrow(), { style: 'subdomain' });
    const encoded = paths.token.replaceAll('_', '%5F');
    await call({ path: at(paths, '/x') });
    await call({ path: `/wg/${encoded}/${HOST}/x` });
    await call({ path: `/%77g/${encoded}/${HOST}/x` });
    await call({
      path: `/x?key=${named.token}`,
      headers: { host: new URL(named.base_url).host, authorization: `Bearer ${named.token}` },
    });
    const audit = await api('GET', '/v1/audit-logs?per_page=100');
    const logs = await api('GET', '/v1/logs');
    const written = JSON.stringify([rig.logLines, audit.json, logs.json]);
    expect(written).toContain('wrap.token.create');
    for (const { token } of [paths, named]) {
      expect(written).not.toContain(token);
      expect(written).not.toContain(token.slice(10));
    }
    expect(written).not.toContain(VALUE);
  });
});
