import type { Caller } from '../../../kernel/principal.js';
import { isPending, type Promisable } from '../../../kernel/promisable.js';
import type { CallClock, Egress, EgressPolicy, JudgedTarget } from '../../../platform/egress/egress.js';
import type { HostList } from '../../../platform/egress/name-policy.js';
import type { ProxyCall } from '../call.js';

export interface GuardedTarget {
  readonly target: JudgedTarget;
  /** Runs from the name's resolution to the upstream's headers (dataplane §1.4). */
  readonly clock: CallClock;
}

/** Scheme, name, resolution and every address, before anything of the caller's body is looked at. */
export function guardTarget(
  egress: Pick<Egress, 'parse' | 'judge' | 'startClock'>,
  call: ProxyCall,
  caller: Caller,
  allowedHosts: HostList,
  rawUrl: string,
  timeoutMs: number,
): Promisable<GuardedTarget> {
  const policy: EgressPolicy = {
    tenantSlug: caller.principal.tenantSlug,
    allowedHosts,
  };
  const url = egress.parse(rawUrl, policy);
  call.upstreamHost = url.hostname;
  call.path = url.pathname;
  const clock = startClock(egress, call, timeoutMs);
  const judged = egress.judge(url, policy, clock);
  return isPending(judged) ? judged.then((target) => ({ target, clock })) : { target: judged, clock };
}

/** The one clock of a call: a step that reads the body before the target is judged has started it. */
export function startClock(
  egress: Pick<Egress, 'startClock'>,
  call: ProxyCall,
  timeoutMs: number,
): CallClock {
  call.clock ??= egress.startClock(timeoutMs, call);
  return call.clock;
}
