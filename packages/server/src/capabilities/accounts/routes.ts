import type { IncomingHttpHeaders } from 'node:http';
import type { SessionId } from '../../kernel/ids.js';
import type { UserRole, Visitor } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import { splitAuthorization } from '../../platform/http/authorization.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import { type CookieRules, endedCookies, refreshTokenOf, sessionCookies } from './cookies.js';
import {
  loggedOutResponse,
  loginBody,
  meResponse,
  refreshBody,
  sessionDeletedResponse,
  sessionParams,
  sessionsResponse,
  sessionWire,
  signedInResponse,
  tenantWire,
  userWire,
} from './schemas.js';
import type { Device, OpenSession, Sessions } from './sessions/service.js';

export interface AuthRoutesDeps {
  readonly sessions: Sessions;
  readonly cookies: CookieRules;
  /** What a role holds, by name. */
  permissionsOf(role: UserRole): readonly string[];
}

/** `/admin/auth/*`: all answers bare (auth.md §7). */
export function authRoutes(deps: AuthRoutesDeps): RouteDefinition[] {
  return [...signInRoutes(deps), ...sessionRoutes(deps)];
}

function signInRoutes({ sessions, cookies }: AuthRoutesDeps): RouteDefinition[] {
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
      response: signedInResponse,
      admin: 'bare',
      noStore: true,
      cookies: (opened: Opened, connection) => cookiesOf(opened, rulesOver(connection, cookies)),
      async handle({ caller, headers, body }) {
        const password = new Secret(body.password);
        const session = await sessions.signIn(body.email, password, deviceOf(caller, headers));
        return openedWire(session, body.cookie);
      },
    }),
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
        return openedWire(await sessions.refresh(token, deviceOf(caller, headers)), given === undefined);
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
        if (bearer !== null) await sessions.signOutByToken(bearer, caller);
        else if (body.refresh_token !== undefined)
          await sessions.signOut(new Secret(body.refresh_token), caller);
        else await sessions.signOut(refreshTokenOf(headers), caller);
        return { logged_out: true };
      },
    }),
  ];
}

function sessionRoutes({ sessions, permissionsOf }: AuthRoutesDeps): RouteDefinition[] {
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
        const { user, memberships } = await sessions.me(caller);
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
        const rows = await sessions.list(caller.userId);
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
        await sessions.revoke(caller, params.id as SessionId);
        return { deleted: true };
      },
    }),
  ];
}

/** The answer, which the response schema cuts down to its members, and what its cookies are made of. */
interface Opened {
  readonly session: OpenSession;
  readonly isForCookies: boolean;
}

function openedWire(session: OpenSession, isForCookies: boolean) {
  return {
    session,
    isForCookies,
    token: session.token.reveal(),
    expires_in: session.tokenSeconds,
    user: userWire(session.user),
    tenants: session.memberships.map(tenantWire),
    ...(isForCookies ? {} : { refresh_token: session.refreshToken.reveal() }),
  };
}

/** Over a connection that is under TLS by itself too, whatever the public origin is. */
function rulesOver(connection: CookieRules, { isSecure }: CookieRules): CookieRules {
  return { isSecure: connection.isSecure || isSecure };
}

function cookiesOf({ session, isForCookies }: Opened, rules: CookieRules): string[] {
  return isForCookies ? sessionCookies(session.refreshToken, session.refreshSeconds, rules) : [];
}

function deviceOf(visitor: Visitor, headers: IncomingHttpHeaders): Device {
  return { ...visitor, userAgent: headers['user-agent'] ?? null };
}

function bearerOf({ authorization = '' }: IncomingHttpHeaders): string | null {
  const { scheme, credential } = splitAuthorization(authorization);
  return scheme === 'bearer' && credential !== '' ? credential : null;
}
