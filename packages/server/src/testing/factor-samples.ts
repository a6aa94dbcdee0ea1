import type { World } from './matrix-rig.js';
import { oneTimeCode } from './one-time-codes.js';
import type { RouteSample } from './route-sample.js';
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

/** Of what a user proves itself with; each for a user of its own. */
export const FACTOR_SAMPLES: Readonly<Record<string, RouteSample>> = {
  'POST /admin/auth/step-up': {
    ofNewUser: true,
    bodies: () => [{ method: 'password', password: OWNER_PASSWORD, code: '000000' }],
  },
  'POST /admin/auth/password': {
    ofNewUser: true,
    bodies: () => [{ current_password: OWNER_PASSWORD, new_password: 'correct horse battery staples' }],
  },
  'POST /admin/auth/mfa/verify': {
    ofNewUser: true,
    async bodies(world) {
      const { code, mfaToken } = await enrolled(world);
      return [{ mfa_token: mfaToken, method: 'totp', code, cookie: false }];
    },
  },
  'POST /admin/auth/mfa/totp/setup': { ofNewUser: true },
  'POST /admin/auth/mfa/totp/confirm': {
    ofNewUser: true,
    bodies: async (world) => [{ code: await codeOf(world, 0) }],
  },
  'DELETE /admin/auth/mfa/totp': { ofNewUser: true, prepare: enrolled },
  'POST /admin/auth/mfa/recovery-codes': { ofNewUser: true, prepare: enrolled },
};
