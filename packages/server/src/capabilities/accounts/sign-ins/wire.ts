import type { IncomingHttpHeaders } from 'node:http';
import type { Visitor } from '../../../kernel/principal.js';
import { type CookieRules, sessionCookies } from '../cookies.js';
import { tenantWire, userWire } from '../schemas.js';
import type { Device, OpenSession } from '../sessions/service.js';
import type { SignInOutcome } from './service.js';

export type Outcome = Opened | ReturnType<typeof dueWire>;

export function outcomeWire(outcome: SignInOutcome, isForCookies: boolean): Outcome {
  return outcome.kind === 'open' ? openedWire(outcome.session, isForCookies) : dueWire(outcome);
}

function dueWire({ mfaToken, tokenSeconds, methods }: Extract<SignInOutcome, { kind: 'second_factor' }>) {
  return {
    mfa_required: true,
    mfa_token: mfaToken.reveal(),
    expires_in: tokenSeconds,
    methods,
    isForCookies: false,
  } as const;
}

/** The answer, which the response schema cuts down to its members, and what its cookies are made of. */
export interface Opened {
  readonly session: OpenSession;
  readonly isForCookies: boolean;
}

export function openedWire(session: OpenSession, isForCookies: boolean) {
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
export function rulesOver(connection: CookieRules, { isSecure }: CookieRules): CookieRules {
  return { isSecure: connection.isSecure || isSecure };
}

export function cookiesOf(outcome: Outcome, rules: CookieRules): string[] {
  if (!outcome.isForCookies) return [];
  const { refreshToken, refreshSeconds } = outcome.session;
  return sessionCookies(refreshToken, refreshSeconds, rules);
}

export function deviceOf(visitor: Visitor, headers: IncomingHttpHeaders): Device {
  return { ...visitor, userAgent: headers['user-agent'] ?? null };
}
