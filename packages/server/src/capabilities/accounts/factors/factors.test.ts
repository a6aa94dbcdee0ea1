import { decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../kernel/secret.js';
import { systemRandom } from '../../../platform/crypto/random.js';
import { createLogger } from '../../../platform/log/logger.js';
import type { TestAnswer, TestCall } from '../../../testing/calls.js';
import { forEachDatabase, storedRows, type TestDatabase } from '../../../testing/databases.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import { oneTimeCode } from '../../../testing/one-time-codes.js';
import { createTestServices } from '../../../testing/services.js';
import { createMember, OWNER_PASSWORD } from '../../../testing/tenants.js';
import { createFactors } from './service.js';

const AUTH = '/admin/auth';
const STEP_MS = 30_000;
const MINUTE_MS = 60_000;

forEachDatabase((_name, open) => {
  let harness: Harness;
  let users = 0;
  beforeAll(async () => {
    harness = await createHarness({ open });
  });
  afterAll(() => harness.close());

  /** Of the user of the test, who is new. */
  let email: string;
  let token: string;
  beforeEach(async () => {
    email = await createMember(harness, harness.tenant, 'admin', `person-${++users}@acme.example`);
    token = await harness.signIn(email);
  });

  const call = (method: string, path: string, body?: unknown, more: TestCall = {}) =>
    harness.call(method, `${AUTH}/${path}`, { token, ...(body !== undefined && { body }), ...more });
  const proven = async (method: string, path: string, body?: unknown) =>
    call(method, path, body, { stepUp: await harness.stepUp(token) });
  const codeNow = (secret: string, steps = 0) => oneTimeCode(secret, harness.clock.nowMs(), steps);
  const outcome = ({ status, json }: TestAnswer) => [status, json['error']?.['type']];
  const OK = [200, undefined];
  const WRONG = [401, 'invalid_credentials'];
  const GONE = [401, 'invalid_token'];
  const LOCKED = [429, 'rate_limit_exceeded'];

  async function login(more: TestCall = {}, password = OWNER_PASSWORD): Promise<TestAnswer> {
    const body = { email, password, cookie: false };
    return harness.call('POST', `${AUTH}/login`, { body, ...more });
  }

  async function verify(mfaToken: string, code: string, method = 'totp', more: TestCall = {}) {
    const body = { mfa_token: mfaToken, method, code, cookie: false };
    return harness.call('POST', `${AUTH}/mfa/verify`, { body, ...more });
  }

  const mfaToken = async (more: TestCall = {}): Promise<string> => (await login(more)).json['mfa_token'];

  /** A code app, whose code of this moment is still good. */
  async function enrol(): Promise<{ secret: string; recovery: string[] }> {
    const { json } = await proven('POST', 'mfa/totp/setup');
    const confirmed = await proven('POST', 'mfa/totp/confirm', { code: codeNow(json['secret'], -1) });
    expect(confirmed.status).toBe(200);
    return { secret: json['secret'], recovery: confirmed.json['recovery_codes'] };
  }

  async function audited(action: string) {
    await harness.flush();
    const { user } = (await call('GET', 'me')).json;
    const path = `/v1/audit-logs?per_page=100&action=${action}&user_id=${user.id}`;
    const { json } = await harness.call('GET', path, { key: harness.tenant.live });
    return (json['data'] as { details: object }[]).map(({ details }) => details);
  }

  describe('a code app', () => {
    it('is enrolled by a first code, and then due after the password', async () => {
      const setup = await proven('POST', 'mfa/totp/setup');
      expect(setup.headers['cache-control']).toBe('no-store');
      const { secret, otpauth_uri: uri } = setup.json;
      expect(new URL(uri).searchParams.get('secret')).toBe(secret);
      expect(decodeURIComponent(uri)).toContain(`KnoxCall:${email}`);
      expect((await login()).json['token']).toBeDefined();
      const confirmed = await proven('POST', 'mfa/totp/confirm', {
        // As apps show it.
        code: codeNow(secret).replace(/^.../, '$& '),
      });
      expect(confirmed.json).toEqual({ enrolled: true, recovery_codes: expect.any(Array) });
      expect(new Set(confirmed.json['recovery_codes']).size).toBe(10);
      expect((await call('GET', 'mfa')).json).toEqual({
        totp: { enrolled: true, enrolled_at: new Date(harness.clock.nowMs()).toISOString() },
        passkeys: 0,
        recovery_codes_left: 10,
        step_up_methods: ['totp', 'recovery'],
      });
      const due = await login();
      expect(due.headers['set-cookie']).toBeUndefined();
      expect(due.json).toEqual({
        mfa_required: true,
        mfa_token: expect.stringMatching(/^[\w-]{43}$/),
        expires_in: 300,
        methods: ['totp', 'recovery'],
      });
      await harness.advance(STEP_MS);
      const whole = await verify(due.json['mfa_token'], codeNow(secret));
      expect(whole.status).toBe(200);
      expect(decodeJwt(whole.json['token'])['amr']).toEqual(['pwd', 'otp', 'mfa']);
      const refreshed = await harness.call('POST', `${AUTH}/refresh`, {
        body: { refresh_token: whole.json['refresh_token'] },
      });
      expect(decodeJwt(refreshed.json['token'])['amr']).toEqual(['pwd', 'otp', 'mfa']);
      expect(await audited('auth.mfa.enroll')).toEqual([{ method: 'totp', sandbox: false }]);
      const [last] = await audited('auth.login');
      expect(last).toMatchObject({ amr: ['pwd', 'otp', 'mfa'] });
    });

    it('may be one step off, and gives each code once', async () => {
      const { secret } = await enrol();
      await harness.advance(4 * STEP_MS);
      for (const [steps, expected] of [
        [-2, WRONG],
        [2, WRONG],
        [-1, OK],
        [-1, WRONG],
        [0, OK],
        [1, OK],
        [0, WRONG],
      ] as const) {
        const answer = await verify(await mfaToken(), codeNow(secret, steps));
        expect([steps, ...outcome(answer)]).toEqual([steps, ...expected]);
      }
      await harness.advance(2 * STEP_MS);
      const code = codeNow(secret);
      const both = [await mfaToken(), await mfaToken()].map((one) => verify(one, code));
      expect((await Promise.all(both)).map(outcome).sort()).toEqual([OK, WRONG]);
      // One that has signed somebody in is no step-up either.
      expect(outcome(await call('POST', 'step-up', { method: 'totp', code }))).toEqual(WRONG);
    });

    it('can be set up anew until it is confirmed, is removed with its recovery codes', async () => {
      expect(outcome(await proven('POST', 'mfa/totp/confirm', { code: '000000' }))).toEqual([
        404,
        'not_found',
      ]);
      expect(outcome(await proven('DELETE', 'mfa/totp'))).toEqual([404, 'not_found']);
      expect(outcome(await proven('POST', 'mfa/recovery-codes'))).toEqual([409, 'conflict']);
      const first = (await proven('POST', 'mfa/totp/setup')).json['secret'];
      await enrol();
      const late = await proven('POST', 'mfa/totp/confirm', { code: codeNow(first) });
      expect(outcome(late)).toEqual([409, 'conflict']);
      expect(outcome(await proven('POST', 'mfa/totp/setup'))).toEqual([409, 'conflict']);
      expect((await proven('DELETE', 'mfa/totp')).json).toEqual({ deleted: true });
      expect((await login()).json['token']).toBeDefined();
      expect((await call('GET', 'mfa')).json).toMatchObject({ recovery_codes_left: 0 });
      expect(await audited('auth.mfa.remove')).toEqual([{ method: 'totp', sandbox: false }]);
    });

    it('is not confirmed by a code of another secret', async () => {
      const { secret } = (await proven('POST', 'mfa/totp/setup')).json;
      const code = String((Number(codeNow(secret)) + 1) % 1_000_000).padStart(6, '0');
      const answer = await proven('POST', 'mfa/totp/confirm', { code });
      expect([answer.status, Object.keys(answer.json['fields'])]).toEqual([400, ['code']]);
    });

    it('stays good when the root key is changed', async () => {
      const { secret } = await enrol();
      const { db, clock, auditLogs } = harness;
      const me = harness.sessions.me;
      const under = (rootKey: Secret<Buffer>) =>
        createFactors({
          db,
          clock,
          random: systemRandom,
          rootKey,
          underRootKey: db.transaction,
          auditLogs,
          me,
        });
      const former = new Secret(Buffer.alloc(32, 7));
      const next = under(new Secret(Buffer.alloc(32, 8)));
      const { id } = (await call('GET', 'me')).json['user'];
      await next.changeRootKey(former);
      await next.changeRootKey(former);
      expect((await next.verifyTotp(id, codeNow(secret)))?.amr).toEqual(['otp']);
      await expect(under(former).verifyTotp(id, codeNow(secret))).rejects.toThrow('root key');
      await under(former).changeRootKey(new Secret(Buffer.alloc(32, 8)));
    });
  });

  it('no code app is set up by a process that does not know of a new root key: nobody could open its secret', async () => {
    const [former, next] = [7, 8].map((byte) => new Secret(Buffer.alloc(32, byte))) as [
      Secret<Buffer>,
      Secret<Buffer>,
    ];
    const { db, clock } = harness;
    const logger = createLogger('fatal' as never, { write: () => true });
    const other = createTestServices({ db: db as TestDatabase, clock, logger, rootKey: next });
    await other.kms.changeRootKey(former);
    expect(outcome(await proven('POST', 'mfa/totp/setup'))).toEqual([503, 'tenant_sealed']);
    await harness.kms.changeRootKey(next);
    expect(outcome(await proven('POST', 'mfa/totp/setup'))).toEqual(OK);
  });

  describe('recovery codes', () => {
    it('are good once each, however they are typed', async () => {
      const { recovery } = await enrol();
      const typed = recovery[0]!.toUpperCase().replaceAll('-', ' ');
      expect(recovery[0]).toMatch(/^([a-z2-9]{4}-){3}[a-z2-9]{4}$/);
      const answer = await verify(await mfaToken(), typed, 'recovery');
      expect(decodeJwt(answer.json['token'])['amr']).toEqual(['pwd', 'otp', 'mfa']);
      expect(outcome(await verify(await mfaToken(), recovery[0]!, 'recovery'))).toEqual(WRONG);
      expect((await call('GET', 'mfa')).json).toMatchObject({ recovery_codes_left: 9 });
      const both = [await mfaToken(), await mfaToken()].map((one) => verify(one, recovery[1]!, 'recovery'));
      expect((await Promise.all(both)).map(outcome).sort()).toEqual([OK, WRONG]);
    });

    it('are replaced by ten others, and are a step-up for who has lost the app', async () => {
      const { recovery } = await enrol();
      const stepUp = await call('POST', 'step-up', { method: 'recovery', code: recovery[0] });
      expect(stepUp.status).toBe(200);
      const headers = { 'x-knoxcall-stepup': stepUp.json['step_up_token'] };
      const renewed = await call('POST', 'mfa/recovery-codes', undefined, { headers });
      expect(renewed.json['recovery_codes']).toHaveLength(10);
      expect(outcome(await verify(await mfaToken(), recovery[1]!, 'recovery'))).toEqual(WRONG);
      const code = renewed.json['recovery_codes'][9];
      expect(outcome(await verify(await mfaToken(), code, 'recovery'))).toEqual(OK);
      expect(outcome(await call('DELETE', 'mfa/totp', undefined, { headers }))).toEqual(OK);
    });

    it('are of their user alone', async () => {
      const { recovery } = await enrol();
      email = await createMember(harness, harness.tenant, 'admin', `person-${++users}@acme.example`);
      token = await harness.signIn(email);
      await enrol();
      expect(outcome(await verify(await mfaToken(), recovery[0]!, 'recovery'))).toEqual(WRONG);
    });
  });

  describe('the token of a pending sign-in', () => {
    it('opens one session, within five minutes, and outlives a wrong code', async () => {
      const { secret, recovery } = await enrol();
      const pending = await mfaToken();
      expect(outcome(await verify(pending, '000000'))).toEqual(WRONG);
      expect(outcome(await verify(pending, codeNow(secret)))).toEqual(OK);
      expect(outcome(await verify(pending, recovery[0]!, 'recovery'))).toEqual(GONE);
      expect(outcome(await verify('x'.repeat(43), codeNow(secret)))).toEqual(GONE);
      const late = await mfaToken();
      await harness.advance(5 * MINUTE_MS);
      expect(outcome(await verify(late, codeNow(secret)))).toEqual(GONE);
      // It is no other token.
      expect(outcome(await call('GET', 'me', undefined, { token: await mfaToken() }))).toEqual(GONE);
    });

    it('ends with the password that it came from', async () => {
      const { secret } = await enrol();
      const pending = await mfaToken();
      const changed = await call('POST', 'password', {
        current_password: OWNER_PASSWORD,
        new_password: 'another horse battery',
      });
      expect(changed.status).toBe(200);
      expect(outcome(await verify(pending, codeNow(secret)))).toEqual(GONE);
    });

    it('is given for the right password alone, and the answer to a wrong one tells of no factor', async () => {
      const plain = await login({ ip: '192.0.2.50' }, 'wrong wrong');
      await enrol();
      const withFactor = await login({ ip: '192.0.2.50' }, 'wrong wrong');
      const bare = ({ status, json }: TestAnswer) => [status, { ...json['error'], request_id: '' }];
      expect(bare(withFactor)).toEqual(bare(plain));
      expect(outcome(plain)).toEqual(WRONG);
    });
  });

  describe('the lock', () => {
    it('counts codes with passwords: a right password gives no new tries', async () => {
      const { secret } = await enrol();
      const ip = '192.0.2.1';
      for (let i = 0; i < 5; i++)
        expect(outcome(await verify(await mfaToken({ ip }), '000000', 'totp', { ip }))).toEqual(WRONG);
      expect(outcome(await login({ ip }))).toEqual(LOCKED);
      const elsewhere = await mfaToken();
      expect(outcome(await verify(elsewhere, codeNow(secret), 'totp', { ip }))).toEqual(LOCKED);
      expect(outcome(await verify(elsewhere, codeNow(secret)))).toEqual(OK);
      const failed = await audited('auth.login_failed');
      expect(failed).toHaveLength(5);
      expect(failed).toContainEqual({ method: 'totp', locked: true, sandbox: false });
    });

    it('bounds codes of one account from everywhere', async () => {
      const { secret } = await enrol();
      const pending = await mfaToken();
      for (let i = 0; i < 50; i++) {
        const answer = await verify(pending, '000000', 'totp', { ip: `198.51.100.${i}` });
        expect(outcome(answer)).toEqual(WRONG);
      }
      expect(outcome(await verify(pending, codeNow(secret), 'totp', { ip: '203.0.113.1' }))).toEqual(LOCKED);
      await harness.advance(60 * MINUTE_MS);
      const { status } = await verify(await mfaToken(), codeNow(secret));
      expect(status).toBe(200);
    });

    it('counts what is wrong at a step-up', async () => {
      for (let i = 0; i < 5; i++)
        expect(
          outcome(await call('POST', 'step-up', { method: 'password', password: 'wrong wrong' })),
        ).toEqual(WRONG);
      expect(
        outcome(await call('POST', 'step-up', { method: 'password', password: OWNER_PASSWORD })),
      ).toEqual(LOCKED);
      expect(outcome(await login())).toEqual(LOCKED);
      await harness.advance(15 * MINUTE_MS);
    });
  });

  describe('a step-up', () => {
    it('is by the password where there is nothing stronger', async () => {
      const answer = await call('POST', 'step-up', { method: 'password', password: OWNER_PASSWORD });
      const expiresAt = new Date(harness.clock.nowMs() + 5 * MINUTE_MS).toISOString();
      expect(answer.json).toEqual({
        step_up_token: expect.stringMatching(/^[\w-]{43}$/),
        expires_at: expiresAt,
      });
      expect(answer.headers['cache-control']).toBe('no-store');
      const headers = { 'x-knoxcall-stepup': answer.json['step_up_token'] };
      expect(outcome(await call('POST', 'mfa/totp/setup', undefined, { headers }))).toEqual(OK);
      expect(await audited('auth.step_up')).toEqual([{ method: 'password', sandbox: false }]);
    });

    it('is by the app once there is one, and no more by the password', async () => {
      const { secret } = await enrol();
      const byPassword = await call('POST', 'step-up', { method: 'password', password: OWNER_PASSWORD });
      expect([byPassword.status, Object.keys(byPassword.json['fields'])]).toEqual([400, ['method']]);
      expect(outcome(await call('POST', 'step-up', { method: 'totp', code: codeNow(secret) }))).toEqual(OK);
      expect(await audited('auth.step_up')).toEqual([{ method: 'totp', sandbox: false }]);
    });

    it.each([
      [{ method: 'password' }, 'password'],
      [{ method: 'totp' }, 'code'],
      [{ method: 'recovery' }, 'code'],
    ])('%j is 400', async (body, field) => {
      const answer = await call('POST', 'step-up', body);
      expect([answer.status, Object.keys(answer.json['fields'])]).toEqual([400, [field]]);
    });

    it('is of who is signed in', async () => {
      const body = { method: 'password', password: OWNER_PASSWORD };
      const answer = await harness.call('POST', `${AUTH}/step-up`, { body });
      expect(outcome(answer)).toEqual([401, 'authentication_required']);
    });
  });

  describe('a password', () => {
    const NEXT = 'another horse battery';

    it('is changed by the present one, and the other sessions end', async () => {
      const other = await harness.signIn(email);
      const answer = await call('POST', 'password', { current_password: OWNER_PASSWORD, new_password: NEXT });
      expect(answer.json).toEqual({ changed: true, sessions_ended: 1 });
      expect(outcome(await call('GET', 'me'))).toEqual(OK);
      expect(outcome(await call('GET', 'me', undefined, { token: other }))).toEqual(GONE);
      expect(outcome(await login())).toEqual(WRONG);
      expect(outcome(await login({}, NEXT))).toEqual(OK);
      const [row] = await audited('auth.password.change');
      expect(row).toMatchObject({ sessions_ended: 1 });
    });

    it('is changed by a step-up in place of the present one', async () => {
      expect(outcome(await call('POST', 'password', { new_password: NEXT }))).toEqual([
        401,
        'step_up_required',
      ]);
      expect(outcome(await proven('POST', 'password', { new_password: NEXT }))).toEqual(OK);
      expect(outcome(await login({}, NEXT))).toEqual(OK);
    });

    it('is not changed by a wrong one, nor to the same, a short or an endless one', async () => {
      const change = (body: object) => call('POST', 'password', body);
      expect(outcome(await change({ current_password: 'wrong wrong', new_password: NEXT }))).toEqual(WRONG);
      for (const next of [OWNER_PASSWORD, 'short', 'x'.repeat(1_025)]) {
        const answer = await change({ current_password: OWNER_PASSWORD, new_password: next });
        expect([answer.status, Object.keys(answer.json['fields'])]).toEqual([400, ['new_password']]);
      }
      expect(outcome(await login())).toEqual(OK);
      const both = await Promise.all(
        [NEXT, 'a third horse battery'].map((next) =>
          change({ current_password: OWNER_PASSWORD, new_password: next }),
        ),
      );
      expect(both.map(outcome).sort()).toEqual([OK, WRONG]);
    });
  });

  it('stands nowhere in clear: secrets, codes and tokens', async () => {
    if (harness.db.storage.kind !== 'sqlite') return;
    const { secret, recovery } = await enrol();
    const pending = await mfaToken();
    const stepUp = (await call('POST', 'step-up', { method: 'recovery', code: recovery[0] })).json;
    await verify(pending, recovery[1]!, 'recovery');
    await harness.db.flush();
    const stored = [...storedRows(harness.db.storage).values()].join('\n');
    const all = `${stored}\n${harness.logLines.join('\n')}`;
    const bare = recovery[1]!.replaceAll('-', '');
    for (const text of [secret, ...recovery, bare, pending, stepUp['step_up_token']])
      expect(all.includes(text)).toBe(false);
  });

  it('leaves no rows of what is over', async () => {
    await enrol();
    await mfaToken();
    await harness.advance(60 * MINUTE_MS);
    while ((await harness.auth.removeEnded(500)).hasMore);
    const stored = harness.db.storage.kind === 'sqlite' ? storedRows(harness.db.storage) : new Map();
    for (const table of ['pending_sign_ins', 'step_up_tokens', 'sign_in_attempts'])
      expect(stored.get(table) ?? '[]').toBe('[]');
  });
});
