import type { RequestId } from '../kernel/ids.js';
import { systemIds } from '../platform/crypto/random.js';
import type { World } from './matrix-rig.js';
import { oneTimeCode } from './one-time-codes.js';
import type { RouteSample } from './route-sample.js';
import { createSoftPasskey, type SoftPasskey } from './soft-passkey.js';
import { OWNER_PASSWORD } from './tenants.js';

const MFA = '/admin/auth/mfa';

async function post(world: World, path: string, body?: object) {
  const { status, text, json } = await world.call('POST', path, { body });
  if (status !== 200) throw new Error(`POST ${path}: ${status} ${text}`);
  return json;
}

/** The code of a step whose neighbours are still good: each is taken once. */
async function codeOf(world: World, steps: number): Promise<string> {
  const { secret } = await post(world, `${MFA}/totp/setup`);
  return oneTimeCode(secret, world.installation.clock.nowMs(), steps);
}

async function enrolled(world: World): Promise<{ readonly code: string; readonly mfaToken: string }> {
  const { secret } = await post(world, `${MFA}/totp/setup`);
  const nowMs = world.installation.clock.nowMs();
  await post(world, `${MFA}/totp/confirm`, { code: oneTimeCode(secret, nowMs, -1) });
  const body = { email: world.tenant.ownerEmail, password: OWNER_PASSWORD };
  const { mfa_token: mfaToken } = await post(world, '/admin/auth/login', body);
  return { code: oneTimeCode(secret, nowMs), mfaToken };
}

let links = 0;

/** The token of a link that was mailed to the user. */
async function mailedLink({ installation, tenant }: World): Promise<string> {
  const { auth, mailBox } = installation.services;
  const ip = `2001:db8:0:${(++links).toString(16)}::1`;
  await auth.magicLinks.request(tenant.ownerEmail, { requestId: systemIds.uuid() as RequestId, ip });
  const [, token = ''] = /token=(\S+)/.exec(mailBox.lastTo(tenant.ownerEmail).text) ?? [];
  return token;
}

async function withPasskey(world: World, passkey: SoftPasskey): Promise<{ readonly id: string }> {
  const options = await post(world, `${MFA}/passkeys/options`);
  const body = { name: 'Laptop', response: passkey.create(options) };
  return post(world, `${MFA}/passkeys/verify`, body);
}

/** Of the right form. */
const SOME_ASSERTION = createSoftPasskey().get({ challenge: 'x' });

/** Of what a user proves itself with; each for a user of its own. */
export const FACTOR_SAMPLES: Readonly<Record<string, RouteSample>> = {
  'POST /admin/auth/step-up': {
    ofNewUser: true,
    bodies: () => [
      { method: 'password', password: OWNER_PASSWORD, code: '000000', response: SOME_ASSERTION },
    ],
  },
  'POST /admin/auth/password': {
    ofNewUser: true,
    bodies: () => [{ current_password: OWNER_PASSWORD, new_password: 'correct horse battery staples' }],
  },
  'POST /admin/auth/magic-link': {
    ofNewUser: true,
    bodies: ({ tenant }) => [{ email: tenant.ownerEmail }],
  },
  'POST /admin/auth/magic-link/verify': {
    ofNewUser: true,
    bodies: async (world) => [{ token: await mailedLink(world), cookie: false }],
  },
  'POST /admin/auth/mfa/verify': {
    ofNewUser: true,
    async bodies(world) {
      const { code, mfaToken } = await enrolled(world);
      return [{ mfa_token: mfaToken, method: 'totp', code, response: SOME_ASSERTION, cookie: false }];
    },
  },
  'POST /admin/auth/mfa/totp/setup': { ofNewUser: true },
  'POST /admin/auth/mfa/totp/confirm': {
    ofNewUser: true,
    bodies: async (world) => [{ code: await codeOf(world, 0) }],
  },
  'DELETE /admin/auth/mfa/totp': { ofNewUser: true, prepare: enrolled },
  'POST /admin/auth/mfa/recovery-codes': { ofNewUser: true, prepare: enrolled },
  'POST /admin/auth/mfa/options': {
    ofNewUser: true,
    bodies: async (world) => [{ mfa_token: (await enrolled(world)).mfaToken }],
  },
  'POST /admin/auth/mfa/passkeys/options': { ofNewUser: true },
  'POST /admin/auth/mfa/passkeys/verify': {
    ofNewUser: true,
    async bodies(world) {
      const options = await post(world, `${MFA}/passkeys/options`);
      return [{ name: 'Laptop', response: createSoftPasskey().create(options) }];
    },
  },
  'DELETE /admin/auth/mfa/passkeys/:id': {
    ofNewUser: true,
    async path(world) {
      const { id } = await withPasskey(world, createSoftPasskey());
      return `${MFA}/passkeys/${id}`;
    },
  },
  'POST /admin/auth/passkeys/verify': {
    ofNewUser: true,
    async bodies(world) {
      const passkey = createSoftPasskey();
      await withPasskey(world, passkey);
      const options = await post(world, '/admin/auth/passkeys/options');
      return [{ response: passkey.get(options), cookie: false }];
    },
  },
};
