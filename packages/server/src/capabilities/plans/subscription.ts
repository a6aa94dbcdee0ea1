import type { Plan } from '../../kernel/plan-tiers.js';
import type { SubscriptionStatus, Tenant } from '../accounts/index.js';
import type { SubscriptionDates } from './store.js';

/** What a tenant's subscription comes to at a moment. */
export interface Standing {
  readonly plan: Plan;
  readonly status: SubscriptionStatus;
  /** When this changes by itself: the end of a trial. */
  readonly changesAtMs: number;
}

const TRIAL_MS = 14 * 24 * 60 * 60 * 1000;

/** A trial that has ended leaves the plan `free` (auth.md §11), without anybody writing it. */
export function standingOf(
  { plan, subscriptionStatus: status }: Pick<Tenant, 'plan' | 'subscriptionStatus'>,
  { trialEndAtMs }: Pick<SubscriptionDates, 'trialEndAtMs'>,
  nowMs: number,
): Standing {
  if (status !== 'trialing' || trialEndAtMs === null)
    return { plan, status, changesAtMs: Number.POSITIVE_INFINITY };
  return nowMs < trialEndAtMs
    ? { plan, status, changesAtMs: trialEndAtMs }
    : { plan: 'free', status: 'active', changesAtMs: Number.POSITIVE_INFINITY };
}

/** A trial begins when the status becomes `trialing` and lasts 14 days; a cancellation has its moment. */
export function datesAfter(
  dates: SubscriptionDates,
  status: SubscriptionStatus,
  nowMs: number,
): SubscriptionDates {
  const cancelledAtMs = status === 'cancelled' ? (dates.cancelledAtMs ?? nowMs) : null;
  if (status !== 'trialing') return { ...dates, cancelledAtMs };
  return { trialStartAtMs: nowMs, trialEndAtMs: nowMs + TRIAL_MS, cancelledAtMs };
}
