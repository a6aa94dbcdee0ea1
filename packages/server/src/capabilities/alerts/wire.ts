import type { Condition } from './conditions.js';

/** The names under which callers and events know it. */
export function conditionWire(condition: Condition) {
  const { threshold, windowMinutes, includeStatusCodes, thresholdMs, percentile, minRequests } = condition;
  return {
    ...(threshold !== undefined && { threshold }),
    ...(thresholdMs !== undefined && { threshold_ms: thresholdMs }),
    ...(percentile !== undefined && { percentile }),
    window_minutes: windowMinutes,
    ...(minRequests !== undefined && { min_requests: minRequests }),
    ...(includeStatusCodes !== undefined && { include_status_codes: [...includeStatusCodes] }),
  };
}
