import { isoTime } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import type { Origins } from '../../platform/http/origins.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import { claimBody, claimResponse, signupBody, signupResponse } from './schemas.js';
import type { Claim, Signups } from './service.js';
import { documentationAt, readyWire } from './starter.js';

const CLAIM_PATH = '/v1/signup/claim';

/** None where `KNOX_SIGNUP` is off: the paths are as unknown as any other (auth.md §7). */
export function signupRoutes(signups: Signups, origins: Origins): RouteDefinition[] {
  if (!signups.isOn) return [];
  return [
    route({
      method: 'POST',
      path: '/v1/signup',
      admin: 'none',
      access: 'public',
      summary: 'Ask for a tenant; the link that is mailed makes it',
      permission: null,
      audit: 'account.signup',
      errors: ['conflict', 'rate_limit_exceeded'],
      body: signupBody,
      response: signupResponse,
      status: 202,
      noStore: true,
      async handle({ caller, body }) {
        const { claimHandle, expiresAtMs } = await signups.begin(body, caller);
        return {
          ...pendingWire('If no account has this address yet, the link in the mail makes it', expiresAtMs),
          claim_handle: claimHandle.reveal(),
          claim_path: CLAIM_PATH,
          documentation: documentationAt(origins),
        };
      },
    }),
    route({
      method: 'POST',
      path: CLAIM_PATH,
      admin: 'none',
      access: 'public',
      summary: 'Get the first key, once the mailed link was used',
      permission: null,
      audit: 'account.claim',
      errors: ['not_found', 'conflict'],
      body: claimBody,
      response: claimResponse,
      isPending: (claim: Claim) => claim.status === 'pending',
      noStore: true,
      handle: ({ caller, body }) => signups.claim(new Secret(body.claim_handle), caller),
      wire: (claim) =>
        claim.status === 'ready'
          ? readyWire(claim, origins)
          : pendingWire('The link in the mail was not used yet', claim.expiresAtMs),
    }),
  ];
}

function pendingWire(message: string, expiresAtMs: number) {
  return {
    status: 'pending',
    message,
    poll_after_seconds: LIMITS.signupPollSeconds,
    expires_at: isoTime(expiresAtMs),
  };
}
