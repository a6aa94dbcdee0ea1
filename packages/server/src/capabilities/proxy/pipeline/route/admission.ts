import type { Caller } from '../../../../kernel/principal.js';
import { isPending, type Promisable } from '../../../../kernel/promisable.js';
import type { ClientMatch, ClientMatcher } from '../../../clients/index.js';
import type { RedactionPlan, RoutePlan } from '../../../redaction/index.js';
import type { CallableRoute, RouteEnvironment, RouteSettings, RouteTable } from '../../../routes/index.js';
import type { ProxyCall } from '../../call.js';
import {
  environmentDisabled,
  environmentNotConfigured,
  ipNotAllowed,
  methodNotAllowed,
  noDryRunOfRoutes,
  routeNotFound,
} from '../../errors.js';
import { ipAllowed } from '../../ip-allowlist.js';
import { requirePermission } from '../authenticate.js';
import { environmentName, refuseRepeated } from './caller.js';
import type { RouteExchange } from './exchange.js';

export interface CalledSettings {
  readonly route: CallableRoute;
  readonly environment: RouteEnvironment;
  readonly settings: RouteSettings;
  readonly plan: RedactionPlan;
}

/** Step 3 of dataplane §5.3, for who is known. */
export function findRoute(
  routes: RouteTable,
  call: ProxyCall,
  { principal: { scope } }: Caller,
  exchange: RouteExchange,
  plan: RoutePlan,
): Promisable<CalledSettings> {
  refuseRepeated(call);
  // It would be sent though its caller wants to look at it only.
  if (call.headers.dryRun !== null) throw noDryRunOfRoutes();
  const found = routes.find(scope, exchange.entry.reference);
  return isPending(found) ? found.then((route) => called(call, route, plan)) : called(call, found, plan);
}

function called(call: ProxyCall, route: CallableRoute | undefined, plan: RoutePlan): CalledSettings {
  if (route === undefined) throw routeNotFound();
  // Before it can be refused: the row of a refusal holds its path, too.
  const ofRoute = plan.ofRoute(route.id);
  call.plan = ofRoute;
  if (!route.enabled) throw routeNotFound();
  const name = environmentName(route, call.headers.environment);
  const environment = route.environments.get(name);
  if (environment === undefined) throw environmentNotConfigured(name);
  call.route = { id: route.id, name: route.name, environment: name };
  if (!environment.enabled) throw environmentDisabled(name);
  return { route, environment, settings: environment.settings(call.method), plan: ofRoute };
}

/**
 * Step 4: where clients are required a match, else a key or token that may, or a match. Who signs is asked of every call
 * that must be signed.
 */
export function admitClient(
  clients: ClientMatcher,
  call: ProxyCall,
  { caller, match }: { readonly caller: Caller; readonly match: ClientMatch | null },
  { route, environment, settings }: CalledSettings,
  { source }: RouteExchange,
): Promisable<void> {
  if (match !== null) {
    call.client = clientOf(match);
    return undefined;
  }
  const { scope } = caller.principal;
  const among = { routeId: route.id, environment: environment.name };
  const take = (found: ClientMatch | null): void => {
    if (found !== null) call.client = clientOf(found);
    else requirePermission(caller, 'routes:invoke');
  };
  if (settings.requiresClients) {
    const found = clients.requireMatch(scope, source, among);
    return isPending(found) ? found.then(take) : take(found);
  }
  if (!settings.requireSignature && caller.principal.may('routes:invoke')) return undefined;
  const found = clients.match(scope, source, among);
  return isPending(found) ? found.then(take) : take(found);
}

function clientOf({ clientId, signingSecretId, kind }: ClientMatch) {
  return { id: clientId, signingSecretId, kind };
}

/** Steps 5 and 6. */
export function judgeOrigin(call: ProxyCall, { ip }: Caller, settings: RouteSettings): void {
  if (!ipAllowed(settings.ipAllowlist, ip)) throw ipNotAllowed(ip);
  const { allowedMethods } = settings;
  if (allowedMethods !== null && !allowedMethods.includes(call.method))
    throw methodNotAllowed(call.method, allowedMethods);
}
