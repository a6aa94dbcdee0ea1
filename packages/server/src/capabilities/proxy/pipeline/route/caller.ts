import type { Scope } from '../../../../kernel/ids.js';
import type { Caller, ClientPrincipal } from '../../../../kernel/principal.js';
import { isPending, type Promisable } from '../../../../kernel/promisable.js';
import type { ClientMatch, ClientMatcher } from '../../../clients/index.js';
import type { RoutePlace, RouteTable } from '../../../routes/index.js';
import type { ProxyCall } from '../../call.js';
import { callerUnknown, repeatedHeader, tenantInactive, tenantUnknown } from '../../errors.js';
import { authenticate } from '../authenticate.js';
import type { HostTenants, RouteExchange } from './exchange.js';

export interface RouteCallerDeps {
  readonly routes: RouteTable;
  readonly clients: ClientMatcher;
  readonly tenants: HostTenants;
}

/** Who calls, and which client that is where the credential alone did not say. */
export interface RouteCaller {
  readonly caller: Caller;
  readonly match: ClientMatch | null;
}

/** No route has it: what is asked of the clients of nothing takes as long as of those of a route. */
const NO_ROUTE = '00000000-0000-0000-0000-000000000000';

/**
 * Steps 1 and 2 of dataplane §5.3. A credential that is sent is judged, and by itself: whether a route exists is not
 * looked at. Without one the caller must be a client of the route, or gets the one 401 that says nothing.
 */
export function identify(
  deps: RouteCallerDeps,
  call: ProxyCall,
  exchange: RouteExchange,
): Promisable<RouteCaller> {
  if (exchange.verified) return admitVerified(call, exchange.verified.caller);
  if (!call.headers.hasCredential) return recognise(deps, call, exchange);
  const found = authenticate(call);
  return isPending(found) ? found.then(withoutMatch) : withoutMatch(found);
}

/** Its text is a stranger's, whose braces are no placeholders of ours. */
function admitVerified(call: ProxyCall, caller: Caller): RouteCaller {
  call.caller = caller;
  call.isVerbatim = true;
  call.headers.forward.push('X-Knox-Verified', 'true');
  return withoutMatch(caller);
}

function withoutMatch(caller: Caller): RouteCaller {
  return { caller, match: null };
}

async function recognise(
  { routes, clients, tenants }: RouteCallerDeps,
  call: ProxyCall,
  exchange: RouteExchange,
): Promise<RouteCaller> {
  const { tenantSlug, mode } = exchange.host();
  if (tenantSlug === null) throw callerUnknown();
  const tenant = await tenants.bySlug(tenantSlug);
  if (tenant === undefined) throw tenantUnknown();
  const scope: Scope = { tenantId: tenant.id, sandbox: mode === 'test' };
  // No more of the route than its place: what would be read of one that is there would tell so by its time.
  const route = await routes.place(scope, exchange.entry.reference);
  const match = await clients.match(scope, exchange.source, placeOf(route, call));
  if (match === null) throw callerUnknown();
  if (!tenant.isActive) throw tenantInactive();
  const caller = exchange.recognise(clientPrincipal(scope, tenantSlug, match));
  call.caller = caller;
  return { caller, match };
}

function placeOf(route: RoutePlace | undefined, { headers }: ProxyCall) {
  const environment = environmentName(route, headers.environment);
  return { routeId: route?.id ?? NO_ROUTE, environment };
}

export function environmentName(route: RoutePlace | undefined, asked: string | null): string {
  if (asked !== null && asked !== '') return asked;
  return route?.baseEnvironment ?? 'production';
}

function clientPrincipal(scope: Scope, tenantSlug: string, { clientId }: ClientMatch): ClientPrincipal {
  return {
    kind: 'client',
    scope,
    tenantSlug,
    clientId,
    apiKeyId: null,
    keyId: null,
    userId: null,
    rateLimit: null,
    grants: [],
    may: (permission) => permission === 'routes:invoke',
  };
}

/** A header that may stand once and stood twice: which was meant cannot be told. */
export function refuseRepeated({ headers: { repeated } }: ProxyCall): void {
  if (repeated === 'x-knoxcall-route' || repeated === 'x-knoxcall-environment')
    throw repeatedHeader(repeated);
}
