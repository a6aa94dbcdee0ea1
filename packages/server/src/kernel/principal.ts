import type { ApiKeyId, RequestId, Scope, UserId } from './ids.js';

/** A permission of contract README §2; of one named resource where `resource` is not null. */
export interface Grant {
  readonly permission: string;
  readonly resource: string | null;
}

/** A limit of a key's own; null where the plan's counts alone. */
export interface RateLimit {
  readonly requests: number;
  readonly windowSeconds: number;
}

/** Who is calling, decided once a request. Services take it as an argument and never look at headers. */
export interface Principal {
  readonly kind: 'api_key';
  readonly scope: Scope;
  readonly tenantSlug: string;
  readonly apiKeyId: ApiKeyId;
  /** The public half of the key, safe in logs. */
  readonly keyId: string;
  readonly userId: UserId | null;
  /** Null = the plan's limit alone. */
  readonly rateLimit: RateLimit | null;
  /** Everything the caller may do, by name: the most that it may hand on. */
  readonly grants: readonly Grant[];
  /**
   * Whether the caller holds a permission for `resource`; without one, for any at all: the gate that stands before
   * the resource is known.
   */
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
