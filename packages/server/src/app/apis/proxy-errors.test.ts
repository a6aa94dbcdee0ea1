import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import { loadSqlite } from '../../platform/storage/sqlite-module.js';
import { startWholeServer, UPSTREAM_HOST, type WholeServer } from '../../testing/whole-server.js';

interface Call {
  /** Null = none. */
  readonly key?: string | null;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string;
  readonly path?: string;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A row of dataplane §1.5 that can be reached, and how. */
interface Row {
  readonly status: number;
  readonly type: string;
  readonly how: string;
  call(): Call;
  before?(): Promise<unknown>;
  after?(): Promise<unknown>;
  /** There is no valid credential, so no tenant to whom a log row could belong. */
  readonly isUnlogged?: true;
}

const JSON_TYPE = { 'content-type': 'application/json' };
const URL_HEADER = 'x-knox-proxy-url';

let server: WholeServer;
let adminToken: string;
let token: string;
let closedPort: number;
let via: string;
const keys = { withoutInvoke: '', withoutDetokenize: '' };

beforeAll(async () => {
  server = await startWholeServer({
    plans: {
      starter: { ephemeral: { operations_per_month: 0 } },
      pro: { ephemeral: { requests_per_second: 1 } },
    },
    records: { 'other-name.example.com': ['127.0.0.1'], 'internal.example.com': ['10.1.2.3'] },
  });
  const { email, password } = server.bootstrap.admin;
  adminToken = (await server.api('POST', '/admin/auth/login', { email, password }, '')).json.token;
  await makeVault('cards');
  await makeVault('closed');
  await makeSecrets();
  await server.api('PATCH', '/v1/vaults/closed', { enabled: false });
  keys.withoutInvoke = await makeKey(['vaults:read']);
  keys.withoutDetokenize = await makeKey(['proxy:invoke']);
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  closedPort = (listener.address() as AddressInfo).port;
  await new Promise((resolve) => listener.close(resolve));
  await call({});
  via = server.upstream.requests[0]!.rawHeaders.at(
    server.upstream.requests[0]!.rawHeaders.findIndex((name) => name.toLowerCase() === 'via') + 1,
  )!;
});
afterAll(() => server.close());
afterEach(() => {
  server.answer = null;
});

async function makeVault(name: string): Promise<void> {
  await server.api('POST', '/v1/vaults', { name, token_format: 'generic' });
  const made = await server.api('POST', `/v1/vaults/${name}/tokens`, { value: 'a-value' });
  token ??= made.json.data.token;
}

async function makeSecrets(): Promise<void> {
  const old = { expires_at: '2020-01-01T00:00:00Z', strict_expiry_enforcement: true };
  for (const more of [
    { name: 'UNBOUND' },
    { name: 'ELSEWHERE', allowed_hosts: ['other-name.example.com'] },
    { name: 'OLD', allowed_hosts: [UPSTREAM_HOST], ...old },
  ])
    await server.api('POST', '/v1/secrets', { value: 'a-value', ...more });
}

async function makeKey(permissions: readonly string[]): Promise<string> {
  const grants = permissions.map((permission) => ({ permission }));
  return (await server.api('POST', '/v1/api-keys', { name: 'narrow', grants })).json.data.api_key;
}

const setTenant = (change: object) =>
  server.api('PATCH', `/admin/tenants/${server.bootstrap.tenant.id}`, change, adminToken);

async function call({ key, headers, body, path = '/v1/proxy' }: Call): Promise<Answer> {
  const request = httpRequest({
    host: '127.0.0.1',
    port: server.port,
    agent: false,
    method: 'POST',
    path,
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key ?? server.bootstrap.live_api_key}` }),
      [URL_HEADER]: `${server.target}/charge`,
      ...headers,
    },
  });
  request.on('error', () => {});
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  // A body that was only announced does not come.
  if (headers?.['content-length'] === undefined) request.end(body);
  else request.flushHeaders();
  const [response] = await answered;
  const received = await text(response);
  request.destroy();
  return { status: response.statusCode!, headers: response.headers, body: received };
}

const withUrl = (url: () => string) => () => ({ headers: { [URL_HEADER]: url() } });
const withHeader = (name: string, value: string | string[]) => () => ({ headers: { [name]: value } });
const withBody = (body: () => string, key?: () => string) => () => ({
  headers: JSON_TYPE,
  body: body(),
  ...(key ? { key: key() } : {}),
});
const announcing = (bytes: number, headers: Record<string, string>) => () => ({
  headers: { ...headers, 'content-length': String(bytes) },
});
const reference = (name: string) => `{"v":"{{ token: ${name} }}"}`;
const invalidUrl = (how: string, url: () => string): Row => ({
  status: 400,
  type: 'invalid_proxy_url',
  how,
  call: withUrl(url),
});
const invalid = (how: string, made: () => Call): Row => ({
  status: 400,
  type: 'validation_error',
  how,
  call: made,
});

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
  ['our own host', 'https://api.localhost/'],
  ['a database’s port', 'https://api.example.org:5432/'],
  ['a port below 1024', 'https://api.example.org:22/'],
  ['more than 8 KiB', `https://example.com/${'a'.repeat(LIMITS.proxyUrlBytesMax)}`],
];

const ROWS: readonly Row[] = [
  { status: 400, type: 'missing_proxy_url', how: 'no target', call: withUrl(() => '') },
  ...INVALID_URLS.map(([how, url]) => invalidUrl(how, () => url)),
  {
    status: 400,
    type: 'invalid_proxy_url',
    how: 'sent twice',
    call: withHeader(URL_HEADER, ['https://a.example/', 'https://b.example/']),
  },
  invalid('a bad timeout', withHeader('x-knox-timeout-ms', '30001')),
  invalid('an unknown mode', withHeader('x-knox-proxy-mode', 'opaque')),
  invalid('both upstream credentials', () => ({
    headers: { 'x-knox-upstream-authorization': 'Bearer x', 'x-knox-upstream-auth-secret': 'x' },
  })),
  invalid(
    'JSON with an expression that is none',
    withBody(() => `{"v":{{ token: cards.${token} }}}`),
  ),
  { status: 400, type: 'template_error', how: 'a broken expression', call: withBody(() => '["{{ token: "]') },
  {
    status: 400,
    type: 'template_error',
    how: 'a path that leads nowhere',
    call: () => ({
      headers: { ...JSON_TYPE, 'x-knox-encrypted': 'e30=' },
      body: '["{{ encrypted | json: $.a }}"]',
    }),
  },
  {
    status: 400,
    type: 'too_many_tokens',
    how: '21 references',
    call: withBody(() => `["${`{{token:cards.${token}}}`.repeat(21)}"]`),
  },
  {
    status: 400,
    type: 'invalid_api_version',
    how: 'an unknown version',
    call: withHeader('knoxcall-version', '2020-01-01'),
    isUnlogged: true,
  },
  {
    status: 401,
    type: 'authentication_required',
    how: 'no key',
    call: () => ({ key: null }),
    isUnlogged: true,
  },
  {
    status: 401,
    type: 'invalid_api_key',
    how: 'an unknown key',
    call: () => ({ key: `${server.bootstrap.live_api_key}x` }),
    isUnlogged: true,
  },
  {
    status: 401,
    type: 'invalid_token',
    how: 'an admin token',
    call: () => ({ key: adminToken }),
    isUnlogged: true,
  },
  {
    status: 403,
    type: 'wrong_key_type',
    how: 'a live key on the sandbox host',
    call: withHeader('host', 'sandbox.localhost'),
  },
  {
    status: 403,
    type: 'subscription_inactive',
    how: 'a paused tenant',
    before: () => setTenant({ subscription_status: 'paused' }),
    call: () => ({}),
    after: () => setTenant({ subscription_status: 'active' }),
  },
  {
    status: 404,
    type: 'tenant_not_found',
    how: 'an unknown tenant host',
    call: withHeader('host', 'nobody.localhost'),
    isUnlogged: true,
  },
  {
    status: 402,
    type: 'plan_feature',
    how: 'switched off for the tenant',
    before: () => setTenant({ ephemeral_enabled: false }),
    call: () => ({}),
    after: () => setTenant({ ephemeral_enabled: null }),
  },
  {
    status: 402,
    type: 'plan_feature',
    how: 'the tier Free',
    before: () => setTenant({ plan: 'free' }),
    call: () => ({}),
    after: () => setTenant({ plan: 'enterprise' }),
  },
  {
    status: 402,
    type: 'plan_limit',
    how: 'no operations left',
    before: () => setTenant({ plan: 'starter' }),
    call: () => ({}),
    after: () => setTenant({ plan: 'enterprise' }),
  },
  {
    status: 429,
    type: 'rate_limit_exceeded',
    how: 'the second call of a second',
    before: async () => {
      await setTenant({ plan: 'pro' });
      await call({});
    },
    call: () => ({}),
    after: () => setTenant({ plan: 'enterprise' }),
  },
  {
    status: 403,
    type: 'ssrf_blocked',
    how: 'a private address',
    call: withUrl(() => 'https://internal.example.com/'),
  },
  {
    status: 403,
    type: 'egress_blocked',
    how: 'a host off the allowlist',
    before: () => server.api('PUT', '/v1/egress/allowlist', { hosts: ['other.example.com'] }),
    call: () => ({}),
    after: () => server.api('PUT', '/v1/egress/allowlist', { hosts: [] }),
  },
  ...['UNBOUND', 'ELSEWHERE'].map((name) => ({
    status: 403,
    type: 'egress_blocked',
    how: `the secret ${name}`,
    call: withBody(() => `["{{secret:${name}}}"]`),
  })),
  {
    status: 400,
    type: 'secret_not_found',
    how: 'an unknown secret',
    call: withBody(() => '["{{secret:NO}}"]'),
  },
  { status: 400, type: 'secret_expired', how: 'a strict expiry', call: withBody(() => '["{{secret:OLD}}"]') },
  { status: 403, type: 'forbidden', how: 'without proxy:invoke', call: () => ({ key: keys.withoutInvoke }) },
  {
    status: 403,
    type: 'forbidden',
    how: 'without vaults:detokenize',
    call: withBody(
      () => reference(`cards.${token}`),
      () => keys.withoutDetokenize,
    ),
  },
  {
    status: 404,
    type: 'token_not_found',
    how: 'an unknown token',
    call: withBody(() => reference('cards.tok_NO')),
  },
  {
    status: 404,
    type: 'token_not_found',
    how: 'an unknown vault',
    call: withBody(() => reference('no.tok_NO')),
  },
  {
    status: 409,
    type: 'vault_disabled',
    how: 'a disabled vault',
    call: withBody(() => reference('closed.tok_NO')),
  },
  {
    status: 413,
    type: 'payload_too_large',
    how: 'above 10 MiB',
    call: announcing(LIMITS.templatedBodyBytesMax + 1, JSON_TYPE),
  },
  {
    status: 413,
    type: 'payload_too_large',
    how: 'transparent above 100 MiB',
    call: announcing(LIMITS.transparentBodyBytesMax + 1, { 'x-knox-proxy-mode': 'transparent' }),
  },
  {
    status: 502,
    type: 'upstream_unreachable',
    how: 'nobody listens',
    call: withUrl(() => `https://api.example.com:${closedPort}/`),
  },
  {
    status: 502,
    type: 'dns_failure',
    how: 'no such name',
    call: withUrl(() => 'https://nowhere.example.com/'),
  },
  {
    status: 502,
    type: 'upstream_tls_error',
    how: 'a certificate for another name',
    call: withUrl(() => server.target.replace('api.', 'other-name.')),
  },
  {
    status: 502,
    type: 'redaction_failed',
    how: 'a rule and a coding that nobody knows',
    before: async () => {
      await redactAll();
      server.answer = (_request, response) =>
        response.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'unheard-of' }).end('{}');
    },
    call: () => ({}),
    after: () => dropRules(),
  },
  {
    status: 502,
    type: 'egress_unavailable',
    how: 'a default egress server that nobody can find',
    before: async () => {
      const proxy = { name: 'gone', kind: 'socks5', address: 'nowhere.example.com', port: 1080 };
      const { json } = await server.api('POST', '/v1/egress/servers', proxy);
      await server.api('PUT', '/v1/egress/default', { egress_server_id: json.data.id });
    },
    call: () => ({}),
    after: () => server.api('PUT', '/v1/egress/default', { egress_server_id: null }),
  },
  {
    status: 504,
    type: 'upstream_timeout',
    how: 'an upstream that is silent',
    before: async () => {
      server.answer = () => {};
    },
    call: withHeader('x-knox-timeout-ms', '100'),
  },
  { status: 508, type: 'loop_detected', how: 'our own hop marker', call: () => ({ headers: { via } }) },
];

