import { LIMITS } from '../../../kernel/limits.js';
import { Secret } from '../../../kernel/secret.js';
import { type RouteDefinition, route } from '../../../platform/http/route.js';
import type { Auth } from '../auth.js';
import type { CookieRules } from '../cookies.js';
import { signInResponse } from '../schemas.js';
import { cookiesOf, deviceOf, type Outcome, outcomeWire, rulesOver } from '../sign-ins/wire.js';
import { magicLinkBody, magicLinkResponse, verifyLinkBody } from './schemas.js';

export interface MagicLinkRoutesDeps {
  readonly auth: Pick<Auth, 'magicLinks'>;
  readonly cookies: CookieRules;
}

export function magicLinkRoutes({ auth, cookies }: MagicLinkRoutesDeps): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: '/admin/auth/magic-link',
      summary:
        'Ask for a mail with a link that signs in; the answer is the same where no account has the address',
      access: 'public',
      permission: null,
      audit: null,
      errors: ['rate_limit_exceeded'],
      body: magicLinkBody,
      response: magicLinkResponse,
      status: 202,
      admin: 'bare',
      async handle({ caller, body }) {
        await auth.magicLinks.request(body.email, caller);
        return { accepted: true, expires_in: LIMITS.magicLinkMs / 1000 };
      },
    }),
    route({
      method: 'POST',
      path: '/admin/auth/magic-link/verify',
      summary: 'Sign in by the token of a mailed link, which is used up',
      access: 'public',
      permission: null,
      audit: 'auth.login',
      errors: ['invalid_token'],
      body: verifyLinkBody,
      response: signInResponse,
      admin: 'bare',
      noStore: true,
      cookies: (outcome: Outcome, connection) => cookiesOf(outcome, rulesOver(connection, cookies)),
      async handle({ caller, headers, body }) {
        const device = deviceOf(caller, headers);
        return outcomeWire(await auth.magicLinks.verify(new Secret(body.token), device), body.cookie);
      },
    }),
  ];
}
