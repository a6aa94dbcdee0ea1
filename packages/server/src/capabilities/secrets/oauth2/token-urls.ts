import type { Clock } from '../../../kernel/clock.js';
import { isAppError, validationError } from '../../../kernel/errors.js';
import type { Scope } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { Deadline } from '../../../platform/egress/deadline.js';
import type { Egress } from '../../../platform/egress/egress.js';
import type { EgressAllowlist } from '../../egress-allowlist/index.js';

export interface TokenUrlsDeps {
  readonly clock: Clock;
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
}

/** What the guard says of a token endpoint at a write; a name that does not resolve now may at the call (contract README §9). */
export function createTokenUrlJudge({ clock, egress, egressAllowlist }: TokenUrlsDeps) {
  return async (scope: Scope, tenantSlug: string, tokenUrl: string): Promise<void> => {
    const policy = { tenantSlug, allowedHosts: await egressAllowlist.hostsFor(scope) };
    const deadline = new Deadline(clock, LIMITS.oauth2CallMs);
    const callClock = egress.startClock(LIMITS.oauth2CallMs, deadline);
    try {
      await egress.judge(egress.parse(tokenUrl, policy), policy, callClock);
    } catch (error) {
      if (isAppError(error, 'invalid_proxy_url'))
        throw validationError('token_url', ruleOf(error.publicMessage));
      if (isAppError(error, 'ssrf_blocked') || isAppError(error, 'egress_blocked')) throw error;
      if (!isAppError(error)) throw error;
    } finally {
      callClock.stop();
      deadline.cancel();
    }
  };
}

function ruleOf(sentence: string): string {
  return `${sentence.slice(0, 1).toLowerCase()}${sentence.slice(1)}`;
}
