import { isoTime } from '../../../kernel/clock.js';
import type { Secret } from '../../../kernel/secret.js';
import { type RouteDefinition, route } from '../../../platform/http/route.js';
import type { Auth } from '../auth.js';
import {
  confirmTotpBody,
  enrolledResponse,
  factorDeletedResponse,
  factorsResponse,
  factorsWire,
  recoveryCodesResponse,
  stepUpBody,
  stepUpOptionsResponse,
  stepUpProofOf,
  stepUpResponse,
  totpSetUpResponse,
} from './schemas.js';

/** auth.md §7: a change of factors needs a step-up of at most five minutes. */
export const FACTOR_STEP_UP = { maxAgeSeconds: 300 };

/** What a user proves itself with, and the proof in between (auth.md §7). */
export function factorRoutes(auth: Auth): RouteDefinition[] {
  const ofUser = { access: 'session', permission: null, admin: 'bare' } as const;
  return [
    route({
      ...ofUser,
      method: 'POST',
      path: '/admin/auth/step-up',
      summary: 'Prove yourself anew, for the acts that ask for it',
      audit: 'auth.step_up',
      errors: ['invalid_credentials', 'rate_limit_exceeded'],
      body: stepUpBody,
      response: stepUpResponse,
      noStore: true,
      async handle({ caller, body }) {
        const { token, expiresAtMs } = await auth.stepUps.prove(caller, stepUpProofOf(body));
        return { step_up_token: token.reveal(), expires_at: isoTime(expiresAtMs) };
      },
    }),
    route({
      ...ofUser,
      method: 'POST',
      path: '/admin/auth/step-up/options',
      summary: 'By what a step-up is taken, and what a browser is asked for where that is a passkey',
      audit: null,
      response: stepUpOptionsResponse,
      noStore: true,
      async handle({ caller }) {
        return {
          methods: await auth.stepUps.methodsOf(caller),
          webauthn: await auth.stepUps.passkeyOptions(caller),
        };
      },
    }),
    route({
      ...ofUser,
      method: 'GET',
      path: '/admin/auth/mfa',
      summary: 'Which factors the signed-in user has',
      audit: null,
      response: factorsResponse,
      async handle({ caller }) {
        return factorsWire(await auth.factors.enrolled(caller.userId), await auth.stepUps.methodsOf(caller));
      },
    }),
    route({
      ...ofUser,
      method: 'POST',
      path: '/admin/auth/mfa/totp/setup',
      summary: 'Make a secret for a code app; it counts once a code of it was confirmed',
      audit: null,
      stepUp: FACTOR_STEP_UP,
      errors: ['conflict'],
      response: totpSetUpResponse,
      noStore: true,
      async handle({ caller }) {
        const { secret, uri } = await auth.factors.setUpTotp(caller);
        return { secret: secret.reveal(), otpauth_uri: uri.reveal() };
      },
    }),
    route({
      ...ofUser,
      method: 'POST',
      path: '/admin/auth/mfa/totp/confirm',
      summary: 'Enrol the code app by a first code',
      audit: 'auth.mfa.enroll',
      stepUp: FACTOR_STEP_UP,
      errors: ['not_found', 'conflict'],
      body: confirmTotpBody,
      response: enrolledResponse,
      noStore: true,
      async handle({ caller, body }) {
        const codes = await auth.factors.confirmTotp(caller, body.code);
        return { enrolled: true, recovery_codes: codes && revealed(codes) };
      },
    }),
    route({
      ...ofUser,
      method: 'DELETE',
      path: '/admin/auth/mfa/totp',
      summary: 'Remove the code app',
      audit: 'auth.mfa.remove',
      stepUp: FACTOR_STEP_UP,
      errors: ['not_found'],
      response: factorDeletedResponse,
      async handle({ caller }) {
        await auth.factors.removeTotp(caller);
        return { deleted: true };
      },
    }),
    route({
      ...ofUser,
      method: 'POST',
      path: '/admin/auth/mfa/recovery-codes',
      summary: 'Ten new recovery codes in place of those of before',
      audit: 'auth.mfa.enroll',
      stepUp: FACTOR_STEP_UP,
      errors: ['conflict'],
      response: recoveryCodesResponse,
      noStore: true,
      async handle({ caller }) {
        return { recovery_codes: revealed(await auth.factors.renewRecoveryCodes(caller)) };
      },
    }),
  ];
}

function revealed(codes: readonly Secret<string>[]): string[] {
  return codes.map((one) => one.reveal());
}
