import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import type { TestCall } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { OWNER_PASSWORD } from '../../testing/tenants.js';

const AUTH = '/admin/auth';
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

let harness: Harness;
let email: string;
beforeAll(async () => {
  harness = await createHarness();
  email = harness.tenant.ownerEmail;
});
afterAll(() => harness.close());

const post = (path: string, body: unknown, call: TestCall = {}) =>
  harness.call('POST', `${AUTH}/${path}`, { ...call, body });

const login = (body: object = {}, call: TestCall = {}) =>
  post('login', { email, password: OWNER_PASSWORD, cookie: false, ...body }, call);

/** A session whose secrets are in the body. */
async function opened(): Promise<{ token: string; refresh: string; id: string }> {
  const { json } = await login();
  const token = String(json['token']);
  return { token, refresh: String(json['refresh_token']), id: String(decodeJwt(token)['sid']) };
}

async function outcome(answer: Promise<{ status: number; json: Harness['logLines'] | object }>) {
  const { status, json } = (await answer) as { status: number; json: Record<string, { type?: string }> };
  return [status, json['error']?.type];
}

async function audited(action: string) {
  await harness.flush();
  const path = `/v1/audit-logs?per_page=100&action=${action}`;
  const { json } = await harness.call('GET', path, { key: harness.tenant.live });
  return json['data'] as { details: Record<string, unknown>; ip_address: string }[];
}

describe('200', () => {
  it('signs in with a bare answer that holds token, user and tenants', async () => {
    const answer = await login();
    expect(answer.status).toBe(200);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(answer.json).toEqual({
      token: expect.any(String),
      expires_in: 900,
      user: { id: expect.any(String), email, created_at: '2026-01-15T09:30:00.000Z' },
      tenants: [{ id: harness.tenant.id, slug: 'acme', name: 'acme', role: 'owner' }],
      refresh_token: expect.stringMatching(/^[\w-]{43}$/),
    });
    const nowSeconds = harness.clock.nowMs() / 1000;
    expect(decodeProtectedHeader(answer.json['token'])).toEqual({
      alg: 'ES256',
      typ: 'JWT',
      kid: expect.stringMatching(/^[\w-]{43}$/),
    });
    expect(decodeJwt(answer.json['token'])).toEqual({
      sub: answer.json['user']['id'],
      tid: harness.tenant.id,
      sid: expect.any(String),
      role: 'owner',
      iat: nowSeconds,
      exp: nowSeconds + 900,
      amr: ['pwd'],
      auth_time: nowSeconds,
    });
  });

  it('takes the address in any case, with blanks around it', async () => {
    expect((await login({ email: ` ${email.toUpperCase()} ` })).status).toBe(200);
  });

  it('tells who is signed in, where, and what it may do there', async () => {
    const { token } = await opened();
    const { status, json } = await harness.call('GET', `${AUTH}/me`, { token });
    expect(status).toBe(200);
    expect(json).toMatchObject({ user: { email }, tenant_id: harness.tenant.id, role: 'owner' });
    expect(json['permissions']).toEqual([...json['permissions']].sort());
    expect(json['permissions']).toEqual(
      expect.arrayContaining(['vaults:write', 'tenant:delete', 'agent:create']),
    );
  });

  it('lists the sessions of the user and ends one, which is refused at once', async () => {
    const [kept, ended] = [await opened(), await opened()];
    const list = async () =>
      (await harness.call('GET', `${AUTH}/sessions`, { token: kept.token })).json['sessions'] as {
        id: string;
        current: boolean;
      }[];
    const row = (await list()).find(({ id }) => id === kept.id);
    expect(row).toEqual({
      id: kept.id,
      current: true,
      amr: ['pwd'],
      ip_address: '127.0.0.1',
      user_agent: 'lightMyRequest',
      created_at: '2026-01-15T09:30:00.000Z',
      last_used_at: '2026-01-15T09:30:00.000Z',
      expires_at: '2026-01-22T09:30:00.000Z',
    });
    expect((await list()).map(({ id }) => id)).toContain(ended.id);
    const answer = await harness.call('DELETE', `${AUTH}/sessions/${ended.id}`, { token: kept.token });
    expect([answer.status, answer.json]).toEqual([200, { deleted: true }]);
    expect((await list()).map(({ id }) => id)).not.toContain(ended.id);
    expect(await outcome(harness.call('GET', `${AUTH}/me`, { token: ended.token }))).toEqual([
      401,
      'invalid_token',
    ]);
    expect(await outcome(harness.call('GET', '/admin/api-keys', { token: ended.token }))).toEqual([
      401,
      'invalid_token',
    ]);
    expect(await outcome(post('refresh', { refresh_token: ended.refresh }))).toEqual([401, 'invalid_token']);
    expect(await audited('auth.session.revoke')).toContainEqual(
      expect.objectContaining({
        resource_type: 'user',
        details: { session_id: ended.id, reason: 'asked', sandbox: false },
        ip_address: '127.0.0.1',
      }),
    );
  });

  it('refreshes: a new pair, the same session, the time of the sign-in', async () => {
    const own = await opened();
    const signedInAt = decodeJwt(own.token)['auth_time'];
    await harness.advance(10 * MINUTE_MS);
    const answer = await post('refresh', { refresh_token: own.refresh });
    expect(answer.status).toBe(200);
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(answer.json['refresh_token']).not.toBe(own.refresh);
    expect(decodeJwt(answer.json['token'])).toMatchObject({ sid: own.id, auth_time: signedInAt });
    expect((await harness.call('GET', `${AUTH}/me`, { token: answer.json['token'] })).status).toBe(200);
  });

  it('logs out by refresh token and by admin token, and twice does no harm', async () => {
    const [byRefresh, byToken] = [await opened(), await opened()];
    for (const _ of [1, 2]) {
      const answer = await post('logout', { refresh_token: byRefresh.refresh });
      expect([answer.status, answer.json]).toEqual([200, { logged_out: true }]);
    }
    expect((await post('logout', undefined, { token: byToken.token })).status).toBe(200);
    for (const { token } of [byRefresh, byToken])
      expect(await outcome(harness.call('GET', `${AUTH}/me`, { token }))).toEqual([401, 'invalid_token']);
    for (const { id } of [byRefresh, byToken]) {
      const ofSession = { details: { session_id: id, sandbox: false } };
      expect(await audited('auth.logout')).toContainEqual(expect.objectContaining(ofSession));
      const ofLogin = { details: { session_id: id, amr: ['pwd'], sandbox: false } };
      expect(await audited('auth.login')).toContainEqual(expect.objectContaining(ofLogin));
    }
  });
});

