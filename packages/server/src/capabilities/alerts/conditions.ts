import { type AppError, validationError, validationErrors } from '../../kernel/errors.js';
import type { Counts } from '../analytics/index.js';
import type { AlertType } from './tables.js';

export const PERCENTILES = [50, 95, 99] as const;
export type Percentile = (typeof PERCENTILES)[number];

/** When an alert goes off; which members there are is its type's choice (dataplane.md §10). */
export interface Condition {
  /** That many calls, or more. */
  readonly threshold?: number;
  readonly windowMinutes: number;
  /** Of failures: which they are; empty = 5xx. */
  readonly includeStatusCodes?: readonly number[];
  /** Of latency: more than that. */
  readonly thresholdMs?: number;
  readonly percentile?: Percentile;
  readonly minRequests?: number;
}

/** As it was sent. */
export type GivenCondition = { readonly [Name in keyof Condition]?: Condition[Name] | undefined };

/** Of each type, with what stands for an absent one; undefined: it is due. */
const MEMBERS: Readonly<Record<AlertType, GivenCondition>> = {
  request_failures: { threshold: undefined, windowMinutes: 5, includeStatusCodes: [] },
  high_latency: { thresholdMs: undefined, percentile: 95, windowMinutes: 5, minRequests: 10 },
  rate_limit_exceeded: { threshold: 1, windowMinutes: 5 },
  unauthorized_client: { threshold: 1, windowMinutes: 5 },
};

const WIRE: Readonly<Record<keyof Condition, string>> = {
  threshold: 'threshold',
  windowMinutes: 'window_minutes',
  includeStatusCodes: 'include_status_codes',
  thresholdMs: 'threshold_ms',
  percentile: 'percentile',
  minRequests: 'min_requests',
};

/** The members of the type and no other, defaults in the place of those that are absent. */
export function readCondition(type: AlertType, given: GivenCondition): Condition {
  const members: Readonly<Record<string, unknown>> = { ...MEMBERS[type] };
  const condition: Record<string, unknown> = {};
  const problems = new Map<string, string[]>();
  for (const [name, value] of Object.entries(given))
    if (value !== undefined && !(name in members))
      problems.set(`condition.${WIRE[name as keyof Condition]}`, [`has no place with type ${type}`]);
  for (const [name, fallback] of Object.entries(members)) {
    condition[name] = given[name as keyof Condition] ?? fallback;
    if (condition[name] === undefined)
      problems.set(`condition.${WIRE[name as keyof Condition]}`, [`is due with type ${type}`]);
  }
  if (problems.size > 0) throw validationErrors(problems);
  return condition as unknown as Condition;
}

/** Another type has another condition. */
export function conditionDue(): AppError {
  return validationError('condition', 'is due with another type');
}

export interface Measured {
  /** Calls that count, or the percentile in milliseconds; null where there were too few calls to tell. */
  readonly value: number | null;
  readonly requests: number;
  readonly isMet: boolean;
}

export function measure(type: AlertType, condition: Condition, counts: Counts): Measured {
  const { requests } = counts;
  if (type === 'high_latency') {
    const latency = requests < condition.minRequests! ? null : counts.latency();
    const value = latency?.quantile(condition.percentile! / 100) ?? null;
    return { value, requests, isMet: value !== null && value > condition.thresholdMs! };
  }
  const value = counted(type, condition, counts);
  return { value, requests, isMet: value >= condition.threshold! };
}

function counted(
  type: Exclude<AlertType, 'high_latency'>,
  { includeStatusCodes }: Condition,
  { classes }: Counts,
): number {
  let sum = 0;
  for (const [hundreds, { codes, rateLimited, unauthorized }] of classes) {
    if (type === 'rate_limit_exceeded') sum += rateLimited;
    else if (type === 'unauthorized_client') sum += unauthorized;
    else
      for (const [code, count] of codes)
        if (includeStatusCodes!.length === 0 ? hundreds === 5 : includeStatusCodes!.includes(code))
          sum += count;
  }
  return sum;
}
