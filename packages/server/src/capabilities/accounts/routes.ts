import type { IncomingHttpHeaders } from 'node:http';
import type { SessionId } from '../../kernel/ids.js';
import type { UserRole } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import { splitAuthorization } from '../../platform/http/authorization.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import { STEP_UP_HEADER } from '../../platform/http/step-up.js';
import type { Auth } from './auth.js';
import { type CookieRules, endedCookies, refreshTokenOf } from './cookies.js';
import { factorRoutes } from './factors/routes.js';
import { proofOf, secondFactorBody } from './factors/schemas.js';
import { magicLinkRoutes } from './magic-links/routes.js';
import { passkeyRoutes } from './passkeys/routes.js';
import { assertionOf, ceremonyOptions, passkeyDueBody, passkeySignInBody } from './passkeys/schemas.js';
import {
  loggedOutResponse,
  loginBody,
  meResponse,
  passwordBody,
  passwordChangedResponse,
  refreshBody,
  sessionDeletedResponse,
  sessionParams,
  sessionsResponse,
  sessionWire,
  signedInResponse,
  signInResponse,
  tenantWire,
  userWire,
} from './schemas.js';
import {
  cookiesOf,
  deviceOf,
  type Opened,
  type Outcome,
  openedWire,
  outcomeWire,
  rulesOver,
} from './sign-ins/wire.js';

export interface AuthRoutesDeps {
  readonly auth: Auth;
  readonly cookies: CookieRules;
  /** What a role holds, by name. */
  permissionsOf(role: UserRole): readonly string[];
}

/** `/admin/auth/*`: all answers bare (auth.md §7). */
export function authRoutes(deps: AuthRoutesDeps): RouteDefinition[] {
  return [
    ...signInRoutes(deps),
    ...magicLinkRoutes(deps),
    ...tokenRoutes(deps),
    ...sessionRoutes(deps),
    ...factorRoutes(deps.auth),
    ...passkeyRoutes(deps.auth),
  ];
}

function signInRoutes({ auth, cookies }: AuthRoutesDeps): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: '/admin/auth/login',
      summary: 'Sign in with e-mail address and password',
      access: 'public',
      permission: null,
      audit: 'auth.login',
      errors: ['invalid_credentials', 'rate_limit_exceeded'],
      body: loginBody,
      response: signInResponse,
      admin: 'bare',
      noStore: true,
      cookies: (outcome: Outcome, connection) => cookiesOf(outcome, rulesOver(connection, cookies)),
      async handle({ caller, headers, body }) {
        const password = new Secret(body.password);
        return outcomeWire(
          await auth.signIns.signIn(body.email, password, deviceOf(caller, headers)),
          body.cookie,
        );
      },
    }),
    route({
      method: 'POST',
      path: '/admin/auth/mfa/verify',
      summary: 'Finish a sign-in that a second factor is due for',
      access: 'public',
      permission: null,
      audit: 'auth.login',
      errors: ['invalid_credentials', 'invalid_token', 'rate_limit_exceeded'],
      body: secondFactorBody,
      response: signedInResponse,
      admin: 'bare',
      noStore: true,
      cookies: (opened: Opened, connection) => cookiesOf(opened, rulesOver(connection, cookies)),
      async handle({ caller, headers, body }) {
        const token = new Secret(body.mfa_token);
        const session = await auth.signIns.finish(token, proofOf(body), deviceOf(caller, headers));
        return openedWire(session, body.cookie);
      },
    }),
    route({
      method: 'POST',
      path: '/admin/auth/mfa/options',
      summary: 'What a browser is asked for, to finish a sign-in by a passkey',
      access: 'public',
      permission: null,
      audit: null,
      errors: ['invalid_token'],
      body: passkeyDueBody,
      response: ceremonyOptions,
      admin: 'bare',
      noStore: true,
      handle: ({ body }) => auth.signIns.passkeyOptions(new Secret(body.mfa_token)),
    }),
    route({
      method: 'POST',
      path: '/admin/auth/passkeys/options',
      summary: 'What a browser is asked for, to sign in by a passkey alone',
      access: 'public',
      permission: null,
      audit: null,
      response: ceremonyOptions,
      admin: 'bare',
      noStore: true,
      handle: () => auth.signIns.passkeyOptions(null),
    }),
    route({
      method: 'POST',
      path: '/admin/auth/passkeys/verify',
      summary: 'Sign in by a passkey, which says who the user is',
      access: 'public',
      permission: null,
      audit: 'auth.login',
      errors: ['invalid_credentials', 'rate_limit_exceeded'],
      body: passkeySignInBody,
      response: signedInResponse,
      admin: 'bare',
      noStore: true,
      cookies: (opened: Opened, connection) => cookiesOf(opened, rulesOver(connection, cookies)),
      async handle({ caller, headers, body }) {
        const device = deviceOf(caller, headers);
        return openedWire(
          await auth.signIns.signInByPasskey(assertionOf(body.response), device),
          body.cookie,
        );
      },
    }),
  ];
}

