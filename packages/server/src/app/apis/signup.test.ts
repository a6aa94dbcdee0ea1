import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import { callInProcess, type TestCall } from '../../testing/calls.js';
import { forEachDatabase, storedRows } from '../../testing/databases.js';
import { createHarness } from '../../testing/harness.js';
import { openInstallation, type TestInstallation } from '../../testing/installation.js';

const PASSWORD = 'a password of their own';
const HOUR_MS = 3_600_000;

let installation: TestInstallation;
let made = 0;
/** An address, and a network, that no other test has. */
const fresh = () => ({ email: `u${++made}@example.com`, ip: `198.51.${made >> 8}.${made & 255}` });

const ask = (method: string, path: string, call: TestCall = {}) =>
  callInProcess(installation.app, method, path, call);
const signup = (body: object, ip = fresh().ip) =>
  ask('POST', '/v1/signup', { body: { email: fresh().email, tenant_name: 'Acme', ...body }, ip });
const claim = (claim_handle: string) => ask('POST', '/v1/signup/claim', { body: { claim_handle } });
const look = (path: string) => ask('GET', path);
const confirm = (path: string, password = PASSWORD) =>
  ask('POST', '/auth/signup', {
    payload: new URLSearchParams({ token: tokenOf(path), password }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
const tokenOf = (path: string) => new URL(path, 'http://x').searchParams.get('token')!;

function linkTo(email: string): string {
  const { text } = installation.services.mailBox.lastTo(email);
  const url = new URL(/http\S+token=\S+/.exec(text)![0]);
  return `${url.pathname}${url.search}`;
}

/** Whether that address can sign in. */
async function statusOfSignIn(email: string, password = PASSWORD): Promise<number> {
  return (await ask('POST', '/admin/auth/login', { body: { email, password }, ip: fresh().ip })).status;
}

const typeOf = ({ status, json }: Awaited<ReturnType<typeof ask>>) => [status, json['error']?.['type']];

forEachDatabase((name, open) => {
  beforeAll(async () => {
    installation = await openInstallation({ open });
  });
  afterAll(() => installation.close());

  it('makes a tenant once the mailed link was used, and gives its first key away once', async () => {
    const { email, ip } = fresh();
    const body = { tenant_name: 'Ärger & Söhne', full_name: 'Ada <b>', country: 'AU', region: 'au' };
    const asked = await signup({ email, ...body }, ip);
    expect([asked.status, asked.headers['cache-control']]).toEqual([202, 'no-store']);
    const expiresAt = new Date(installation.clock.nowMs() + 24 * HOUR_MS).toISOString();
    const pending = {
      status: 'pending',
      message: expect.any(String),
      poll_after_seconds: 5,
      expires_at: expiresAt,
    };
    expect(asked.json['data']).toEqual({
      ...pending,
      claim_handle: expect.stringMatching(/^[\w-]{43}$/),
      claim_path: '/v1/signup/claim',
      documentation: 'http://127.0.0.1:8787/docs',
    });
    const handle = asked.json['data']['claim_handle'];
    const early = await claim(handle);
    expect([early.status, early.json['data']]).toEqual([202, pending]);
    expect(await statusOfSignIn(email)).toBe(401);

    const link = linkTo(email);
    for (let visit = 0; visit < 2; visit++) {
      const page = await look(link);
      expect(page.status).toBe(200);
      expect(page.text).toContain('Ärger &amp; Söhne');
      expect(page.text).toContain('Ada &lt;b&gt;');
      expect(page.text).toContain(ip);
      expect(page.headers['content-security-policy']).toContain("default-src 'none'");
      expect(page.headers['referrer-policy']).toBe('no-referrer');
    }
    expect((await claim(handle)).status).toBe(202);
    const short = await confirm(link, 'too short');
    expect([short.status, short.text]).toEqual([400, expect.stringContaining('at least 12 characters')]);
    const done = await confirm(link);
    expect([done.status, done.text]).toEqual([200, expect.stringContaining('arger-sohne')]);

    const ready = await claim(handle);
    expect([ready.status, ready.headers['cache-control']]).toEqual([200, 'no-store']);
    const { tenant, starter, ...rest } = ready.json['data'];
    const { api_key: key, ...others } = starter;
    expect(tenant).toEqual({
      id: expect.any(String),
      slug: 'arger-sohne',
      name: 'Ärger & Söhne',
      region: 'au',
      plan: 'free',
    });
    expect(key).toEqual({
      id: expect.any(String),
      key_id: expect.stringMatching(/^tk_test_/),
      api_key: expect.stringContaining(key.key_id),
      key_prefix: expect.any(String),
      key_type: 'test',
    });
    const host = 'sandbox-arger-sohne.localhost:8787';
    expect(others).toEqual({
      route: null,
      sandbox_host: host,
      curl: `curl -H 'Authorization: Bearer ${key.api_key}' http://127.0.0.1:8787/v1/account`,
    });
    expect(rest).toEqual({
      status: 'ready',
      sandbox: { management_api: 'http://127.0.0.1:8787', proxy_host: host, note: expect.any(String) },
      documentation: 'http://127.0.0.1:8787/docs',
    });
    expect(typeOf(await claim(handle))).toEqual([409, 'conflict']);
    expect((await look(link)).status).toBe(409);
    expect((await confirm(link)).status).toBe(409);

    const account = await ask('GET', '/v1/account', { key: key.api_key });
    expect(account.json['data']).toEqual({
      ...tenant,
      plan: undefined,
      subscription_plan: 'free',
      subscription_status: 'active',
      trial_start_at: null,
      trial_end_at: null,
      subscription_current_period_start: expect.any(String),
      subscription_current_period_end: expect.any(String),
      subscription_cancel_at: null,
      created_at: expect.any(String),
    });
    expect((await ask('POST', '/v1/vaults', { key: key.api_key, body: { name: 'cards' } })).status).toBe(201);
    expect(await statusOfSignIn(email)).toBe(200);
    await installation.db.flush();
    const audit = await ask('GET', '/v1/audit-logs?per_page=100', { key: key.api_key });
    const rows = audit.json['data'] as { action: string }[];
    const of = (action: string) => rows.filter((row) => row.action === action);
    const mark = { resource_type: 'tenant', resource_id: tenant.id, ip_address: '127.0.0.1' };
    expect(of('account.signup')).toEqual([expect.objectContaining(mark)]);
    expect(of('account.claim')).toEqual([expect.objectContaining(mark)]);
    expect([of('tenant.create').length, of('api_key.create').length]).toEqual([1, 1]);
  });

  it('lets one of several at once confirm, and one claim', async () => {
    const { email, ip } = fresh();
    const handle = (await signup({ email, tenant_name: 'At once' }, ip)).json['data']['claim_handle'];
    const link = linkTo(email);
    const pages = await Promise.all(Array.from({ length: 4 }, () => confirm(link)));
    expect(pages.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
    const claims = await Promise.all(Array.from({ length: 4 }, () => claim(handle)));
    expect(claims.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
  });

  it('takes three an hour of a network, also of ten at once', async () => {
    const { ip } = fresh();
    const answers = await Promise.all(Array.from({ length: 10 }, () => signup({}, ip)));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([202, 202, 202, 429, 429, 429, 429, 429, 429, 429]);
    installation.clock.advance(HOUR_MS / 2);
    const refused = await signup({}, ip);
    expect([...typeOf(refused), refused.headers['retry-after']]).toEqual([
      429,
      'rate_limit_exceeded',
      '1800',
    ]);
    installation.clock.advance(HOUR_MS / 2);
    expect((await signup({}, ip)).status).toBe(202);
  });

  it('counts an IPv6 network as one', async () => {
    const statuses = [];
    for (let host = 1; host <= 4; host++) statuses.push((await signup({}, `2001:db8:7:7::${host}`)).status);
    expect(statuses).toEqual([202, 202, 202, 429]);
  });

  it('answers an address that has an account as any other, and tells its owner alone', async () => {
    const known = installation.owner.email;
    const [one, other] = [fresh(), fresh()];
    const before = name === 'sqlite' ? storedRows(installation.db.storage) : null;
    const first = await signup({ email: known.toUpperCase(), tenant_name: 'Same' }, one.ip);
    const between = before && storedRows(installation.db.storage);
    const second = await signup({ email: other.email, tenant_name: 'Same' }, other.ip);
    const bare = ({ text }: typeof first) =>
      text.replace(/"claim_handle":"[\w-]{43}"/, '').replace(/"request_id":"[^"]+"/, '');
    const headersOf = ({ headers }: typeof first) => ({ ...headers, 'x-request-id': '', date: '' });
    expect(bare(first)).toBe(bare(second));
    expect(headersOf(first)).toEqual(headersOf(second));
    if (before && between) {
      const changedIn = (was: Map<string, string>, is: Map<string, string>) =>
        [...is].filter(([table, rows]) => was.get(table) !== rows).map(([table]) => table);
      expect(changedIn(before, between)).toEqual(['signups']);
      expect(changedIn(between, storedRows(installation.db.storage))).toEqual(['signups']);
    }
    const { mails } = installation.services.mailBox;
    expect(mails.at(-2)!.text.reveal()).not.toContain('token=');
    expect(mails.at(-2)!.subject).toContain('already');
    expect(mails.at(-1)!.text.reveal()).toContain('token=');
    const handle = first.json['data']['claim_handle'];
    expect((await claim(handle)).status).toBe(202);
    installation.clock.advance(24 * HOUR_MS);
    expect(typeOf(await claim(handle))).toEqual([404, 'not_found']);
  });

  it('sends three mails a day to one address, whoever asks, and says nothing of it', async () => {
    const { email } = fresh();
    for (let i = 0; i < 5; i++) expect((await signup({ email })).status).toBe(202);
    const mails = installation.services.mailBox.mails.filter(({ to }) => to === email);
    expect(mails).toHaveLength(LIMITS.signupMailsPerAddressMax);
  });

  it('makes no second account of an address whose links were two', async () => {
    const { email } = fresh();
    const links = [];
    const handles: string[] = [];
    for (let i = 0; i < 2; i++) {
      handles.push((await signup({ email, tenant_name: 'Twice' })).json['data']['claim_handle']);
      links.push(linkTo(email));
    }
    expect((await confirm(links[0]!)).status).toBe(200);
    const again = await confirm(links[1]!);
    expect([again.status, again.text]).toEqual([409, expect.stringContaining('sign in')]);
    expect((await claim(handles[1]!)).status).toBe(202);
    expect((await claim(handles[0]!)).status).toBe(200);
  });

  it('takes the slug that was asked for, or the next that is free', async () => {
    const slugs = [];
    for (const tenant_slug of ['shop', undefined, undefined]) {
      const { email } = fresh();
      const handle = (await signup({ email, tenant_name: 'Shop!', tenant_slug })).json['data'][
        'claim_handle'
      ];
      await confirm(linkTo(email));
      slugs.push((await claim(handle)).json['data']['tenant']['slug']);
    }
    expect(slugs).toEqual(['shop', 'shop-2', 'shop-3']);
    expect(typeOf(await signup({ tenant_slug: 'shop' }))).toEqual([409, 'conflict']);
    // Taken between the signup and the link.
    const [one, other] = [fresh(), fresh()];
    await signup({ email: one.email, tenant_slug: 'kiosk' });
    const handle = (await signup({ email: other.email, tenant_slug: 'kiosk' })).json['data']['claim_handle'];
    await confirm(linkTo(one.email));
    await confirm(linkTo(other.email));
    expect((await claim(handle)).json['data']['tenant']['slug']).toBe('kiosk-2');
  });

  it('forgets handle and link after a day, and then the row', async () => {
    const { email } = fresh();
    const handle = (await signup({ email })).json['data']['claim_handle'];
    const link = linkTo(email);
    installation.clock.advance(24 * HOUR_MS);
    expect((await look(link)).status).toBe(404);
    expect((await confirm(link)).status).toBe(404);
    expect((await claim(handle)).status).toBe(404);
    expect(await installation.services.signups.removeEnded(1_000)).toBeGreaterThan(0);
    expect(await installation.services.signups.removeEnded(1_000)).toBe(0);
  });

  it('leaves no link, handle or password in the log', () => {
    const { mails } = installation.services.mailBox;
    const tokens = mails.flatMap(({ text }) => /token=(\S+)/.exec(text.reveal())?.slice(1) ?? []);
    expect(tokens.length).toBeGreaterThan(8);
    const log = installation.logLines.join('');
    expect([...tokens, PASSWORD].filter((secret) => log.includes(secret))).toEqual([]);
  });
});

describe('400', () => {
  beforeAll(async () => {
    installation = await openInstallation();
  });
  afterAll(() => installation.close());

  it.each([
    ['email', { email: 'ada' }],
    ['email', { email: 'ada@example.com\r\nBcc: eve@example.com' }],
    ['tenant_name', { tenant_name: ' ' }],
    ['tenant_name', { tenant_name: 'a\r\nBcc: eve@example.com' }],
    ['tenant_slug', { tenant_slug: 'Shop' }],
    ['tenant_slug', { tenant_slug: 'api' }],
    ['tenant_slug', { tenant_slug: 'sandbox-shop' }],
    ['country', { country: 'Australia' }],
    ['region', { region: 'moon' }],
    ['password', { password: PASSWORD }],
  ])('%s', async (field, body) => {
    const { status, json } = await signup(body);
    expect([status, Object.keys(json['fields'] ?? {})]).toEqual([400, [field]]);
  });

  it('of a page without a link', async () => {
    for (const path of ['/auth/signup', '/auth/signup?token=x', `/auth/signup?token=${'x'.repeat(5_000)}`])
      expect((await look(path)).status).toBe(404);
    expect((await confirm('/auth/signup?token=x')).status).toBe(404);
  });

  it('404 of a claim that nobody has', async () => {
    expect(typeOf(await claim('x'))).toEqual([404, 'not_found']);
  });
});

describe('where signup is off', () => {
  it('is as unknown as any path, whatever is sent', async () => {
    const harness = await createHarness({ isSignupOn: false });
    for (const path of ['/v1/signup', '/v1/signup/claim'])
      for (const call of [{}, { body: { email: 'a@example.com', tenant_name: 'A' } }, { payload: '{' }]) {
        const answer = await harness.call('POST', path, call);
        expect([path, ...typeOf(answer)]).toEqual([path, 404, 'not_found']);
        const { json } = await harness.call('POST', '/v1/nothing', call);
        expect(answer.json['error']['message']).toBe(json['error']['message']);
      }
    expect(harness.routes.filter(({ path }) => path.startsWith('/v1/signup'))).toEqual([]);
    await harness.close();
  });
});
