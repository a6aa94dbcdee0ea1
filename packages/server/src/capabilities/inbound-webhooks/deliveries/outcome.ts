import type { Random } from '../../../platform/crypto/random.js';
import { retryDelayMs } from '../../webhooks/index.js';
import type { InboundWebhook } from '../store.js';
import type { RouteTried } from './route-try.js';
import type { InboundDelivery } from './store.js';

/** `interrupted`: with its process, or by its end. */
export type DeliveryEnd = RouteTried | { readonly is: 'interrupted' };

interface Moment {
  readonly webhook: Pick<InboundWebhook, 'maxRetries'>;
  readonly nowMs: number;
  readonly random: Random;
}

const INTERRUPTED = 'The server ended during this try; whether it has arrived is not known';

/** What is to be written of one that has not arrived. `delivery.attempts` has counted the try already. */
export function outcomeOf(
  delivery: InboundDelivery,
  end: Exclude<DeliveryEnd, { is: 'arrived' }>,
  { webhook: { maxRetries }, nowMs, random }: Moment,
): InboundDelivery {
  const { attempts } = delivery;
  const waiting = { ...delivery, state: 'waiting', updatedAtMs: nowMs } as const;
  if (end.is === 'postponed')
    return { ...waiting, dueAtMs: nowMs + end.byMs, attempts: attempts - 1, lastError: end.error };
  // It counts, since it may be what the process dies of; so the last one is a dead letter, not lost.
  const told =
    end.is === 'interrupted'
      ? { lastStatus: null, lastError: INTERRUPTED }
      : { lastStatus: end.status, lastError: end.error, lastRequestId: end.requestId };
  const delayMs = retryDelayMs({ retryOnFailure: true, maxRetries }, attempts, random);
  return delayMs === null
    ? { ...waiting, ...told, state: 'dead', dueAtMs: null }
    : { ...waiting, ...told, dueAtMs: nowMs + delayMs };
}
