import type { Scope } from '../../../../kernel/ids.js';
import { isPending } from '../../../../kernel/promisable.js';
import type { RateLimitStatus } from '../../../../kernel/rate-limit.js';
import type { Allowance } from '../../../../platform/limits/allowance.js';
import type { RateLimiter } from '../../../../platform/limits/rate-limiter.js';
import type { RouteSettings } from '../../../routes/index.js';
import type { CalledSettings } from './admission.js';

const NONE: readonly Allowance[] = [];
/** A settings object is of one environment of one route, so the way to its counts is found once. */
const known = new WeakMap<RateLimiter, WeakMap<RouteSettings, readonly Allowance[]>>();

/**
 * What a route allows in an environment (dataplane §9): no window holds more than `requests` and `burst` together, and what
 * goes beyond `requests` is only there again when it was left unused, so that the long run stays at `requests` a window.
 */
export function routeAllowances(
  limiter: RateLimiter,
  scope: Scope,
  { route, environment, settings }: CalledSettings,
): readonly Allowance[] {
  const { rateLimit } = settings;
  if (rateLimit === null) return NONE;
  const ofLimiter = known.get(limiter) ?? new WeakMap<CalledSettings['settings'], readonly Allowance[]>();
  known.set(limiter, ofLimiter);
  const made = ofLimiter.get(settings);
  if (made) return made;
  const { requests, windowSec, burst } = rateLimit;
  const name = `route:${route.id}:${environment.name}`;
  const most = requests + burst;
  const window = limiter.allowance(scope, name, {
    scope: 'route',
    kind: 'sliding',
    requests: most,
    windowSec,
  });
  const allowances =
    burst === 0 || requests === 0
      ? [window]
      : [
          window,
          longRun(
            limiter.allowance(scope, name, {
              scope: 'route',
              kind: 'bucket',
              requests: most,
              windowSec: (windowSec * most) / requests,
            }),
            { limit: requests, windowSec },
          ),
        ];
  ofLimiter.set(settings, allowances);
  return allowances;
}

/** Told as the limit that was set, not as the bucket that keeps it. */
function longRun(bucket: Allowance, told: Pick<RateLimitStatus, 'limit' | 'windowSec'>): Allowance {
  const tell = (status: RateLimitStatus): RateLimitStatus => ({ ...status, ...told });
  return {
    rule: bucket.rule,
    take() {
      const status = bucket.take();
      return isPending(status) ? status.then(tell) : tell(status);
    },
    giveBack: () => bucket.giveBack(),
  };
}