describe('who is a stranger', () => {
  it('is turned away by reads: the writer of an embedded database is everybody’s', async () => {
    const guess = (password: string) =>
      post('login', { email: 'nobody@example.com', password, cookie: false });
    for (let i = 0; i < LIMITS.signInFailuresMax; i++) expect((await guess('wrong wrong')).status).toBe(401);
    const writes = vi.spyOn(harness.db, 'transaction');
    const answers = [
      await outcome(post('refresh', { refresh_token: 'x'.repeat(43) })),
      await outcome(post('logout', { refresh_token: 'x'.repeat(43) })),
      await outcome(guess('wrong wrong')),
    ];
    expect(answers).toEqual([
      [401, 'invalid_token'],
      [200, undefined],
      [429, 'rate_limit_exceeded'],
    ]);
    expect(writes).not.toHaveBeenCalled();
    writes.mockRestore();
  });

  it('waits in a short line and is sent away beyond it, while callers who are known find room', async () => {
    const inLine = LIMITS.visitorWritesAtOnceMax + LIMITS.visitorWritesWaitingMax;
    const { refresh } = await opened();
    const writer = await holdWriter();
    const writes = vi.spyOn(harness.db, 'transaction');
    const guesses = crowdOf(inLine + 10, (i) =>
      post('login', { email: `${i}@crowd.example`, password: 'wrong wrong' }, { ip: '192.0.2.100' }),
    );
    const refreshes = crowdOf(inLine + 5, () => post('refresh', { refresh_token: refresh }));
    const turnedAway = [...(await guesses.first(10)), ...(await refreshes.first(5))];
    turnedAway.push(await post('logout', { refresh_token: refresh }));
    for (const { status, headers, json } of turnedAway) {
      expect([status, headers['retry-after']]).toEqual([503, '1']);
      expect(json['error']).toMatchObject({ type: 'dependency_unavailable', retry_after: 1 });
    }
    expect(writes).toHaveBeenCalledTimes(2 * LIMITS.visitorWritesAtOnceMax);
    const key = harness.tenant.live;
    const known = harness.call('POST', '/v1/api-keys', { key, body: { name: 'made in a crowd' } });
    writer.release();
    expect((await known).status).toBe(201);
    const judged = (await guesses.all).filter(({ status }) => status === 401);
    expect(judged).toHaveLength(inLine);
    expect((await refreshes.all).filter(({ status }) => status === 503)).toHaveLength(5);
    writes.mockRestore();
    expect((await login()).status).toBe(200);
  });
});

