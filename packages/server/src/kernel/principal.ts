import type { ApiKeyId, RequestId, Scope, UserId } from './ids.js';

/** Who is calling, decided once a request. Services take it as an argument and never look at headers. */
export interface Principal {
  readonly kind: 'api_key';
  readonly scope: Scope;
  readonly tenantSlug: string;
  readonly apiKeyId: ApiKeyId;
  /** The public half of the key, safe in logs. */
  readonly keyId: string;
  readonly userId: UserId | null;
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
  /** Absent where the call has no idempotency key. */
  readonly idempotency?: CallRecord;
}

/** The record of a call's idempotency key while the call runs (auth.md §5). */
export interface CallRecord {
  /**
   * Of an earlier try that was broken off: what it had begun outside is to be finished or undone, and not to be
   * begun a second time.
   */
  readonly intentId: string | null;
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
