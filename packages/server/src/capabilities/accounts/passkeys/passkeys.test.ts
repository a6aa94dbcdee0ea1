import { decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createOrigins } from '../../../platform/http/origins.js';
import type { TestAnswer, TestCall } from '../../../testing/calls.js';
import { forEachDatabase } from '../../../testing/databases.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import { type Ceremony, createSoftPasskey, type SoftPasskey } from '../../../testing/soft-passkey.js';
import { createMember, OWNER_PASSWORD } from '../../../testing/tenants.js';
import { relyingPartyOf } from './relying-party.js';

const AUTH = '/admin/auth';
const MINUTE_MS = 60_000;

forEachDatabase((_name, open) => {
  let harness: Harness;
  let users = 0;
  beforeAll(async () => {
    harness = await createHarness({ open });
  });
  afterAll(() => harness.close());

  let email: string;
  let token: string;
  beforeEach(newUser);

  async function newUser(): Promise<void> {
    email = await createMember(harness, harness.tenant, 'admin', `keeper-${++users}@acme.example`);
    token = await harness.signIn(email);
  }

  const call = (method: string, path: string, body?: unknown, more: TestCall = {}) =>
    harness.call(method, `${AUTH}/${path}`, { token, ...(body !== undefined && { body }), ...more });
  const post = (path: string, body?: unknown) =>
    harness.call('POST', `${AUTH}/${path}`, body === undefined ? {} : { body });
  const proven = async (method: string, path: string, body?: unknown) =>
    call(method, path, body, { stepUp: await harness.stepUp(token) });
  const outcome = ({ status, json }: TestAnswer) => [status, json['error']?.['type']];
  const WRONG = [401, 'invalid_credentials'];

  async function enrol(passkey: SoftPasskey, ceremony: Ceremony = {}): Promise<TestAnswer> {
    const options = (await proven('POST', 'mfa/passkeys/options')).json;
    return proven('POST', 'mfa/passkeys/verify', {
      name: 'Key',
      response: passkey.create(options, ceremony),
    });
  }

  async function enrolled(settings?: { isSynced: boolean }): Promise<SoftPasskey> {
    const passkey = createSoftPasskey(settings);
    expect((await enrol(passkey)).status).toBe(200);
    return passkey;
  }

  async function signIn(passkey: SoftPasskey, ceremony: Ceremony = {}): Promise<TestAnswer> {
    const options = (await post('passkeys/options')).json;
    return post('passkeys/verify', { response: passkey.get(options as never, ceremony), cookie: false });
  }

  /** The user hears of each try with a passkey of its own. */
  async function failures(): Promise<object[]> {
    await harness.flush();
    const { user } = (await call('GET', 'me')).json;
    const path = `/v1/audit-logs?action=auth.login_failed&user_id=${user.id}`;
    const { json } = await harness.call('GET', path, { key: harness.tenant.live });
    return (json['data'] as { details: object }[]).map(({ details }) => details);
  }

  describe('a passkey', () => {
    it('is enrolled, listed and removed, with recovery codes beside the first', async () => {
      const options = await proven('POST', 'mfa/passkeys/options');
      expect(options.json).toMatchObject({
        rp: { id: 'localhost', name: 'KnoxCall' },
        user: { name: email },
        attestation: 'none',
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      });
      const first = await enrol(createSoftPasskey());
      expect(first.json).toEqual({
        id: expect.any(String),
        name: 'Key',
        synced: false,
        created_at: new Date(harness.clock.nowMs()).toISOString(),
        last_used_at: null,
        recovery_codes: expect.any(Array),
      });
      expect(first.json['recovery_codes']).toHaveLength(10);
      const second = await enrol(createSoftPasskey({ isSynced: true }));
      expect(second.json).toMatchObject({ synced: true, recovery_codes: null });
      const listed = (await call('GET', 'mfa/passkeys')).json['passkeys'];
      expect(listed.map(({ id }: { id: string }) => id)).toEqual([first.json['id'], second.json['id']]);
      for (const { json } of [first, second]) {
        expect((await call('GET', 'mfa')).json['step_up_methods']).toContain('webauthn');
        expect((await proven('DELETE', `mfa/passkeys/${json['id']}`)).json).toEqual({ deleted: true });
        expect(outcome(await proven('DELETE', `mfa/passkeys/${json['id']}`))).toEqual([404, 'not_found']);
      }
      expect((await call('GET', 'mfa')).json).toMatchObject({ passkeys: 0, recovery_codes_left: 0 });
    });

    it('signs its user in by itself, and says so', async () => {
      for (const isSynced of [false, true]) {
        const passkey = await enrolled({ isSynced });
        const answer = await signIn(passkey);
        expect([answer.status, answer.json['user']?.email]).toEqual([200, email]);
        expect(decodeJwt(answer.json['token'])['amr']).toEqual([isSynced ? 'swk' : 'hwk', 'mfa']);
      }
      const { passkeys } = (await call('GET', 'mfa/passkeys')).json;
      expect(passkeys[0].last_used_at).toBe(new Date(harness.clock.nowMs()).toISOString());
    });

    it('finishes a sign-in that a password has begun', async () => {
      const passkey = await enrolled();
      const due = (await post('login', { email, password: OWNER_PASSWORD })).json;
      expect(due['methods']).toEqual(['webauthn', 'recovery']);
      const options = (await post('mfa/options', { mfa_token: due['mfa_token'] })).json;
      expect(options['allowCredentials']).toMatchObject([{ id: passkey.credentialId }]);
      const body = { mfa_token: due['mfa_token'], method: 'webauthn', cookie: false };
      // What another sign-in was asked for is no good here.
      const other = (await post('passkeys/options')).json;
      const foreign = { ...body, response: passkey.get(other as never) };
      expect(outcome(await post('mfa/verify', foreign))).toEqual(WRONG);
      const answer = await post('mfa/verify', { ...body, response: passkey.get(options as never) });
      expect(decodeJwt(answer.json['token'])['amr']).toEqual(['pwd', 'hwk', 'mfa']);
      expect(outcome(await post('mfa/options', { mfa_token: 'x'.repeat(43) }))).toEqual([
        401,
        'invalid_token',
      ]);
    });

    it('is a step-up, of its session alone', async () => {
      expect((await call('POST', 'step-up/options')).json).toEqual({ methods: ['password'], webauthn: null });
      const passkey = await enrolled();
      const asked = (await call('POST', 'step-up/options')).json;
      expect(asked['methods']).toEqual(['webauthn', 'recovery']);
      const stepUp = (options: object, more: TestCall = {}) =>
        call('POST', 'step-up', { method: 'webauthn', response: passkey.get(options as never) }, more);
      const other = (await signIn(passkey)).json['token'];
      expect(outcome(await stepUp(asked['webauthn'], { token: other }))).toEqual(WRONG);
      const answer = await stepUp(asked['webauthn']);
      expect(answer.status).toBe(200);
      expect(outcome(await stepUp(asked['webauthn']))).toEqual(WRONG);
      const headers = { 'x-knoxcall-stepup': answer.json['step_up_token'] };
      expect((await call('POST', 'mfa/recovery-codes', undefined, { headers })).status).toBe(200);
    });
  });

  describe('is no passkey of this server', () => {
    it.each<[string, Ceremony]>([
      ['made on another site', { origin: 'http://localhost.evil.example:8787' }],
      ['made on the host of a tenant that the user is not in', { origin: 'http://globex.localhost:8787' }],
      ['made at another port', { origin: 'http://localhost:9999' }],
      ['for another party', { rpId: 'evil.example' }],
      ['made without a look at the user', { isVerified: false }],
      ['made for a challenge of nobody', { challenge: 'AAAA' }],
      ['a sign-in in place of an enrolment', { type: 'webauthn.get' }],
    ])('%s', async (_, ceremony) => {
      const answer = await enrol(createSoftPasskey(), ceremony);
      expect([answer.status, Object.keys(answer.json['fields'])]).toEqual([400, ['response']]);
      expect((await call('GET', 'mfa/passkeys')).json).toEqual({ passkeys: [] });
    });

    it('one whose challenge was for a step-up, has run out, or was used', async () => {
      const passkey = await enrolled();
      const asked = (await call('POST', 'step-up/options')).json['webauthn'];
      const crossed = await enrol(createSoftPasskey(), { challenge: asked['challenge'] });
      expect(crossed.status).toBe(400);
      const options = (await proven('POST', 'mfa/passkeys/options')).json;
      expect(options['excludeCredentials']).toMatchObject([{ id: passkey.credentialId }]);
      const verify = (response: object) => proven('POST', 'mfa/passkeys/verify', { name: 'K', response });
      expect((await verify(createSoftPasskey().create(options as never))).status).toBe(200);
      expect((await verify(createSoftPasskey().create(options as never))).status).toBe(400);
      const late = (await proven('POST', 'mfa/passkeys/options')).json;
      await harness.advance(5 * MINUTE_MS);
      expect((await verify(createSoftPasskey().create(late as never))).status).toBe(400);
    });

    it('one that is enrolled already, whoever has it', async () => {
      const passkey = await enrolled();
      expect((await enrol(passkey)).status).toBe(400);
      await newUser();
      expect((await enrol(passkey)).status).toBe(400);
    });
  });

  describe('does not sign in', () => {
    it.each<[string, Ceremony]>([
      ['at another site', { origin: 'https://evil.example' }],
      ['at the host of a foreign tenant', { origin: 'http://globex.localhost:8787' }],
      ['for another party', { rpId: 'evil.example' }],
      ['without a look at the user', { isVerified: false }],
      ['with a counter that has gone back', { counter: 1 }],
      ['with a counter that stands still', { counter: 5 }],
      ['as another user', { userHandle: 'AAAAAAAAAAAAAAAAAAAAAA' }],
      ['by an enrolment', { type: 'webauthn.create' }],
    ])('%s', async (_, ceremony) => {
      const passkey = await enrolled();
      expect((await signIn(passkey, { counter: 5 })).status).toBe(200);
      const ids = ({ json }: TestAnswer) => json['sessions'].length;
      const before = ids(await call('GET', 'sessions'));
      expect(outcome(await signIn(passkey, ceremony))).toEqual(WRONG);
      expect(ids(await call('GET', 'sessions'))).toBe(before);
      expect(await failures()).toEqual([{ method: 'webauthn', locked: false, sandbox: false }]);
      expect((await signIn(passkey, { counter: 6 })).status).toBe(200);
    });

    it('twice by one assertion, nor with one of nobody', async () => {
      const passkey = await enrolled();
      const options = (await post('passkeys/options')).json;
      const response = passkey.get(options as never, { counter: 9 });
      const both = [1, 2].map(() => post('passkeys/verify', { response, cookie: false }));
      expect((await Promise.all(both)).map(outcome).sort()).toEqual([[200, undefined], WRONG]);
      expect(outcome(await signIn(createSoftPasskey()))).toEqual(WRONG);
      const late = (await post('passkeys/options')).json;
      await harness.advance(5 * MINUTE_MS);
      const body = { response: passkey.get(late as never, { counter: 10 }), cookie: false };
      expect(outcome(await post('passkeys/verify', body))).toEqual(WRONG);
    });

    it('once it is removed; on the hosts of its tenant and of the API it does', async () => {
      const passkey = await enrolled();
      for (const host of ['acme', 'sandbox-acme', 'api', 'sandbox']) {
        const answer = await signIn(passkey, { origin: `http://${host}.localhost:8787` });
        expect([host, answer.status]).toEqual([host, 200]);
      }
      const [{ id }] = (await call('GET', 'mfa/passkeys')).json['passkeys'];
      await proven('DELETE', `mfa/passkeys/${id}`);
      expect(outcome(await signIn(passkey))).toEqual(WRONG);
    });
  });

  it('a user has at most twenty', async () => {
    for (let i = 0; i < 20; i++) await enrolled();
    expect(outcome(await enrol(createSoftPasskey()))).toEqual([409, 'conflict']);
  });

  it('leaves no rows of challenges that are over', async () => {
    await signIn(await enrolled());
    expect(await harness.auth.passkeys.removeEnded(500)).toBeGreaterThanOrEqual(0);
    await harness.advance(5 * MINUTE_MS);
    expect(await harness.auth.passkeys.removeEnded(500)).toBeGreaterThan(0);
    expect(await harness.auth.passkeys.removeEnded(500)).toBe(0);
  });
});