/** Until it is released nobody else writes. */
async function holdWriter(): Promise<{ release(): void }> {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await new Promise<void>((resolve) => {
    void harness.db.transaction(async () => {
      resolve();
      await held;
    });
  });
  // Where the test fails nobody is left waiting.
  onTestFinished(release);
  return { release };
}

type Answers = Awaited<ReturnType<typeof post>>[];

/** Calls at once; `first` resolves with as many answers as are asked for, when they have come. */
function crowdOf(calls: number, call: (index: number) => ReturnType<typeof post>) {
  const answers: Answers = [];
  let onAnswer = () => {};
  const all = Promise.all(
    Array.from({ length: calls }, async (_, index) => {
      const answer = await call(index);
      answers.push(answer);
      onAnswer();
      return answer;
    }),
  );
  return {
    all,
    first: (count: number) =>
      new Promise<Answers>((resolve) => {
        onAnswer = () => {
          if (answers.length >= count) resolve([...answers]);
        };
        onAnswer();
      }),
  };
}

describe('400', () => {
  it.each([
    ['no password', { password: undefined }, 'password'],
    ['an empty password', { password: '' }, 'password'],
    ['an endless password', { password: 'é'.repeat(LIMITS.passwordBytesMax / 2 + 1) }, 'password'],
    ['no address', { email: undefined }, 'email'],
    ['an endless address', { email: `${'x'.repeat(255)}@b.example` }, 'email'],
    ['a cookie that is no boolean', { cookie: 'no' }, 'cookie'],
    ['a field that is not known', { mfa: true }, 'mfa'],
  ])('login with %s', async (_, body, field) => {
    const answer = await login(body);
    expect([answer.status, Object.keys(answer.json['fields'])]).toEqual([400, [field]]);
  });

  it('a session id that is none', async () => {
    const { token } = await opened();
    const call = harness.call('DELETE', `${AUTH}/sessions/mine`, { token });
    expect(await outcome(call)).toEqual([400, 'validation_error']);
  });
});

