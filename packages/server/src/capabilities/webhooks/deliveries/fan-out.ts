import type { IdSource, Scope } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Transaction } from '../../../platform/storage/database.js';
import type { Webhook, WebhookStore } from '../store.js';
import type { Delivery, DeliveryStore } from './store.js';

/** An event that a webhook wants. */
export interface Wanted {
  readonly webhook: Webhook;
  /** The same for each webhook, and each time that it is handed over. */
  readonly eventId: string;
  readonly type: string;
  /** JSON text of `data`, as that webhook may see it. */
  readonly data: string;
  readonly occurredAtMs: number;
}

/** Makes deliveries of events, in the transaction that counts the events as handed over. */
export interface FanOut {
  /** Returns how many; an event that comes a second time is left out. */
  deliver(tx: Transaction, scope: Scope, wanted: readonly Wanted[], nowMs: number): Promise<number>;
}

export interface FanOutDeps {
  readonly ids: IdSource;
  readonly webhooks: WebhookStore;
  readonly deliveries: DeliveryStore;
  /** After the commit. */
  wake(): void;
}

export function createFanOut({ ids, webhooks, deliveries, wake }: FanOutDeps): FanOut {
  async function toWebhook(
    tx: Transaction,
    scope: Scope,
    webhookId: string,
    wanted: readonly Wanted[],
    nowMs: number,
  ): Promise<number> {
    await tx.lock('webhooks', webhookId);
    const webhook = await webhooks.find(scope, webhookId, tx);
    if (!webhook?.enabled) return 0;
    const eventIds = wanted.map(({ eventId }) => eventId);
    const known = await deliveries.knownEvents(tx, scope, webhookId, eventIds);
    const fresh = wanted.filter(({ eventId }) => !known.has(eventId));
    if (fresh.length === 0) return 0;
    const waiting = await deliveries.countWaiting(tx, scope, webhookId, LIMITS.webhookWaitingMax);
    const taken = fresh.slice(0, LIMITS.webhookWaitingMax - waiting);
    const refused = fresh.slice(taken.length);
    await deliveries.insert(
      tx,
      scope,
      taken.map((one) => deliveryOf(one, nowMs)),
    );
    await deliveries.addAttempts(
      tx,
      scope,
      refused.map((one) => refusalOf(one, nowMs)),
    );
    await webhooks.advance(tx, scope, webhookId, {
      ...(taken.length > 0 && { nextAtMs: Math.min(webhook.nextAtMs ?? nowMs, nowMs) }),
      triggerCount: webhook.triggerCount + fresh.length,
      lastTriggeredAtMs: nowMs,
      ...(refused.length > 0 && {
        failureCount: webhook.failureCount + refused.length,
        lastFailureAtMs: nowMs,
      }),
    });
    return taken.length;
  }

  function deliveryOf({ webhook, eventId, type, data, occurredAtMs }: Wanted, nowMs: number): Delivery {
    return {
      id: ids.uuid(),
      scope: webhook.scope,
      webhookId: webhook.id,
      eventId,
      eventType: type,
      payload: data,
      occurredAtMs,
      state: 'waiting',
      dueAtMs: nowMs,
      attempts: 0,
      interruptions: 0,
      createdAtMs: nowMs,
    };
  }

  function refusalOf({ webhook, type }: Wanted, nowMs: number) {
    return {
      id: ids.uuid(),
      webhookId: webhook.id,
      deliveryId: null,
      eventType: type,
      attempt: 0,
      method: webhook.method,
      targetUrl: webhook.url,
      status: null,
      responseTimeMs: null,
      executedAtMs: nowMs,
      success: false,
      error: `Not kept: ${LIMITS.webhookWaitingMax} deliveries of this webhook are waiting`,
    };
  }

  return {
    async deliver(tx, scope, wanted, nowMs) {
      const byWebhook = new Map<string, Wanted[]>();
      for (const one of wanted) {
        const list = byWebhook.get(one.webhook.id);
        if (list) list.push(one);
        else byWebhook.set(one.webhook.id, [one]);
      }
      let count = 0;
      // In one order, so that two transactions do not wait for each other.
      for (const id of [...byWebhook.keys()].sort())
        count += await toWebhook(tx, scope, id, byWebhook.get(id)!, nowMs);
      if (count > 0) tx.afterCommit(wake);
      return count;
    },
  };
}
