import type {
  ApiKeyId,
  ClientTokenId,
  OAuthClientId,
  OAuthTokenId,
  OidcBindingId,
  RequestId,
  Scope,
  SessionId,
  TenantId,
  UserId,
  VaultId,
  WrapTokenId,
} from './ids.js';
import type { KeyRateLimit, RateLimitStatus } from './rate-limit.js';

/** A permission of contract README §2; of one named resource where `resource` is not null. */
export interface Grant {
  readonly permission: string;
  readonly resource: string | null;
}

/** Who is calling, decided once a request. Services take it as an argument and never look at headers. */
export type Principal =
  | ApiKeyPrincipal
  | UserPrincipal
  | OAuthPrincipal
  | ClientPrincipal
  | WrapTokenPrincipal
  | InboundWebhookPrincipal;

interface PrincipalInTenant {
  readonly scope: Scope;
  readonly tenantSlug: string;
  /** The key's own; null = the plan's limit alone. */
  readonly rateLimit: KeyRateLimit | null;
  /** Everything the caller may do, by name: the most that it may hand on. */
  readonly grants: readonly Grant[];
  /**
   * Whether the caller holds a permission for `resource`; without one, for any at all: the gate that stands before
   * the resource is known.
   */
  may(permission: string, resource?: string): boolean;
}

export interface ApiKeyPrincipal extends PrincipalInTenant {
  readonly kind: 'api_key';
  readonly apiKeyId: ApiKeyId;
  /** The public half of the key, safe in logs. */
  readonly keyId: string;
  readonly userId: null;
}

/** A signed-in user in one of its tenants and in one mode (auth.md §6, §7). */
export interface UserPrincipal extends PrincipalInTenant {
  readonly kind: 'user';
  readonly apiKeyId: null;
  readonly keyId: null;
  readonly userId: UserId;
  readonly sessionId: SessionId;
  readonly role: UserRole;
}

/**
 * An OAuth access token: what it may do is its scope, as far as its source holds that at this moment (auth.md §2.3).
 * The source is a key, a client, a client on behalf of a user, or a binding of workloads.
 */
export interface OAuthPrincipal extends PrincipalInTenant {
  readonly kind: 'oauth_token';
  readonly tokenId: OAuthTokenId;
  /** To a key, of which each call brings a proof (RFC 9449). */
  readonly isBound: boolean;
  readonly apiKeyId: ApiKeyId | null;
  readonly keyId: string | null;
  readonly oauthClientId: OAuthClientId | null;
  readonly bindingId: OidcBindingId | null;
  readonly userId: UserId | null;
  /** That of the user at this moment, where the token acts for one. */
  readonly role: UserRole | null;
}

/** Who is known by address or certificate alone (clients-pki.md §1.4): calls the routes that it is assigned to. */
export interface ClientPrincipal extends PrincipalInTenant {
  readonly kind: 'client';
  readonly clientId: string;
  readonly apiKeyId: null;
  readonly keyId: null;
  readonly userId: null;
}

/** A gateway token: it calls one host with one secret, and is nobody's credential for anything else (dataplane.md §3.1). */
export interface WrapTokenPrincipal extends PrincipalInTenant {
  readonly kind: 'wrap_token';
  readonly wrapTokenId: WrapTokenId;
  readonly apiKeyId: null;
  readonly keyId: null;
  readonly userId: null;
}

/** Whoever signed a request to an inbound webhook that is passed on to a route (dataplane.md §11): it calls that route. */
export interface InboundWebhookPrincipal extends PrincipalInTenant {
  readonly kind: 'inbound_webhook';
  readonly inboundWebhookId: string;
  readonly apiKeyId: null;
  readonly keyId: null;
  readonly userId: null;
}

/** contract README §12. */
export const USER_ROLES = ['owner', 'admin', 'developer', 'viewer'] as const;
export type UserRole = (typeof USER_ROLES)[number];

/** What an audit row says of its cause. */
export interface Actor {
  readonly scope: Scope;
  readonly apiKeyId: ApiKeyId | null;
  readonly userId: UserId | null;
  /** Absent where no token of an OAuth client was used. */
  readonly oauthClientId?: OAuthClientId | null;
  /** Of a workload, whose token came by that binding. */
  readonly bindingId?: OidcBindingId | null;
  readonly requestId: RequestId | null;
  readonly ip: string | null;
}

/** Where a request came from. */
export interface Visitor {
  readonly requestId: RequestId;
  readonly ip: string | null;
}

/** The record of a call's idempotency key while the call runs (auth.md §5). */
export interface CallRecord {
  /**
   * Of an earlier try that was broken off: what it had begun outside is to be finished or undone, and not to be
   * begun a second time.
   */
  readonly intentId: string | null;
}

/** A principal together with the request it made. */
export interface Caller extends Visitor {
  readonly principal: Principal;
  /** Absent where the call has no idempotency key. */
  readonly idempotency?: CallRecord;
  /** What the narrowest of its limits says; absent where it is not limited. */
  readonly rateLimit?: RateLimitStatus | null;
}

/** What a client token lets its holder do once (clients-pki.md §5). */
export type CapabilityAction = 'decrypt' | 'detokenize' | 'tokenize';

/** Of one such token, with what it is pinned to; null = it is not. */
export interface Capability {
  readonly id: ClientTokenId;
  readonly action: CapabilityAction;
  readonly dataHash: Buffer | null;
  readonly role: string | null;
  readonly vaultId: VaultId | null;
  readonly origins: readonly string[] | null;
}

/** Whoever holds a token that was made for one act: it acts as who made it, and may do that act alone. */
export interface CapabilityCaller extends Caller {
  readonly capability: Capability;
  /** That of the page that calls; null where no browser says one. */
  readonly origin: string | null;
}

/** A signed-in user whatever the tenant: what it does is about itself. */
export interface SessionCaller extends Visitor {
  readonly userId: UserId;
  readonly sessionId: SessionId;
  /** The tenant that the request names, or the only one; null while it could be several, or is none. */
  readonly tenantId: TenantId | null;
}

/** The row id of whom the caller acts for: a user, else a key, a client or a binding. */
export function subjectOf(principal: Principal): string {
  if (principal.kind === 'client') return principal.clientId;
  if (principal.kind === 'wrap_token') return principal.wrapTokenId;
  if (principal.kind === 'inbound_webhook') return principal.inboundWebhookId;
  if (principal.kind !== 'oauth_token') return principal.userId ?? principal.apiKeyId;
  const { userId, apiKeyId, oauthClientId, bindingId, tokenId } = principal;
  return userId ?? apiKeyId ?? oauthClientId ?? bindingId ?? tokenId;
}

export function actorOf(caller: Caller): Actor {
  const { principal } = caller;
  return {
    scope: principal.scope,
    apiKeyId: principal.apiKeyId,
    userId: principal.userId,
    ...(principal.kind === 'oauth_token' && {
      oauthClientId: principal.oauthClientId,
      bindingId: principal.bindingId,
    }),
    requestId: caller.requestId,
    ip: caller.ip,
  };
}