describe('the relying party', () => {
  const partyAt = (baseDomain: string, publicUrl: string) =>
    relyingPartyOf(
      createOrigins({ baseDomain }, () => publicUrl),
      ['acme'],
    );

  it.each([
    ['the base domain', 'knox.example', 'https://knox.example', 'knox.example', 'https://acme.knox.example'],
    [
      'the same for a host in it',
      'knox.example',
      'https://admin.knox.example',
      'knox.example',
      'https://admin.knox.example',
    ],
    [
      'the name itself where it is elsewhere',
      'localhost',
      'https://vault.corp.example',
      'vault.corp.example',
      'https://vault.corp.example',
    ],
    ['localhost at an address', 'localhost', 'http://127.0.0.1:8787', 'localhost', 'http://localhost:8787'],
  ])('is %s', (_, base, url, id, origin) => {
    const party = partyAt(base, url);
    expect(party.id).toBe(id);
    expect(party.origins).toContain(origin);
    for (const one of party.origins) expect(new URL(one).hostname.endsWith(id)).toBe(true);
  });

  it('takes no origin of an address, another scheme or another tenant', () => {
    expect(partyAt('localhost', 'http://127.0.0.1:8787').origins).toEqual([
      'http://localhost:8787',
      'http://api.localhost:8787',
      'http://sandbox.localhost:8787',
      'http://acme.localhost:8787',
      'http://sandbox-acme.localhost:8787',
    ]);
    expect(partyAt('localhost', 'https://vault.corp.example').origins).toEqual([
      'https://vault.corp.example',
    ]);
  });
});