/** Rows of the same table that no call to this version can bring about, and why. */
const NOT_REACHED: Record<string, string> = {
  'template_error: an ambiguous token': 'format-preserving tokens of two vaults would have to collide',
  'egress_blocked: an escrowed credential': 'there are none yet',
};

let rules: string[] = [];
async function redactAll(): Promise<void> {
  const match = { type: 'builtin', value: 'pan' };
  const rule = { name: 'all', target: 'response', match, action: 'mask' };
  rules = [(await server.api('POST', '/v1/redaction-rules', rule)).json.data.id];
}
async function dropRules(): Promise<void> {
  for (const id of rules) await server.api('DELETE', `/v1/redaction-rules/${id}`);
}

async function expectRefusal(
  answer: Answer,
  { status, type, isUnlogged }: Pick<Row, 'status' | 'type' | 'isUnlogged'>,
) {
  const { error } = JSON.parse(answer.body);
  expect([answer.status, error.type]).toEqual([status, type]);
  expect(error.request_id).toBe(answer.headers['x-request-id']);
  expect(answer.headers).not.toHaveProperty('x-knox-destination-status');
  const row = () => server.api('GET', `/v1/logs/${error.request_id}`);
  if (isUnlogged) {
    // Those that a later call has written are there, so this one's would be too.
    const next = await call(withUrl(() => '')());
    await expect
      .poll(async () => (await server.api('GET', `/v1/logs/${next.headers['x-request-id']}`)).status)
      .toBe(200);
    expect((await row()).status).toBe(404);
    return;
  }
  await expect.poll(async () => (await row()).status).toBe(200);
  expect((await row()).json.data).toMatchObject({
    proxy_mode: 'ephemeral',
    status_code: status,
    error: type,
    rate_limited: type === 'rate_limit_exceeded',
  });
}