describe('401', () => {
  it('is one answer for an unknown account and a wrong password', async () => {
    const answers = [
      await login({ password: 'wrong horse battery' }),
      await login({ email: 'nobody@acme.example', password: 'wrong horse battery' }),
    ];
    const bare = answers.map(({ status, json, headers }) => ({
      status,
      json: { ...json, error: { ...json['error'], request_id: '' } },
      headers: { ...headers, date: '', 'x-request-id': '' } as typeof headers,
    }));
    expect(bare[0]).toMatchObject({ status: 401, json: { error: { type: 'invalid_credentials' } } });
    expect(bare[1]).toEqual(bare[0]);
    expect(bare[0]?.headers['www-authenticate']).toBe('Bearer');
    await login();
    // Of the account that does not exist there is no tenant to tell it to.
    const rows = await audited('auth.login_failed');
    expect(rows.map(({ details }) => details)).toEqual([
      { method: 'password', locked: false, sandbox: false },
    ]);
  });

  it('a failure is audited within two seconds, and before the server stops', async () => {
    const { length } = await audited('auth.login_failed');
    const failed = async () => {
      const path = '/v1/audit-logs?per_page=100&action=auth.login_failed';
      const { json } = await harness.call('GET', path, { key: harness.tenant.live });
      return (json['data'] as object[]).length - length;
    };
    await login({ password: 'wrong horse battery' }, { ip: '192.0.2.77' });
    await harness.db.flush();
    expect(await failed()).toBe(0);
    harness.clock.advance(2_000);
    await vi.waitFor(async () => expect(await failed()).toBe(1));
    await login({ password: 'wrong horse battery' }, { ip: '192.0.2.77' });
    await harness.flush();
    expect(await failed()).toBe(2);
  });

  it.each([
    ['no token', {}, 'authentication_required'],
    ['an API key', { key: 'live' }, 'invalid_token'],
    ['a text', { token: 'x' }, 'invalid_token'],
    ['an endless text', { token: `eyJ${'x'.repeat(9_000)}` }, 'invalid_token'],
  ])('me with %s', async (_, call, type) => {
    const made = 'key' in call ? { key: harness.tenant.live } : call;
    expect(await outcome(harness.call('GET', `${AUTH}/me`, made))).toEqual([401, type]);
  });

  it('a token without its signature, or with another algorithm', async () => {
    const { token } = await opened();
    const [header = '', claims = ''] = token.split('.');
    const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
    for (const forged of [`${header}.${claims}.`, `${none}.${claims}.`, `${header}.${claims}.${claims}`])
      expect(await outcome(harness.call('GET', `${AUTH}/me`, { token: forged }))).toEqual([
        401,
        'invalid_token',
      ]);
  });

  it('a token after 15 minutes', async () => {
    const { token } = await opened();
    await harness.advance(15 * MINUTE_MS - 1_000);
    expect((await harness.call('GET', `${AUTH}/me`, { token })).status).toBe(200);
    await harness.advance(1_000);
    expect(await outcome(harness.call('GET', `${AUTH}/me`, { token }))).toEqual([401, 'invalid_token']);
  });

  it('refresh and logout without anything, refresh with a text', async () => {
    expect(await outcome(post('refresh', {}))).toEqual([401, 'authentication_required']);
    expect(await outcome(post('logout', undefined))).toEqual([401, 'authentication_required']);
    expect(await outcome(post('refresh', { refresh_token: 'x' }))).toEqual([401, 'invalid_token']);
  });

  it('a refresh token used twice ends its session, the newest token too', async () => {
    const own = await opened();
    const next = await post('refresh', { refresh_token: own.refresh });
    expect(await outcome(post('refresh', { refresh_token: own.refresh }))).toEqual([401, 'invalid_token']);
    const { refresh_token: newest, token } = next.json as { refresh_token: string; token: string };
    expect(await outcome(post('refresh', { refresh_token: newest }))).toEqual([401, 'invalid_token']);
    expect(await outcome(harness.call('GET', `${AUTH}/me`, { token }))).toEqual([401, 'invalid_token']);
    const ofReuse = { details: { session_id: own.id, reason: 'refresh_reuse', sandbox: false } };
    expect(await audited('auth.session.revoke')).toContainEqual(expect.objectContaining(ofReuse));
  });

  it('of twenty refreshes at once one goes through at most', async () => {
    const own = await opened();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post('refresh', { refresh_token: own.refresh })),
    );
    expect(answers.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
    expect(await outcome(harness.call('GET', `${AUTH}/me`, { token: own.token }))).toEqual([
      401,
      'invalid_token',
    ]);
  });

  it('a session that was not used for 7 days, and one of 30 days', async () => {
    const idle = await opened();
    let used = await opened();
    for (let day = 6; day < 30; day += 6) {
      harness.clock.advance(6 * DAY_MS);
      const answer = await post('refresh', { refresh_token: used.refresh });
      expect(answer.status).toBe(200);
      used = { ...used, refresh: answer.json['refresh_token'] };
    }
    expect(await outcome(post('refresh', { refresh_token: idle.refresh }))).toEqual([401, 'invalid_token']);
    harness.clock.advance(6 * DAY_MS);
    expect(await outcome(post('refresh', { refresh_token: used.refresh }))).toEqual([401, 'invalid_token']);
  });
});

describe('404 and 405', () => {
  it("another user's session, an unknown and an ended one", async () => {
    const own = await opened();
    const foreign = decodeJwt(await harness.signIn(harness.other.ownerEmail))['sid'];
    const ended = await opened();
    await post('logout', { refresh_token: ended.refresh });
    for (const id of [foreign, '00000000-0000-4000-8000-00000000dead', ended.id]) {
      const call = harness.call('DELETE', `${AUTH}/sessions/${String(id)}`, { token: own.token });
      expect(await outcome(call)).toEqual([404, 'not_found']);
    }
  });

  it.each([
    ['POST', '/v1/auth/login'],
    ['POST', '/v1/auth/step-up'],
    ['POST', `${AUTH}/sso`],
    ['GET', '/admin/databases'],
  ])('%s %s is not there', async (method, path) => {
    expect(await outcome(harness.call(method, path))).toEqual([404, 'not_found']);
  });

  it('GET of login', async () => {
    expect(await outcome(harness.call('GET', `${AUTH}/login`))).toEqual([405, 'method_not_allowed']);
  });
});

describe('413 and 415', () => {
  it('a body above the limit', async () => {
    const answer = await login({ password: 'x'.repeat(LIMITS.publicBodyBytesMax) });
    expect(answer.status).toBe(413);
  });

  it('a form', async () => {
    const answer = await harness.app.inject({
      method: 'POST',
      url: `${AUTH}/login`,
      headers: { host: 'localhost', 'content-type': 'application/x-www-form-urlencoded' },
      payload: `email=${email}&password=${OWNER_PASSWORD}`,
    });
    expect(answer.statusCode).toBe(415);
  });
});

