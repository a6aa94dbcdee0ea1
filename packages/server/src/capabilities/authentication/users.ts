import { validationError } from '../../kernel/errors.js';
import { isUuid } from '../../kernel/ids.js';
import type { UserPrincipal, UserRole } from '../../kernel/principal.js';
import type { Authenticator } from '../../platform/http/caller.js';
import type { ResolvedHost } from '../../platform/http/hosts.js';
import { isSubscriptionActive, type Membership, type Sessions, type SignedIn } from '../accounts/index.js';
import { decisionOfUser } from '../permissions/index.js';
import { readAdminToken } from './credentials.js';
import { subscriptionInactive, tenantNotFound, tenantNotNamed, tenantNotYours, wrongMode } from './errors.js';

export interface UserAuthenticationDeps {
  readonly sessions: Pick<Sessions, 'authenticate'>;
}

/**
 * Who is calling under `/admin`: an admin token becomes a user in one of its tenants and in one mode. The order of the
 * checks is that of auth.md §5; token, session and membership are read at each call.
 */
export type UserAuthentication = Required<Authenticator>;

export function createUserAuthentication({ sessions }: UserAuthenticationDeps): UserAuthentication {
  return {
    async authenticate(rawHeaders, host, servesInactive = false) {
      const signedIn = await sessions.authenticate(readAdminToken(rawHeaders));
      const membership = membershipAt(signedIn, rawHeaders, host);
      if (!membership) throw tenantNotNamed();
      const sandbox = isSandbox(rawHeaders, host);
      if (!servesInactive && !isSubscriptionActive(membership.subscriptionStatus))
        throw subscriptionInactive();
      return userPrincipal(signedIn, membership, sandbox);
    },

    async authenticateSession(rawHeaders, host) {
      const signedIn = await sessions.authenticate(readAdminToken(rawHeaders));
      const membership = membershipAt(signedIn, rawHeaders, host);
      return {
        userId: signedIn.user.id,
        sessionId: signedIn.sessionId,
        tenantId: membership?.tenantId ?? null,
      };
    },
  };
}

/** By the tenant host, by `X-Tenant-ID`, or the only one there is; undefined where none of them decides. */
function membershipAt(
  { memberships }: SignedIn,
  rawHeaders: readonly string[],
  { tenantSlug }: ResolvedHost,
): Membership | undefined {
  const named = headerOf(rawHeaders, 'x-tenant-id')?.toLowerCase();
  if (named !== undefined && !isUuid(named)) throw validationError('X-Tenant-ID', 'must be a UUID');
  if (tenantSlug !== null) {
    const ofHost = memberships.find(({ slug }) => slug === tenantSlug);
    if (!ofHost) throw tenantNotFound();
    if (named !== undefined && named !== ofHost.tenantId)
      throw validationError('X-Tenant-ID', 'names another tenant than the host');
    return ofHost;
  }
  if (named === undefined) return memberships.length === 1 ? memberships[0] : undefined;
  const chosen = memberships.find(({ tenantId }) => tenantId === named);
  if (!chosen) throw tenantNotYours();
  return chosen;
}

/** The sandbox host decides; on any other `X-KnoxCall-Mode` does, and without it the mode is live (auth.md §6). */
function isSandbox(rawHeaders: readonly string[], { mode }: ResolvedHost): boolean {
  const named = headerOf(rawHeaders, 'x-knoxcall-mode')?.toLowerCase();
  if (named !== undefined && named !== 'live' && named !== 'test')
    throw validationError('X-KnoxCall-Mode', 'must be live or test');
  if (mode === 'test' && named === 'live') throw wrongMode();
  return mode === 'test' || named === 'test';
}

function headerOf(rawHeaders: readonly string[], wanted: string): string | undefined {
  let found: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() !== wanted) continue;
    const value = rawHeaders[i + 1]!.trim();
    if (found !== undefined && found !== value) throw validationError(rawHeaders[i]!, 'is sent twice');
    found = value;
  }
  return found;
}

export function userPrincipal(signedIn: SignedIn, membership: Membership, sandbox: boolean): UserPrincipal {
  const role: UserRole = membership.role;
  return {
    kind: 'user',
    scope: { tenantId: membership.tenantId, sandbox },
    tenantSlug: membership.slug,
    apiKeyId: null,
    keyId: null,
    userId: signedIn.user.id,
    sessionId: signedIn.sessionId,
    role,
    rateLimit: null,
    ...decisionOfUser(role),
  };
}