describe('each row of the errors of the ephemeral proxy, end to end', () => {
  it.each(ROWS.map((row) => [row.status, row.type, row.how, row] as const))(
    '%i %s: %s',
    async (_status, _type, _how, row) => {
      await row.before?.();
      const answer = await call(row.call());
      await row.after?.();
      await expectRefusal(answer, row);
    },
  );

  it('no row is both reached and not', () => {
    const reached = new Set(ROWS.map(({ type }) => type));
    expect(Object.keys(NOT_REACHED).filter((name) => reached.has(name))).toEqual([]);
  });

  it('503 dependency_unavailable: the database takes no write', async () => {
    const other = new (loadSqlite().DatabaseSync)(join(server.dataDir, 'knox.db'));
    other.exec('BEGIN IMMEDIATE');
    const answer = await call(withBody(() => reference(`cards.${token}`))());
    other.exec('ROLLBACK');
    other.close();
    expect(answer.headers['retry-after']).toMatch(/^[1-9]/);
    await expectRefusal(answer, { status: 503, type: 'dependency_unavailable' });
  });

  it('503 tenant_sealed: the tenant’s key is gone', async () => {
    await server.restart(() => {
      const files = new (loadSqlite().DatabaseSync)(join(server.dataDir, 'knox.db'));
      files.exec("UPDATE tenant_master_keys SET status = 'revoked', wrapped = NULL");
      files.close();
    });
    const answer = await call(withBody(() => reference(`cards.${token}`))());
    expect(answer.headers['retry-after']).toBe('30');
    await expectRefusal(answer, { status: 503, type: 'tenant_sealed' });
  });
});
