import type { Clock } from '../../../kernel/clock.js';
import { notFound } from '../../../kernel/errors.js';
import { isUuid } from '../../../kernel/ids.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { PageOptions } from '../../../platform/http/pagination.js';
import type { Page } from '../../../platform/http/route.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { inboundWebhookEntry } from '../audit.js';
import { isNoDeadLetter, noRoom } from '../errors.js';
import { type InboundWebhookRecords, requireInvoke } from '../service.js';
import type { InboundWebhook } from '../store.js';
import { WAITING_BYTES_MAX, WAITING_MAX } from './bounds.js';
import { type InboundDelivery, type InboundDeliveryStore, ON_THEIR_WAY } from './store.js';

export interface InboundRequests {
  list(caller: Caller, id: string, options: PageOptions): Promise<Page<InboundDelivery>>;
  /** With all its tries anew. */
  replay(caller: Caller, id: string, deliveryId: string): Promise<number>;
  /** All dead letters of the webhook, the oldest first, as far as one call goes; how many. */
  replayAll(caller: Caller, id: string): Promise<number>;
}

export interface InboundRequestsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly records: Pick<InboundWebhookRecords, 'get'>;
  readonly deliveries: InboundDeliveryStore;
  /** After the commit. */
  wake(): void;
}

const REPLAYED_AT_ONCE = 500;

export function createInboundRequests(deps: InboundRequestsDeps): InboundRequests {
  const { db, clock, auditLogs, records, deliveries, wake } = deps;

  async function revive(
    tx: Transaction,
    caller: Caller,
    webhook: InboundWebhook,
    dead: readonly InboundDelivery[],
    details: Readonly<Record<string, unknown>>,
  ): Promise<number> {
    const nowMs = clock.nowMs();
    for (const delivery of dead)
      await deliveries.settle(tx, {
        ...delivery,
        state: 'waiting',
        dueAtMs: nowMs,
        attempts: 0,
        updatedAtMs: nowMs,
      });
    if (dead.length > 0) {
      const entry = inboundWebhookEntry('webhook.deliver', webhook, { replayed: dead.length, ...details });
      await auditLogs.record(tx, actorOf(caller), entry);
      tx.afterCommit(wake);
    }
    await recordAnswer(tx, caller, dead.length);
    return dead.length;
  }

  /** As many as there is room for among those that wait. */
  function fitting(
    dead: readonly InboundDelivery[],
    before: { readonly count: number; readonly bytes: number },
  ): InboundDelivery[] {
    let { count, bytes } = before;
    return dead.filter((delivery) => {
      if (count >= WAITING_MAX || bytes + delivery.bytes > WAITING_BYTES_MAX) return false;
      count++;
      bytes += delivery.bytes;
      return true;
    });
  }

  return {
    async list(caller, id, options) {
      const { scope, id: webhookId } = await records.get(caller, id);
      const [rows, total] = await Promise.all([
        deliveries.list(scope, webhookId, options),
        deliveries.count(scope, webhookId),
      ]);
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    async replay(caller, id, deliveryId) {
      const webhook = await records.get(caller, id);
      requireInvoke(caller.principal);
      const { scope } = webhook;
      return db.transaction(async (tx) => {
        await tx.lock('inbound_webhooks', webhook.id);
        const delivery = isUuid(deliveryId)
          ? await deliveries.find(scope, deliveryId.toLowerCase(), tx)
          : undefined;
        if (delivery?.webhookId !== webhook.id) throw notFound('Delivery');
        if (delivery.state !== 'dead') throw isNoDeadLetter();
        const fits = fitting([delivery], await deliveries.totals(tx, scope, webhook.id, ON_THEIR_WAY));
        if (fits.length === 0) throw noRoom();
        return revive(tx, caller, webhook, fits, { delivery_id: delivery.id });
      });
    },

    async replayAll(caller, id) {
      const webhook = await records.get(caller, id);
      requireInvoke(caller.principal);
      const { scope } = webhook;
      return db.transaction(async (tx) => {
        await tx.lock('inbound_webhooks', webhook.id);
        const dead = await deliveries.listDead(tx, scope, webhook.id, REPLAYED_AT_ONCE);
        const fits = fitting(dead, await deliveries.totals(tx, scope, webhook.id, ON_THEIR_WAY));
        return revive(tx, caller, webhook, fits, {});
      });
    },
  };
}
