import { parseSetCookie } from 'cookie';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../kernel/secret.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { OWNER_PASSWORD } from '../../testing/tenants.js';
import { endedCookies, sessionCookies } from './cookies.js';

/** Over a real connection: what a browser is told, and what it sends. */
let harness: Harness;
let origin: string;
beforeAll(async () => {
  harness = await createHarness();
  origin = await harness.app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(() => harness.close());

async function post(path: string, headers: Record<string, string>, body: object = {}) {
  const response = await fetch(`${origin}/admin/auth/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const cookies = response.headers.getSetCookie().map((text) => parseSetCookie(text));
  return { status: response.status, json: (await response.json()) as Record<string, never>, cookies };
}

type Cookies = ReturnType<typeof parseSetCookie>[];
const cookieValue = (cookies: Cookies, name: string) =>
  cookies.find((cookie) => cookie.name === name)?.value ?? '';

/** As a browser sends them, with the text that a page of ours adds. */
function sent(cookies: Cookies): Record<string, string> {
  return {
    cookie: cookies.map(({ name, value }) => `${name}=${value}`).join('; '),
    'x-csrf-token': cookieValue(cookies, 'knox_csrf'),
  };
}

const login = () => post('login', {}, { email: harness.tenant.ownerEmail, password: OWNER_PASSWORD });

describe('200', () => {
  it('login sets a token that scripts cannot read, and a text that they can', async () => {
    const { status, json, cookies } = await login();
    expect(status).toBe(200);
    expect(json['refresh_token']).toBeUndefined();
    const week = 7 * 24 * 3600;
    expect(cookies).toEqual([
      {
        name: 'knox_refresh',
        value: expect.stringMatching(/^[\w-]{43}$/),
        path: '/admin/auth',
        maxAge: week,
        httpOnly: true,
        sameSite: 'strict',
      },
      {
        name: 'knox_csrf',
        value: expect.stringMatching(/^[\w-]{43}$/),
        path: '/',
        maxAge: week,
        sameSite: 'strict',
      },
    ]);
    expect(JSON.stringify(json)).not.toContain(cookieValue(cookies, 'knox_refresh'));
  });

  it('refresh gives the next pair, logout takes both away', async () => {
    const first = await login();
    const second = await post('refresh', sent(first.cookies));
    expect([second.status, second.json['refresh_token']]).toEqual([200, undefined]);
    expect(cookieValue(second.cookies, 'knox_refresh')).not.toBe(cookieValue(first.cookies, 'knox_refresh'));
    expect(cookieValue(second.cookies, 'knox_csrf')).not.toBe(cookieValue(first.cookies, 'knox_csrf'));
    const out = await post('logout', sent(second.cookies));
    expect([out.status, out.cookies.map(({ name, value, maxAge }) => [name, value, maxAge])]).toEqual([
      200,
      [
        ['knox_refresh', '', 0],
        ['knox_csrf', '', 0],
      ],
    ]);
    expect((await post('refresh', sent(second.cookies))).status).toBe(401);
  });

  it('a token in the body needs no cookie and sets none', async () => {
    const { cookies } = await login();
    const answer = await post('refresh', {}, { refresh_token: cookieValue(cookies, 'knox_refresh') });
    expect([answer.status, answer.cookies]).toEqual([200, []]);
    expect(answer.json['refresh_token']).toMatch(/^[\w-]{43}$/);
  });
});

describe('403', () => {
  it.each(['refresh', 'logout'])(
    '%s by cookie without its text, or with that of another session',
    async (path) => {
      const [own, other] = [await login(), await login()];
      const { cookie = '' } = sent(own.cookies);
      for (const text of [undefined, '', 'x', cookieValue(other.cookies, 'knox_csrf')]) {
        const headers: Record<string, string> = { cookie };
        if (text !== undefined) headers['x-csrf-token'] = text;
        const { status, json } = await post(path, headers);
        expect([status, json['error']?.['type']]).toEqual([403, 'forbidden']);
      }
      // A neighbour that can set cookies brings a pair of its own.
      const planted = `knox_csrf=planted; knox_refresh=${cookieValue(own.cookies, 'knox_refresh')}`;
      expect((await post(path, { cookie: planted, 'x-csrf-token': 'planted' })).status).toBe(403);
      expect((await post('refresh', sent(own.cookies))).status).toBe(200);
    },
  );
});

describe('where the public origin is https', () => {
  it('both are Secure, set and taken away', () => {
    const rules = { isSecure: true };
    for (const text of [...sessionCookies(new Secret('t'), 60, rules), ...endedCookies(rules)])
      expect(parseSetCookie(text).secure).toBe(true);
  });
});
