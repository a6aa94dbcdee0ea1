import type { Clock } from '../../kernel/clock.js';
import type { OutboxListener } from '../../platform/outbox/dispatch.js';
import type { ChannelSender } from './channels/sender.js';
import type { AlertStore, Delivery } from './store.js';

/** Within the server alone: one channel of one firing. */
export const CHANNEL_EVENT = 'alert.channel';

/** After so many tries, somewhat more than an hour, nobody is helped any more. */
const ATTEMPTS_MAX = 12;
const ERROR_CHARACTERS_MAX = 300;

/** The channel is away: the outbox hands the event over again. */
class NotDelivered extends Error {
  override readonly name = 'NotDelivered';
}

/** Tells channels of firings, each at least once: what was told stands in the row, and a second event finds it. */
export function createAlertDeliveries(deps: {
  readonly clock: Clock;
  readonly store: AlertStore;
  readonly sender: ChannelSender;
}): OutboxListener {
  const { clock, store, sender } = deps;
  return {
    name: 'alerts',
    wants: (type) => type === CHANNEL_EVENT,
    async handle({ scope, payload }, signal) {
      const { firing_id, alert_id, channel_id } = payload as Record<string, string>;
      const deliveries = await store.deliveriesOf(scope, [firing_id!]);
      const delivery = deliveries.find(({ channelId }) => channelId === channel_id);
      if (delivery?.state !== 'waiting') return;
      const [alert, firing] = await Promise.all([
        store.find(scope, alert_id!),
        store.findFiring(scope, firing_id!),
      ]);
      const channel = alert?.channels.find(({ id }) => id === channel_id);
      if (alert === undefined || firing === undefined || channel === undefined) {
        await store.settle(ended(delivery, 'failed', 'The channel was removed', clock.nowMs()), scope);
        return;
      }
      // Durable before the first byte: a try that a process dies of counts.
      const tried = { ...delivery, attempts: delivery.attempts + 1 };
      await store.settle(tried, scope);
      const problem = await sender.send({ alert, channel, firing, isTest: false }, signal);
      const error = problem?.slice(0, ERROR_CHARACTERS_MAX) ?? null;
      if (error === null) await store.settle(ended(tried, 'delivered', null, clock.nowMs()), scope);
      else if (tried.attempts >= ATTEMPTS_MAX)
        await store.settle(ended(tried, 'failed', error, clock.nowMs()), scope);
      else {
        await store.settle({ ...tried, error }, scope);
        throw new NotDelivered(error);
      }
    },
  };
}

function ended(
  delivery: Delivery,
  state: 'delivered' | 'failed',
  error: string | null,
  endedAtMs: number,
): Delivery {
  return { ...delivery, state, error, endedAtMs };
}
