import { isAppError, validationError } from '../../kernel/errors.js';
import type { Principal } from '../../kernel/principal.js';
import { type Egress, type EgressPolicy, NOBODY_WAITS } from '../../platform/egress/egress.js';
import type { EgressAllowlist } from './service.js';

/** Where a route or a webhook may lead, before it is written; each call is judged again (dataplane.md §5.1, §8). */
export interface TargetCheck {
  /** 400 of the field, 403 `egress_blocked` or `ssrf_blocked`. A name that nobody knows now may be known later. */
  check(principal: Pick<Principal, 'scope' | 'tenantSlug'>, url: string, field?: string): Promise<void>;
  /** Two texts of one place. */
  isSame(one: string, other: string): boolean;
}

export interface TargetCheckDeps {
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
  /** Of routes always, of webhooks by `KNOX_ALLOW_HTTP_WEBHOOKS`. */
  readonly mayBePlain: boolean;
}

const CHECK_MS = 5_000;

export function createTargetCheck({ egress, egressAllowlist, mayBePlain }: TargetCheckDeps): TargetCheck {
  function parse(url: string, policy: EgressPolicy, field: string): URL {
    try {
      return egress.parse(url, policy);
    } catch (error) {
      if (isAppError(error, 'invalid_proxy_url')) throw validationError(field, error.publicMessage);
      throw error;
    }
  }

  return {
    async check({ scope, tenantSlug }, rawUrl, field = 'url') {
      const policy = { tenantSlug, allowedHosts: await egressAllowlist.hostsFor(scope), mayBePlain };
      const url = parse(rawUrl, policy, field);
      const clock = egress.startClock(CHECK_MS, NOBODY_WAITS);
      try {
        await egress.judge(url, policy, clock);
      } catch (error) {
        if (!isAppError(error, 'dns_failure') && !isAppError(error, 'upstream_timeout')) throw error;
      } finally {
        clock.stop();
      }
    },

    isSame: (one, other) => hrefOf(one) === hrefOf(other),
  };
}

/** Fragments are not sent. */
function hrefOf(text: string): string {
  if (!URL.canParse(text)) return text;
  const url = new URL(text);
  url.hash = '';
  return url.href;
}
