import { decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../kernel/secret.js';
import { systemIds, systemRandom } from '../../../platform/crypto/random.js';
import type { TestAnswer, TestCall } from '../../../testing/calls.js';
import { forEachDatabase, storedRows } from '../../../testing/databases.js';
import { type MatrixRig, openMatrixRig } from '../../../testing/matrix-rig.js';
import { oneTimeCode } from '../../../testing/one-time-codes.js';
import { createPageVisitor } from '../../../testing/page-visitor.js';
import { stepUpWith } from '../../../testing/step-up.js';
import { createMember, OWNER_PASSWORD } from '../../../testing/tenants.js';
import { createOwnerPasswords } from '../owner-passwords.js';

const AUTH = '/admin/auth';
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const GONE = [401, 'invalid_token'];

forEachDatabase((name, open) => {
  let rig: MatrixRig;
  let users = 0;
  let networks = 0;
  /** Of the user of the test, who is new; each asks from a network of its own. */
  let email: string;
  let ip: string;
  beforeAll(async () => {
    rig = await openMatrixRig({ open });
  });
  afterAll(() => rig.close());
  beforeEach(async () => {
    email = await createMember({ ...rig, ids: systemIds }, rig.tenant, 'admin', `u${++users}@links.example`);
    ip = freshIp();
  });

  const freshIp = () => `198.51.100.${++networks}`;
  const outcome = ({ status, json }: TestAnswer) => [status, json['error']?.['type']];
  const ask = (to = email, call: TestCall = {}) =>
    rig.ask('POST', `${AUTH}/magic-link`, { body: { email: to }, ip, ...call });
  const verify = (token: string, call: TestCall = {}) =>
    rig.ask('POST', `${AUTH}/magic-link/verify`, { body: { token, cookie: false }, ip, ...call });
  const mailsTo = (address: string) => rig.services.mailBox.mails.filter(({ to }) => to === address);
  const tokenTo = (address: string) => /token=(\S+)/.exec(rig.services.mailBox.lastTo(address).text)![1]!;
  async function link(): Promise<string> {
    expect((await ask()).status).toBe(202);
    return tokenTo(email);
  }
  /** A code app, whose code of this moment is still good. */
  async function enrol(): Promise<{ secret: string; recovery: string[] }> {
    const token = await rig.signIn(email, OWNER_PASSWORD);
    const stepUp = await stepUpWith({ ...rig.services, db: rig.db }, token, rig.tenant.id);
    const { secret } = (await rig.ask('POST', `${AUTH}/mfa/totp/setup`, { token, stepUp })).json;
    const body = { code: oneTimeCode(secret, rig.clock.nowMs(), -1) };
    const confirmed = await rig.ask('POST', `${AUTH}/mfa/totp/confirm`, { token, stepUp, body });
    expect(confirmed.status).toBe(200);
    return { secret, recovery: confirmed.json['recovery_codes'] };
  }
  const idOf = async () => (await rig.services.accounts.findUserId(email))!;

  describe('a link', () => {
    it('is mailed, signs in once, and the session says by what', async () => {
      const token = await link();
      const { subject, text } = rig.services.mailBox.lastTo(email);
      expect(subject).toBe('Sign in to KnoxCall');
      expect(text).toContain(`http://127.0.0.1:8787/auth/magic-link?token=${token}`);
      expect(text).toContain(ip);
      const { status, json, headers } = await verify(token);
      expect([status, json['user'].email, json['tenants'].length]).toEqual([200, email, 1]);
      expect(headers['cache-control']).toBe('no-store');
      expect(decodeJwt(json['token'])['amr']).toEqual(['email']);
      const me = await rig.ask('GET', `${AUTH}/me`, { token: json['token'] });
      expect([me.status, me.json['role']]).toEqual([200, 'admin']);
      const refreshed = await rig.ask('POST', `${AUTH}/refresh`, {
        body: { refresh_token: json['refresh_token'] },
      });
      expect(refreshed.status).toBe(200);
      expect(outcome(await verify(token))).toEqual(GONE);

      const owner = await rig.signIn(rig.tenant.ownerEmail, OWNER_PASSWORD);
      const logged = await rig.ask('GET', '/admin/audit-logs?action=auth.login', { token: owner });
      expect(logged.json['data']).toContainEqual(
        expect.objectContaining({
          resource_id: await idOf(),
          details: expect.objectContaining({ amr: ['email'] }),
        }),
      );
    });

    it('gives cookies unless it is asked not to, and no refresh token then', async () => {
      const { status, json, headers } = await verify('', { body: { token: await link() } });
      expect([status, json['refresh_token']]).toEqual([200, undefined]);
      expect(String(headers['set-cookie'])).toMatch(/knox_refresh=[^;]+;.*HttpOnly.*knox_csrf=/);
    });

    it('leads to the public origin, whatever host was called', async () => {
      for (const call of [
        { host: 'acme.localhost:9999' },
        { headers: { 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' } },
      ])
        expect((await ask(email, call)).status).toBe(202);
      expect(mailsTo(email)).toHaveLength(2);
      for (const { text } of mailsTo(email)) {
        expect(text.reveal()).toContain('http://127.0.0.1:8787/auth/magic-link?token=');
        expect(text.reveal()).not.toMatch(/evil|9999/);
      }
    });

    it('is good for 15 minutes', async () => {
      const first = await link();
      rig.clock.advance(15 * MINUTE_MS - 1);
      const second = await link();
      rig.clock.advance(1);
      expect(outcome(await verify(first))).toEqual(GONE);
      expect((await verify(second)).status).toBe(200);
    });

    it('ends with the use of another one of the same user, and with nobody else’s', async () => {
      const others = await createMember({ ...rig, ids: systemIds }, rig.tenant, 'viewer', `o-${email}`);
      await ask(others);
      const [one, two] = [await link(), await link()];
      expect((await verify(two)).status).toBe(200);
      expect(outcome(await verify(one))).toEqual(GONE);
      expect((await verify(tokenTo(others))).status).toBe(200);
    });

    it('opens one session, however many use it at once', async () => {
      const token = await link();
      const answers = await Promise.all(Array.from({ length: 6 }, () => verify(token, { ip: freshIp() })));
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401, 401, 401]);
    });

    it('that nobody was given is refused, like one that has no form of one', async () => {
      for (const token of ['x', 'A'.repeat(43), `${await link()}x`])
        expect(outcome(await verify(token))).toEqual(GONE);
      for (const body of [
        {},
        { token: '' },
        { token: 'x'.repeat(201) },
        { token: 1 },
        { token: 'x', more: 1 },
      ])
        expect(outcome(await verify('', { body }))).toEqual([400, 'validation_error']);
    });

    it('is kept as a hash, and neither it nor the address stands in the log', async () => {
      const token = await link();
      await verify(token);
      const next = await link();
      const lines = rig.logLines.join('');
      for (const one of [token, next, email]) expect(lines).not.toContain(one);
      if (name !== 'sqlite') return;
      await rig.db.flush();
      for (const one of [token, next])
        expect([...storedRows(rig.db.storage).values()].filter((rows) => rows.includes(one))).toEqual([]);
    });
  });

  describe('whoever asks', () => {
    it('is told the same of an address without account, which is mailed nothing', async () => {
      const known = await ask();
      const unknown = await ask('nobody@links.example');
      expect([unknown.status, unknown.text]).toEqual([known.status, known.text]);
      expect(mailsTo('nobody@links.example')).toEqual([]);
      expect(mailsTo(email)).toHaveLength(1);
    });

    it('may write the address in any case; the mail goes to the one that the account has', async () => {
      await ask(` ${email.toUpperCase()} `);
      expect((await verify(tokenTo(email))).json['user'].email).toBe(email);
    });

    it('fills no mailbox: five an hour go to one address, from wherever they are asked for', async () => {
      for (let i = 0; i < 7; i++) {
        const { status, json } = await ask(email, { ip: freshIp() });
        expect([status, json]).toEqual([202, { accepted: true, expires_in: 900 }]);
      }
      expect(mailsTo(email)).toHaveLength(5);
      rig.clock.advance(HOUR_MS);
      await ask();
      expect(mailsTo(email)).toHaveLength(6);
    });

    it('asks twenty times an hour from one network, whether there are accounts or not', async () => {
      const network = (i: number) => `2001:db8:7::${i.toString(16)}`;
      for (let i = 1; i <= 20; i++)
        expect((await ask(`n${i}@links.example`, { ip: network(i) })).status).toBe(202);
      const refused = await ask(email, { ip: network(21) });
      expect(outcome(refused)).toEqual([429, 'rate_limit_exceeded']);
      expect(refused.headers['retry-after']).toBe('3600');
      expect(outcome(await ask('nobody@links.example', { ip: network(22) }))).toEqual(outcome(refused));
      expect(mailsTo(email)).toEqual([]);
      expect((await ask()).status).toBe(202);
    });

    it('names an address', async () => {
      for (const body of [
        {},
        { email: '' },
        { email: 'x'.repeat(255) },
        { email: 1 },
        { email, password: 'x' },
      ])
        expect(outcome(await ask('', { body }))).toEqual([400, 'validation_error']);
    });
  });

  describe('a second factor', () => {
    it('is still asked for, and the link is used up by then', async () => {
      const { secret } = await enrol();
      const token = await link();
      const due = await verify(token);
      expect([due.status, due.json['mfa_required'], due.json['token']]).toEqual([200, true, undefined]);
      expect(due.json['methods']).toEqual(['totp', 'recovery']);
      expect(due.headers['set-cookie']).toBeUndefined();
      expect(outcome(await verify(token))).toEqual(GONE);
      const finish = (code: string) =>
        rig.ask('POST', `${AUTH}/mfa/verify`, {
          body: { mfa_token: due.json['mfa_token'], method: 'totp', code, cookie: false },
          ip,
        });
      expect(outcome(await finish('000000'))).toEqual([401, 'invalid_credentials']);
      const finished = await finish(oneTimeCode(secret, rig.clock.nowMs()));
      expect(finished.status).toBe(200);
      expect(decodeJwt(finished.json['token'])['amr']).toEqual(['email', 'otp', 'mfa']);
    });
  });

  describe('an open link ends', () => {
    it('with a change of the password, and what one has begun ends too', async () => {
      const session = await rig.signIn(email, OWNER_PASSWORD);
      const opened = (await verify(await link())).json['token'];
      const token = await link();
      const body = { current_password: OWNER_PASSWORD, new_password: 'correct horse battery staples' };
      expect((await rig.ask('POST', `${AUTH}/password`, { token: session, body, ip })).status).toBe(200);
      expect(outcome(await verify(token))).toEqual(GONE);
      expect((await rig.ask('GET', `${AUTH}/me`, { token: opened })).status).toBe(401);
      expect((await verify(await link())).status).toBe(200);
    });

    it('with a password that the operator gives', async () => {
      const { accounts, auditLogs } = rig.services;
      await createMember({ ...rig, ids: systemIds }, rig.tenant, 'owner', `owner-${email}`);
      email = `owner-${email}`;
      const token = await link();
      const { db, clock } = rig;
      await createOwnerPasswords({ db, clock, random: systemRandom, auditLogs }).reset(email);
      expect(outcome(await verify(token))).toEqual(GONE);
      expect(await accounts.findUserId(email)).toBeDefined();
    });

    it('with the removal of its user from a tenant; who belongs to none signs in as by a password', async () => {
      const token = await link();
      const owner = await rig.signIn(rig.tenant.ownerEmail, OWNER_PASSWORD);
      expect((await rig.ask('DELETE', `/admin/team/${await idOf()}`, { token: owner })).status).toBe(200);
      expect(outcome(await verify(token))).toEqual(GONE);
      const { status, json } = await verify(await link());
      expect([status, json['tenants']]).toEqual([200, []]);
      const byPassword = await rig.ask('POST', `${AUTH}/login`, {
        body: { email, password: OWNER_PASSWORD },
      });
      expect([byPassword.status, byPassword.json['tenants']]).toEqual([200, []]);
      const me = await rig.ask('GET', `${AUTH}/me`, { token: json['token'] });
      expect([me.json['tenant_id'], me.json['permissions']]).toEqual([null, []]);
    });
  });

  describe('the page behind the link', () => {
    const browser = () => createPageVisitor(rig.ask, { ip });
    const csrfOf = ({ text }: TestAnswer) => /name="csrf_token" value="([^"]+)"/.exec(text)![1]!;
    const path = (token: string) => `/auth/magic-link?token=${token}`;

    it('shows whom the link signs in as often as it is looked at; its button signs the browser in', async () => {
      const token = await link();
      const visitor = browser();
      await visitor.get(path(token));
      const shown = await visitor.get(path(token));
      expect([shown.status, shown.text.includes(email)]).toEqual([200, true]);
      expect(shown.headers['referrer-policy']).toBe('no-referrer');
      expect(shown.headers['cache-control']).toBe('no-store');
      expect(shown.headers['content-security-policy']).toContain("default-src 'none'");
      expect([...visitor.cookies.keys()]).toEqual(['knox_browser']);

      const done = await visitor.press(shown, 'sign_in');
      expect([done.status, done.text.includes('You are signed in'), done.text.includes(email)]).toEqual([
        200,
        true,
        true,
      ]);
      expect(done.text).toContain('acme');
      const [refresh, csrf] = [visitor.cookies.get('knox_refresh')!, visitor.cookies.get('knox_csrf')!];
      const refreshed = await rig.ask('POST', `${AUTH}/refresh`, {
        body: {},
        headers: { cookie: `knox_refresh=${refresh}; knox_csrf=${csrf}`, 'x-csrf-token': csrf },
      });
      expect([refreshed.status, refreshed.json['user'].email]).toEqual([200, email]);
      for (const answer of [await visitor.get(path(token)), await visitor.press(shown, 'sign_in')])
        expect([answer.status, answer.text.includes('leads nowhere')]).toEqual([404, true]);
      expect(outcome(await verify(token))).toEqual(GONE);
    });

    it('takes the button from the browser that it was shown to alone, which uses nothing up', async () => {
      const token = await link();
      const visitor = browser();
      const shown = await visitor.get(path(token));
      const csrf_token = csrfOf(shown);
      const other = browser();
      await other.get(path(token));
      for (const [from, form] of [
        [browser(), { token, act: 'sign_in', csrf_token }],
        [other, { token, act: 'sign_in', csrf_token }],
        [visitor, { token, act: 'sign_in' }],
        [visitor, { token, act: 'sign_in', csrf_token: 'x' }],
      ] as const) {
        const refused = await from.post('/auth/magic-link', form);
        expect([refused.status, refused.headers['set-cookie']]).toEqual([403, undefined]);
      }
      expect((await visitor.press(shown, 'sign_in')).status).toBe(200);
    });

    it('asks for the code where a factor is due, and says so of a wrong one and of a lock', async () => {
      const { secret, recovery } = await enrol();
      const visitor = browser();
      const due = await visitor.press(await visitor.get(path(await link())), 'sign_in');
      expect([due.status, due.text.includes('One more step')]).toEqual([200, true]);
      expect(visitor.cookies.has('knox_refresh')).toBe(false);
      const wrong = await visitor.press(due, 'second_factor', { code: '000000' });
      expect([wrong.status, wrong.text.includes('role="alert"')]).toEqual([401, true]);
      const done = await visitor.press(wrong, 'second_factor', {
        code: oneTimeCode(secret, rig.clock.nowMs()),
      });
      expect([done.status, done.text.includes('You are signed in')]).toEqual([200, true]);
      expect(visitor.cookies.has('knox_refresh')).toBe(true);
      expect((await visitor.press(wrong, 'second_factor', { code: recovery[0]! })).status).toBe(404);

      const again = await visitor.press(await visitor.get(path(await link())), 'sign_in');
      expect((await visitor.press(again, 'second_factor', { code: recovery[0]! })).status).toBe(200);

      const locked = await visitor.press(await visitor.get(path(await link())), 'sign_in');
      for (let i = 0; i < 5; i++) await visitor.press(locked, 'second_factor', { code: '000000' });
      const refused = await visitor.press(locked, 'second_factor', { code: recovery[1]! });
      expect([refused.status, refused.headers['retry-after']]).toEqual([429, '900']);
      expect(refused.text).toContain('Too many failed sign-ins');
    });

    it('says of a link that is good for nothing no more than that, and escapes what it is sent', async () => {
      for (const token of ['', 'x', 'x'.repeat(5_000), '%22%3E%3Cscript%3E']) {
        const { status, text } = await browser().get(path(token));
        expect([status, text.includes('leads nowhere'), text.includes('<script')]).toEqual([
          404,
          true,
          false,
        ]);
      }
      const visitor = browser();
      const shown = await visitor.get(path(await link()));
      const form = { act: 'second_factor', csrf_token: csrfOf(shown), mfa_token: 'x' };
      expect((await visitor.post('/auth/magic-link', { ...form, code: '1'.repeat(65) })).status).toBe(400);
      expect((await visitor.post('/auth/magic-link', { ...form, code: '000000' })).status).toBe(404);
    });
  });

  it('rows whose time is over are removed, those of unknown addresses too', async () => {
    await ask();
    await ask('nobody@links.example');
    rig.clock.advance(15 * MINUTE_MS);
    const token = await link();
    let removed = 0;
    for (let hasMore = true; hasMore; ) {
      const batch = await rig.services.auth.removeEnded(50);
      removed += batch.rows;
      hasMore = batch.hasMore;
    }
    expect(removed).toBeGreaterThanOrEqual(2);
    expect(await rig.services.auth.magicLinks.removeEnded(50)).toBe(0);
    expect((await rig.services.auth.magicLinks.look(new Secret(token))).email).toBe(email);
  });
});
