import type { ApiKeyId, RequestId, Scope, UserId } from './ids.js';
import type { KeyRateLimit, RateLimitStatus } from './rate-limit.js';

/** Who is calling, decided once a request. Services take it as an argument and never look at headers. */
export interface Principal {
  readonly kind: 'api_key';
  readonly scope: Scope;
  readonly tenantSlug: string;
  readonly apiKeyId: ApiKeyId;
  /** The public half of the key, safe in logs. */
  readonly keyId: string;
  readonly userId: UserId | null;
  /** The credential's own limit, where it has one. */
  readonly rateLimit?: KeyRateLimit | null;
  /** Whether the caller holds a permission of contract README §2, narrowed to `resource` where the rule may be. */
  may(permission: string, resource?: string): boolean;
}

/** What an audit row says of its cause. */
export interface Actor {
  readonly scope: Scope;
  readonly apiKeyId: ApiKeyId | null;
  readonly userId: UserId | null;
  readonly requestId: RequestId | null;
  readonly ip: string | null;
}

/** A principal together with the request it made. */
export interface Caller {
  readonly principal: Principal;
  readonly requestId: RequestId;
  readonly ip: string | null;
  /** What the narrowest of its limits says; absent where it is not limited. */
  readonly rateLimit?: RateLimitStatus | null;
}

export function actorOf(caller: Caller): Actor {
  const { principal } = caller;
  return {
    scope: principal.scope,
    apiKeyId: principal.apiKeyId,
    userId: principal.userId,
    requestId: caller.requestId,
    ip: caller.ip,
  };
}
