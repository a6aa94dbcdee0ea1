import type { Clock } from '../../../kernel/clock.js';
import type { OutboxListener } from '../../../platform/outbox/dispatch.js';
import type { Database } from '../../../platform/storage/database.js';
import type { FanOut } from '../deliveries/fan-out.js';
import { PUBLISHED } from '../event-types.js';
import type { WebhookStore } from '../store.js';

/** Makes deliveries of what other capabilities publish. */
export function createPublishedEvents(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly webhooks: WebhookStore;
  readonly fanOut: FanOut;
}): OutboxListener {
  const { db, clock, webhooks, fanOut } = deps;
  return {
    name: 'webhooks',
    wants: (type) => PUBLISHED.has(type),
    async handle({ id, scope, type, payload, publishedAtMs }) {
      await db.transaction(async (tx) => {
        const interested = (await webhooks.listEnabled(scope, tx)).filter(({ eventTypes }) =>
          (eventTypes as readonly string[]).includes(type),
        );
        const data = JSON.stringify(payload);
        const wanted = interested.map((webhook) => ({
          webhook,
          eventId: id,
          type,
          data,
          occurredAtMs: publishedAtMs,
        }));
        await fanOut.deliver(tx, scope, wanted, clock.nowMs());
      });
    },
  };
}
