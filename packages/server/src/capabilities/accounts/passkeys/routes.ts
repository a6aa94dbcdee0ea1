import { type RouteDefinition, route } from '../../../platform/http/route.js';
import type { Auth } from '../auth.js';
import { FACTOR_STEP_UP } from '../factors/routes.js';
import { factorDeletedResponse } from '../factors/schemas.js';
import {
  attestationOf,
  ceremonyOptions,
  ENROLMENT_BYTES_MAX,
  enrolPasskeyBody,
  passkeyEnrolledResponse,
  passkeyParams,
  passkeysResponse,
  passkeyWire,
} from './schemas.js';

/** The passkeys of the signed-in user (auth.md §7). */
export function passkeyRoutes(auth: Auth): RouteDefinition[] {
  const ofUser = { access: 'session', permission: null, admin: 'bare' } as const;
  return [
    route({
      ...ofUser,
      method: 'POST',
      path: '/admin/auth/mfa/passkeys/options',
      summary: 'What a browser is asked for, to make a passkey',
      audit: null,
      stepUp: FACTOR_STEP_UP,
      response: ceremonyOptions,
      noStore: true,
      handle: ({ caller }) => auth.passkeys.enrolOptions(caller),
    }),
    route({
      ...ofUser,
      method: 'POST',
      path: '/admin/auth/mfa/passkeys/verify',
      summary: 'Enrol the passkey that the browser has made',
      audit: 'auth.mfa.enroll',
      stepUp: FACTOR_STEP_UP,
      errors: ['conflict'],
      body: enrolPasskeyBody,
      bodyBytesMax: 2 * ENROLMENT_BYTES_MAX,
      response: passkeyEnrolledResponse,
      noStore: true,
      async handle({ caller, body }) {
        const enrolled = await auth.passkeys.enrol(caller, body.name, attestationOf(body.response));
        const { passkey, recoveryCodes } = enrolled;
        return {
          ...passkeyWire(passkey),
          recovery_codes: recoveryCodes?.map((code) => code.reveal()) ?? null,
        };
      },
    }),
    route({
      ...ofUser,
      method: 'GET',
      path: '/admin/auth/mfa/passkeys',
      summary: 'List the passkeys of the signed-in user',
      audit: null,
      response: passkeysResponse,
      async handle({ caller }) {
        return { passkeys: (await auth.passkeys.list(caller.userId)).map(passkeyWire) };
      },
    }),
    route({
      ...ofUser,
      method: 'DELETE',
      path: '/admin/auth/mfa/passkeys/:id',
      summary: 'Remove a passkey',
      audit: 'auth.mfa.remove',
      stepUp: FACTOR_STEP_UP,
      params: passkeyParams,
      response: factorDeletedResponse,
      async handle({ caller, params }) {
        await auth.passkeys.remove(caller, params.id);
        return { deleted: true };
      },
    }),
  ];
}
