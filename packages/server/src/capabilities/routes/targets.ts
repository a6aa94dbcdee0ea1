import { isAppError, validationError } from '../../kernel/errors.js';
import type { Principal } from '../../kernel/principal.js';
import type { ClientPresence, Egress, EgressPolicy } from '../../platform/egress/egress.js';
import type { EgressAllowlist } from '../egress-allowlist/index.js';

/** Where a route may lead, before it is written; each call is judged again (dataplane.md §5.1, §8). */
export interface RouteTargets {
  /** 400 of the field, 403 `egress_blocked` or `ssrf_blocked`. A name that nobody knows now may be known later. */
  check(principal: Pick<Principal, 'scope' | 'tenantSlug'>, url: string, field: string): Promise<void>;
}

export interface RouteTargetsDeps {
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
}

const CHECK_MS = 5_000;
const STAYS: ClientPresence = { isGone: false, onGone: () => {} };

export function createRouteTargets({ egress, egressAllowlist }: RouteTargetsDeps): RouteTargets {
  function parse(url: string, policy: EgressPolicy, field: string): URL {
    try {
      return egress.parse(url, policy);
    } catch (error) {
      if (isAppError(error, 'invalid_proxy_url')) throw validationError(field, error.publicMessage);
      throw error;
    }
  }

  return {
    async check({ scope, tenantSlug }, rawUrl, field) {
      const policy = { tenantSlug, allowedHosts: await egressAllowlist.hostsFor(scope), mayBePlain: true };
      const url = parse(rawUrl, policy, field);
      const clock = egress.startClock(CHECK_MS, STAYS);
      try {
        await egress.judge(url, policy, clock);
      } catch (error) {
        if (!isAppError(error, 'dns_failure') && !isAppError(error, 'upstream_timeout')) throw error;
      } finally {
        clock.stop();
      }
    },
  };
}
