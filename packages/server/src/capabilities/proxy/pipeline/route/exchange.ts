import type { TenantId } from '../../../../kernel/ids.js';
import type { Caller, Principal } from '../../../../kernel/principal.js';
import type { Promisable } from '../../../../kernel/promisable.js';
import type { ResolvedHost } from '../../../../platform/http/hosts.js';
import type { RequestSource } from '../../../../platform/http/request-source.js';
import type { Exchange } from '../../call.js';

/** What a request's host, path and headers say of the route that it calls (dataplane §5.2). */
export interface RouteEntry {
  /** Id, slug or name. */
  readonly reference: string;
  /** The client's own path with its query, for the upstream; `/` where it is empty. */
  readonly path: string;
}

export interface RouteExchange extends Exchange {
  readonly entry: RouteEntry;
  readonly source: RequestSource;
  /** Version header and host, as they are checked of every call. */
  host(): ResolvedHost;
  /** Notes who was found to call without a credential of ours. */
  recognise(principal: Principal): Caller;
  /** Of a request that was verified before it was kept: nobody else is asked who calls, and its body is rendered by nobody. */
  readonly verified?: { readonly caller: Caller };
}

export interface HostTenant {
  readonly id: TenantId;
  readonly isActive: boolean;
}

/** The tenant of a host name; at once but for the first call after a change. */
export interface HostTenants {
  bySlug(slug: string): Promisable<HostTenant | undefined>;
}