function tokenRoutes({ auth, cookies }: AuthRoutesDeps): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: '/admin/auth/refresh',
      summary: 'Take the next admin token; the refresh token is used up',
      access: 'public',
      permission: null,
      audit: null,
      errors: ['authentication_required', 'invalid_token', 'forbidden'],
      body: refreshBody,
      response: signedInResponse,
      admin: 'bare',
      noStore: true,
      cookies: (opened: Opened, connection) => cookiesOf(opened, rulesOver(connection, cookies)),
      async handle({ caller, headers, body }) {
        const { refresh_token: given } = body;
        const token = given === undefined ? refreshTokenOf(headers) : new Secret(given);
        return openedWire(await auth.sessions.refresh(token, deviceOf(caller, headers)), given === undefined);
      },
    }),
    route({
      method: 'POST',
      path: '/admin/auth/logout',
      summary: 'End the session of the admin token, or of the refresh token',
      access: 'public',
      permission: null,
      audit: 'auth.logout',
      errors: ['authentication_required', 'invalid_token', 'forbidden'],
      body: refreshBody,
      response: loggedOutResponse,
      admin: 'bare',
      cookies: (_, connection) => endedCookies(rulesOver(connection, cookies)),
      async handle({ caller, headers, body }) {
        const bearer = bearerOf(headers);
        if (bearer !== null) await auth.sessions.signOutByToken(bearer, caller);
        else if (body.refresh_token !== undefined)
          await auth.sessions.signOut(new Secret(body.refresh_token), caller);
        else await auth.sessions.signOut(refreshTokenOf(headers), caller);
        return { logged_out: true };
      },
    }),
  ];
}

function sessionRoutes({ auth, permissionsOf }: AuthRoutesDeps): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/admin/auth/me',
      summary: 'The signed-in user, its tenants, and what it may do in the one that is chosen',
      access: 'session',
      permission: null,
      audit: null,
      response: meResponse,
      admin: 'bare',
      async handle({ caller }) {
        const { user, memberships } = await auth.sessions.me(caller);
        const chosen = memberships.find(({ tenantId }) => tenantId === caller.tenantId);
        return {
          user: userWire(user),
          tenants: memberships.map(tenantWire),
          tenant_id: chosen?.tenantId ?? null,
          role: chosen?.role ?? null,
          permissions: chosen ? [...permissionsOf(chosen.role)].sort() : [],
        };
      },
    }),
    route({
      method: 'GET',
      path: '/admin/auth/sessions',
      summary: 'List the sessions of the signed-in user',
      access: 'session',
      permission: null,
      audit: null,
      response: sessionsResponse,
      admin: 'bare',
      async handle({ caller }) {
        const rows = await auth.sessions.list(caller.userId);
        return { sessions: rows.map((session) => sessionWire(session, session.id === caller.sessionId)) };
      },
    }),
    route({
      method: 'DELETE',
      path: '/admin/auth/sessions/:id',
      summary: 'End a session of the signed-in user',
      access: 'session',
      permission: null,
      audit: 'auth.session.revoke',
      params: sessionParams,
      response: sessionDeletedResponse,
      admin: 'bare',
      async handle({ caller, params }) {
        await auth.sessions.revoke(caller, params.id as SessionId);
        return { deleted: true };
      },
    }),
    route({
      method: 'POST',
      path: '/admin/auth/password',
      summary: 'Change the own password by the present one, or by a step-up; all other sessions end',
      access: 'session',
      permission: null,
      audit: 'auth.password.change',
      errors: [
        'invalid_credentials',
        'step_up_required',
        'step_up_expired',
        'forbidden',
        'rate_limit_exceeded',
      ],
      body: passwordBody,
      response: passwordChangedResponse,
      admin: 'bare',
      async handle({ caller, headers, body }) {
        const { current_password: present = null, new_password: next } = body;
        const stepUp = headers[STEP_UP_HEADER];
        const ended = await auth.changePassword(caller, {
          present: present === null ? null : new Secret(present),
          stepUp: typeof stepUp === 'string' ? stepUp : undefined,
          next: new Secret(next),
        });
        return { changed: true, sessions_ended: ended };
      },
    }),
  ];
}

function bearerOf({ authorization = '' }: IncomingHttpHeaders): string | null {
  const { scheme, credential } = splitAuthorization(authorization);
  return scheme === 'bearer' && credential !== '' ? credential : null;
}
