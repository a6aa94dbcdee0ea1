import type { ProxyMode } from '../../kernel/proxy-mode.js';
import { createLru } from '../../platform/cache/lru.js';
import type { EchoGuard } from './echo/echo-guard.js';
import { type RedactedHead, redactHead, redactLogText } from './engine/plan.js';
import type { RuleSpec } from './engine/rule.js';
import { RuleSet } from './engine/selection.js';
import type { RegexRules, RegexSearch } from './regex/regex-search.js';

/** The rules that bear on one call. */
export interface RedactionPlan {
  /** The upstream is to be asked for `identity`, so that the body can be read. */
  readonly hasBodyRules: boolean;
  /**
   * The head as it may leave, and what the body has to pass through. Throws `redaction_failed`, and the transforms fail
   * with it, where a rule covers what cannot be inspected.
   */
  head(
    status: number,
    rawHeaders: readonly string[],
    method?: string,
    guard?: EchoGuard | null,
  ): RedactedHead;
  /** Text of a log row as it may be stored: rules whose target is the log. */
  logText(text: string): string;
}

/** Of calls whose route is not known, and then of those of a route: the same one, unless a rule names the route. */
export interface RoutePlan extends RedactionPlan {
  ofRoute(routeId: string): RedactionPlan;
}

export interface Plans {
  readonly route: RoutePlan;
  readonly ephemeral: RedactionPlan;
}

/** Of its generations. */
export const PLAN_GENERATIONS = 'redaction';

/** Plans of routes that rules name, kept for each tenant and mode. */
const ROUTE_PLANS_MAX = 256;

/** `rules`: all that are on, in their order of decision. */
export function plansOf(rules: readonly RuleSpec[], newSearch: (rules: RegexRules) => RegexSearch): Plans {
  const planOf = (mode: ProxyMode, routeId: string | null): RedactionPlan => {
    const ruleSet = new RuleSet(rules, mode, routeId);
    return {
      hasBodyRules: ruleSet.hasBodyRules,
      head(status, rawHeaders, method = 'GET', guard = null) {
        const options = { onRedacted: () => {}, newSearch, guard };
        return redactHead(ruleSet, { method, status, rawHeaders }, options);
      },
      logText: (text) => redactLogText(ruleSet, text),
    };
  };
  const named = new Set(rules.flatMap(({ routeIds }) => routeIds ?? []));
  // A change of a rule ends them all.
  const ofRoutes = createLru<string, RedactionPlan>({ entriesMax: ROUTE_PLANS_MAX });
  const route: RoutePlan = {
    ...planOf('route', null),
    ofRoute(routeId) {
      if (!named.has(routeId)) return route;
      const known = ofRoutes.get(routeId);
      if (known) return known;
      const plan = planOf('route', routeId);
      ofRoutes.put(routeId, plan);
      return plan;
    },
  };
  return { route, ephemeral: planOf('ephemeral', null) };
}
