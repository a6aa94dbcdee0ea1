import type { Clock } from '../../../kernel/clock.js';
import { isAppError, notFound } from '../../../kernel/errors.js';
import { type IdSource, isUuid } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { PageOptions } from '../../../platform/http/pagination.js';
import type { Page } from '../../../platform/http/route.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { webhookEntry } from '../audit.js';
import { isNoDeadLetter, tooManyWaiting } from '../errors.js';
import { TEST_EVENT } from '../event-types.js';
import type { WebhookRecords } from '../service.js';
import type { Webhook, WebhookStore } from '../store.js';
import { Postponed, type Sender, type Sent } from './sender.js';
import type { Delivery, DeliveryStore, LoggedAttempt } from './store.js';

/** What somebody asks for: the log, a test, dead letters anew. */
export interface WebhookRequests {
  logs(caller: Caller, id: string, options: PageOptions): Promise<Page<LoggedAttempt>>;
  /** One try, here and now; no delivery, so that no counter moves. */
  test(caller: Caller, id: string): Promise<Sent>;
  /** The dead letter that the row of the log tells of. */
  replay(caller: Caller, id: string, attemptId: string): Promise<number>;
  /** All of the webhook, the oldest first, as far as one call goes; how many. */
  replayAll(caller: Caller, id: string): Promise<number>;
}

export interface WebhookRequestsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly records: Pick<WebhookRecords, 'get'>;
  readonly webhooks: WebhookStore;
  readonly deliveries: DeliveryStore;
  readonly sender: Sender;
  wake(): void;
}

const REPLAYED_AT_ONCE = 500;

export function createWebhookRequests(deps: WebhookRequestsDeps): WebhookRequests {
  const { db, clock, ids, auditLogs, records, webhooks, deliveries, sender, wake } = deps;

  async function sentTo(webhook: Webhook): Promise<Sent> {
    const event = {
      deliveryId: ids.uuid(),
      type: TEST_EVENT,
      data: JSON.stringify({ message: 'This is a test of the webhook.' }),
      occurredAtMs: clock.nowMs(),
    };
    try {
      return await sender.send(webhook, event);
    } catch (error) {
      throw error instanceof Postponed && isAppError(error.cause) ? error.cause : error;
    }
  }

  async function lockWebhook(tx: Transaction, { scope, id }: Webhook): Promise<Webhook> {
    await tx.lock('webhooks', id);
    const webhook = await webhooks.find(scope, id, tx);
    if (!webhook) throw notFound('Webhook');
    return webhook;
  }

  /** Due at once, with all its tries before it. */
  async function revive(
    tx: Transaction,
    caller: Caller,
    webhook: Webhook,
    dead: readonly Delivery[],
    details: Readonly<Record<string, unknown>>,
  ): Promise<number> {
    const { scope, id } = webhook;
    const nowMs = clock.nowMs();
    if (dead.length > 0) {
      await deliveries.revive(
        tx,
        scope,
        dead.map((delivery) => delivery.id),
        nowMs,
      );
      await webhooks.advance(tx, scope, id, { nextAtMs: Math.min(webhook.nextAtMs ?? nowMs, nowMs) });
      const entry = webhookEntry('webhook.deliver', webhook, { replayed: dead.length, ...details });
      await auditLogs.record(tx, actorOf(caller), entry);
      tx.afterCommit(wake);
    }
    await recordAnswer(tx, caller, dead.length);
    return dead.length;
  }

  async function roomFor(tx: Transaction, { scope, id }: Webhook): Promise<number> {
    const { webhookWaitingMax: max } = LIMITS;
    const room = max - (await deliveries.countWaiting(tx, scope, id, max));
    if (room <= 0) throw tooManyWaiting();
    return room;
  }

  return {
    async logs(caller, id, options) {
      const { scope, id: webhookId } = await records.get(caller, id);
      const [rows, total] = await Promise.all([
        deliveries.listAttempts(scope, webhookId, options),
        deliveries.countAttempts(scope, webhookId),
      ]);
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    async test(caller, id) {
      const webhook = await records.get(caller, id);
      const executedAtMs = clock.nowMs();
      const sent = await sentTo(webhook);
      await db.transaction(async (tx) => {
        await lockWebhook(tx, webhook);
        await deliveries.addAttempts(tx, webhook.scope, [
          {
            id: ids.uuid(),
            webhookId: webhook.id,
            deliveryId: null,
            eventType: TEST_EVENT,
            attempt: 1,
            method: webhook.method,
            targetUrl: webhook.url,
            executedAtMs,
            ...sent,
          },
        ]);
        const details = { success: sent.success, status: sent.status };
        await auditLogs.record(tx, actorOf(caller), webhookEntry('webhook.test', webhook, details));
        await recordAnswer(tx, caller, sent);
      });
      return sent;
    },

    async replay(caller, id, attemptId) {
      const found = await records.get(caller, id);
      return db.transaction(async (tx) => {
        const webhook = await lockWebhook(tx, found);
        const { scope } = webhook;
        const attempt = isUuid(attemptId)
          ? await deliveries.findAttempt(scope, webhook.id, attemptId.toLowerCase(), tx)
          : undefined;
        if (!attempt) throw notFound('Log entry');
        const delivery =
          attempt.deliveryId === null ? undefined : await deliveries.find(scope, attempt.deliveryId, tx);
        if (delivery?.state !== 'dead') throw isNoDeadLetter(delivery?.state ?? null);
        await roomFor(tx, webhook);
        const details = { delivery_id: delivery.id, event_type: delivery.eventType };
        return revive(tx, caller, webhook, [delivery], details);
      });
    },

    async replayAll(caller, id) {
      const found = await records.get(caller, id);
      return db.transaction(async (tx) => {
        const webhook = await lockWebhook(tx, found);
        const limit = Math.min(await roomFor(tx, webhook), REPLAYED_AT_ONCE);
        const dead = await deliveries.listDead(tx, webhook.scope, webhook.id, limit);
        return revive(tx, caller, webhook, dead, {});
      });
    },
  };
}