describe('429', () => {
  const wrong = (address: string, ip: string) => login({ email: address, password: 'wrong horse' }, { ip });

  it.each([
    ['an account', () => email, '192.0.2.1'],
    ['one that does not exist', () => 'nobody@acme.example', '192.0.2.2'],
  ])('5 failures lock %s for 15 minutes from where they came', async (_, address, ip) => {
    for (let i = 0; i < 5; i++) expect((await wrong(address(), ip)).status).toBe(401);
    const refused = await wrong(address(), ip);
    expect(refused.status).toBe(429);
    expect(refused.json['error']).toMatchObject({ type: 'rate_limit_exceeded' });
    expect(refused.headers['retry-after']).toBe('900');
    await harness.advance(14 * MINUTE_MS);
    expect((await wrong(address(), ip)).headers['retry-after']).toBe('60');
    expect((await login({}, { ip: '192.0.2.3' })).status).toBe(200);
    await harness.advance(MINUTE_MS);
    expect((await wrong(address(), ip)).status).toBe(401);
  });

  it('locks out the right password too', async () => {
    const ip = '192.0.2.4';
    for (let i = 0; i < 5; i++) await wrong(email, ip);
    expect((await login({}, { ip })).status).toBe(429);
    const rows = (await audited('auth.login_failed')).filter(({ ip_address }) => ip_address === ip);
    expect(rows.filter(({ details }) => details['locked'])).toHaveLength(1);
    expect(rows).toHaveLength(5);
  });

  it('a sign-in that works forgets the failures', async () => {
    const ip = '192.0.2.5';
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 4; i++) expect((await wrong(email, ip)).status).toBe(401);
      expect((await login({}, { ip })).status).toBe(200);
    }
  });

  it('many at once get no more than 5 guesses', async () => {
    const ip = '192.0.2.6';
    const answers = await Promise.all(Array.from({ length: 20 }, () => wrong(email, ip)));
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(5);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(15);
  });

  it('an address of IPv6 counts as its /64', async () => {
    for (let i = 0; i < 5; i++) await wrong(email, `2001:db8::${i}`);
    expect((await wrong(email, '2001:db8::ffff')).status).toBe(429);
    expect((await wrong(email, '2001:db8:0:1::1')).status).toBe(401);
  });

  it('100 accounts from one address are the most, and lock nobody else', async () => {
    const ip = '192.0.2.7';
    const many = Array.from({ length: LIMITS.signInsPerAddressMax }, (_, i) => `a${i}@b.example`);
    for (let at = 0; at < many.length; at += 20)
      await Promise.all(many.slice(at, at + 20).map((address) => wrong(address, ip)));
    expect((await wrong('further@b.example', ip)).status).toBe(429);
    expect((await login({}, { ip })).status).toBe(429);
    expect((await login({}, { ip: '192.0.2.8' })).status).toBe(200);
  });
});

describe('bounds', () => {
  it('the 51st session ends the oldest', async () => {
    const oldest = await opened();
    for (let i = 0; i < LIMITS.sessionsPerUserMax; i++) {
      harness.clock.advance(1);
      await login();
    }
    expect(await outcome(harness.call('GET', `${AUTH}/me`, { token: oldest.token }))).toEqual([
      401,
      'invalid_token',
    ]);
    const list = await harness.call('GET', `${AUTH}/sessions`, { token: await harness.signIn(email) });
    expect(list.json['sessions']).toHaveLength(LIMITS.sessionsPerUserMax);
  });

  it('what is over is removed in batches', async () => {
    harness.clock.advance(31 * DAY_MS);
    let batches = 0;
    while ((await harness.auth.removeEnded(10)).hasMore) batches++;
    expect(batches).toBeGreaterThan(1);
    expect((await login()).status).toBe(200);
  });
});

describe('what is kept and logged', () => {
  it('holds no password, token or refresh token in clear', async () => {
    const own = await opened();
    const rows = JSON.stringify(
      (await harness.call('GET', '/v1/audit-logs?per_page=100', { key: harness.tenant.live })).json,
    );
    for (const secret of [OWNER_PASSWORD, own.token, own.refresh]) {
      expect(harness.logLines.join('')).not.toContain(secret);
      expect(rows).not.toContain(secret);
    }
  });
});
