import type { IdSource } from '../../../kernel/ids.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Progress, Webhook } from '../store.js';
import { retryDelayMs } from './retry.js';
import type { Sent } from './sender.js';
import type { Attempt, Delivery } from './store.js';

/** A try that was begun, and how it ended. `interrupted`: with its process; `postponed`: it was none. */
export interface Tried {
  readonly webhook: Webhook;
  readonly delivery: Delivery;
  readonly beganAtMs: number;
  readonly end: { readonly is: 'sent'; readonly sent: Sent } | Unsent;
}

export type Unsent =
  | { readonly is: 'interrupted' }
  | { readonly is: 'postponed'; readonly byMs: number; readonly error: string };

export interface Outcome {
  readonly delivery: Delivery;
  readonly attempt: Attempt | null;
}

/** Processes that died over one delivery before that counts as a try: it may be what they die of. */
const INTERRUPTIONS_MAX = 5;

/** What is to be written of it. `delivery.attempts` has counted the try already. */
export function outcomeOf(
  { webhook, delivery, beganAtMs, end }: Tried,
  { nowMs, ids, random }: { readonly nowMs: number; readonly ids: IdSource; readonly random: Random },
): Outcome {
  const attempt = (sent: Sent): Attempt => ({
    id: ids.uuid(),
    webhookId: webhook.id,
    deliveryId: delivery.id,
    eventType: delivery.eventType,
    attempt: delivery.attempts,
    method: webhook.method,
    targetUrl: webhook.url,
    status: sent.status,
    responseTimeMs: sent.responseTimeMs,
    executedAtMs: beganAtMs,
    success: sent.success,
    error: sent.error,
  });
  const uncounted = { ...delivery, state: 'waiting', attempts: delivery.attempts - 1 } as const;
  if (end.is === 'postponed') {
    const sent = { success: false, status: null, responseTimeMs: null, error: end.error };
    // Told of once, not every half a minute.
    const isTold = delivery.dueAtMs !== null && delivery.dueAtMs > delivery.createdAtMs;
    return {
      delivery: { ...uncounted, dueAtMs: nowMs + end.byMs },
      attempt: isTold ? null : { ...attempt(sent), attempt: uncounted.attempts },
    };
  }
  if (end.is === 'interrupted') {
    const interruptions = delivery.interruptions + 1;
    const error = 'The server ended during this try; whether it has arrived is not known';
    const interrupted = attempt({ success: false, status: null, responseTimeMs: null, error });
    if (interruptions < INTERRUPTIONS_MAX)
      return { delivery: { ...uncounted, dueAtMs: nowMs, interruptions }, attempt: interrupted };
    return { delivery: { ...failed(webhook, delivery, nowMs, random), interruptions }, attempt: interrupted };
  }
  const { sent } = end;
  return {
    delivery: sent.success
      ? { ...delivery, state: 'delivered', dueAtMs: null, payload: null }
      : failed(webhook, delivery, nowMs, random),
    attempt: attempt(sent),
  };
}

function failed(webhook: Webhook, delivery: Delivery, nowMs: number, random: Random): Delivery {
  const delayMs = retryDelayMs(webhook, delivery.attempts, random);
  return delayMs === null
    ? { ...delivery, state: 'dead', dueAtMs: null }
    : { ...delivery, state: 'waiting', dueAtMs: nowMs + delayMs };
}

/** What these outcomes change of their webhook: counters move with deliveries, not with tries. */
export function progressOf(webhook: Webhook, outcomes: readonly Outcome[], nowMs: number): Progress {
  const ended = (state: Delivery['state']) =>
    outcomes.filter(({ delivery }) => delivery.state === state).length;
  const due = outcomes.flatMap(({ delivery }) => (delivery.dueAtMs === null ? [] : [delivery.dueAtMs]));
  const successes = ended('delivered');
  const failures = ended('dead');
  return {
    ...(due.length > 0 && {
      nextAtMs: Math.min(webhook.nextAtMs ?? Number.POSITIVE_INFINITY, ...due),
    }),
    ...(successes > 0 && { successCount: webhook.successCount + successes, lastSuccessAtMs: nowMs }),
    ...(failures > 0 && { failureCount: webhook.failureCount + failures, lastFailureAtMs: nowMs }),
  };
}
