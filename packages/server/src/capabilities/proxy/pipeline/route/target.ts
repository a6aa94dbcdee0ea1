import { LIMITS } from '../../../../kernel/limits.js';
import type { Caller } from '../../../../kernel/principal.js';
import { isPending, type Promisable } from '../../../../kernel/promisable.js';
import type { Egress, EgressPolicy } from '../../../../platform/egress/egress.js';
import type { HostList } from '../../../../platform/egress/name-policy.js';
import type { RouteSettings } from '../../../routes/index.js';
import type { ProxyCall } from '../../call.js';
import { type GuardedTarget, startClock } from '../target.js';

interface Parsed {
  readonly policy: EgressPolicy;
  readonly url: URL;
}

/** What the guard makes of a base URL changes with the tenant's list of hosts alone, which stays the same object. */
const parsed = new WeakMap<RouteSettings, Parsed>();

/** The route's target under the same guard as every other; written by an administrator, so it may be plain. */
export function guardRouteTarget(
  egress: Pick<Egress, 'parse' | 'judge' | 'startClock'>,
  call: ProxyCall,
  { principal: { tenantSlug } }: Caller,
  allowedHosts: HostList,
  settings: RouteSettings,
): Promisable<GuardedTarget> {
  let known = parsed.get(settings);
  if (known?.policy.allowedHosts !== allowedHosts || known.policy.tenantSlug !== tenantSlug) {
    const policy: EgressPolicy = { tenantSlug, allowedHosts, mayBePlain: true };
    known = { policy, url: egress.parse(settings.targetBaseUrl, policy) };
    parsed.set(settings, known);
  }
  const { policy, url } = known;
  call.upstreamHost = url.hostname;
  const clock = startClock(egress, call, LIMITS.upstreamTimeoutMaxMs);
  const judged = egress.judge(url, policy, clock);
  return isPending(judged) ? judged.then((target) => ({ target, clock })) : { target: judged, clock };
}
