import { setMaxListeners } from 'node:events';
import type { Clock } from '../../../kernel/clock.js';
import type { IdSource } from '../../../kernel/ids.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { JobContext, JobReport } from '../../../platform/jobs/definition.js';
import type { Database } from '../../../platform/storage/database.js';
import type { Webhook, WebhookStore } from '../store.js';
import { outcomeOf, progressOf, type Tried } from './outcome.js';
import { Postponed, type Sender } from './sender.js';
import type { Delivery, DeliveryStore } from './store.js';

/** Carries out deliveries: intent, try, result, each durable before the next. */
export interface Courier {
  run(context: JobContext): Promise<JobReport>;
}

export interface CourierDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly webhooks: WebhookStore;
  readonly deliveries: DeliveryStore;
  readonly sender: Sender;
}

/** Tries under way at once: of all webhooks, of one tenant, of one webhook. So a slow one takes no other's place. */
const AT_ONCE = 256;
const AT_ONCE_OF_TENANT = 32;
const AT_ONCE_OF_WEBHOOK = 4;
/** While tries are under way, what became due meanwhile is looked for that often. */
const LOOK_MS = 250;
/** After this long no try is begun: the run ends once the last answer is there. */
const RUN_MS_MAX = 60_000;
const WEBHOOKS_A_LOOK = 50;
const SETTLED_AT_ONCE = 50;
const RECOVERED_AT_ONCE = 200;

export function createCourier(deps: CourierDeps): Courier {
  const { clock } = deps;

  return {
    async run(context) {
      const round = new Round(deps, context);
      const startedMs = clock.monotonicMs();
      await round.recover();
      const mayGoOn = () =>
        !context.isStopping() && !context.signal.aborted && clock.monotonicMs() - startedMs < RUN_MS_MAX;
      while (mayGoOn()) {
        const begun = await round.begin();
        if (begun === 0 && round.underWay === 0) break;
        if (begun === 0) await round.change(LOOK_MS);
      }
      await round.end();
      const nextAtMs = await deps.webhooks.nextDueAtMs();
      return {
        rows: round.tries,
        details: { delivered: round.delivered },
        ...(nextAtMs !== null && { againInMs: Math.max(nextAtMs - clock.nowMs(), 0) }),
      };
    },
  };
}

/** One run: at any time one in the installation, so that its counts of what is under way hold for all. */
class Round {
  tries = 0;
  delivered = 0;
  readonly #ofWebhook = new Map<string, number>();
  readonly #ofTenant = new Map<string, number>();
  readonly #ended: Tried[] = [];
  #underWay = 0;
  #settling: Promise<void> | null = null;
  #failure: unknown = null;
  #hasChanged = false;
  #onChange: () => void = () => {};

  constructor(
    private readonly deps: CourierDeps,
    private readonly context: JobContext,
  ) {
    // Each try that is under way listens to it as well.
    setMaxListeners(AT_ONCE + 10, context.signal);
    context.signal.addEventListener('abort', () => this.#tellChange(), { once: true });
  }

  get underWay(): number {
    return this.#underWay + this.#ended.length + (this.#settling === null ? 0 : 1);
  }

  /** What a former run has begun and not settled: its process died, or lost the job. */
  async recover(): Promise<void> {
    const { deliveries, webhooks } = this.deps;
    for (;;) {
      const found = await deliveries.listSending(RECOVERED_AT_ONCE);
      for (const delivery of found) {
        const webhook = await webhooks.find(delivery.scope, delivery.webhookId);
        // Of a webhook that is gone: the removal takes it.
        if (webhook === undefined) continue;
        this.#ended.push({
          webhook,
          delivery,
          beganAtMs: this.deps.clock.nowMs(),
          end: { is: 'interrupted' },
        });
      }
      if (this.#ended.length === 0) return;
      await this.#settleAll();
      if (found.length < RECOVERED_AT_ONCE) return;
    }
  }

  /** Claims what is due and has a place, durably, and begins to send it; how many. */
  async begin(): Promise<number> {
    if (this.#failure !== null) throw this.#failure;
    const places = AT_ONCE - this.#underWay;
    if (places <= 0) return 0;
    const full = {
      webhooks: [...this.#ofWebhook].filter(([, n]) => n >= AT_ONCE_OF_WEBHOOK).map(([id]) => id),
      tenants: [...this.#ofTenant].filter(([, n]) => n >= AT_ONCE_OF_TENANT).map(([id]) => id),
    };
    const due = await this.deps.webhooks.listDue(this.deps.clock.nowMs(), full, WEBHOOKS_A_LOOK);
    let begun = 0;
    for (const webhook of due) {
      const free = Math.min(
        places - begun,
        AT_ONCE_OF_WEBHOOK - (this.#ofWebhook.get(webhook.id) ?? 0),
        AT_ONCE_OF_TENANT - (this.#ofTenant.get(webhook.scope.tenantId) ?? 0),
      );
      if (free <= 0) continue;
      // Durable before the first byte is sent.
      const claimed = await this.#claim(webhook, free);
      for (const delivery of claimed.deliveries) this.#launch(claimed.webhook, delivery);
      begun += claimed.deliveries.length;
    }
    return begun;
  }

  /** Resolves when something has ended since it was asked last, or that time is over. */
  async change(waitMs: number): Promise<void> {
    if (!this.#hasChanged) {
      await new Promise<void>((resolve) => {
        const cancel = this.deps.clock.setTimer(waitMs, resolve);
        this.#onChange = () => {
          cancel();
          resolve();
        };
      });
    }
    this.#hasChanged = false;
    this.#onChange = () => {};
  }

  #tellChange(): void {
    this.#hasChanged = true;
    this.#onChange();
  }

  /** All that is under way has ended, and stands in the database. */
  async end(): Promise<void> {
    while (this.underWay > 0 && this.#failure === null && !this.context.signal.aborted) {
      if (this.#settling === null && this.#ended.length > 0) await this.#settleAll();
      else await this.change(LOOK_MS);
    }
    if (this.#failure !== null) throw this.#failure;
  }

  async #claim(webhook: Webhook, places: number) {
    const { db, clock, webhooks, deliveries } = this.deps;
    return db.transaction(async (tx) => {
      await this.context.fence(tx);
      const { scope, id } = webhook;
      await tx.lock('webhooks', id);
      const current = await webhooks.find(scope, id, tx);
      if (!current?.enabled) return { webhook, deliveries: [] };
      const due = await deliveries.due(tx, scope, id, clock.nowMs(), places);
      await deliveries.begin(
        tx,
        scope,
        due.map((delivery) => delivery.id),
      );
      await webhooks.advance(tx, scope, id, { nextAtMs: await deliveries.firstDueAtMs(tx, scope, id) });
      const begun = due.map((delivery) => ({ ...delivery, attempts: delivery.attempts + 1 }));
      return { webhook: current, deliveries: begun };
    });
  }

  #launch(webhook: Webhook, delivery: Delivery): void {
    const beganAtMs = this.deps.clock.nowMs();
    this.#count(webhook, 1);
    this.tries++;
    this.#tried(webhook, delivery)
      .then((end) => {
        this.#ended.push({ webhook, delivery, beganAtMs, end });
        this.#settle();
      })
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#count(webhook, -1);
        this.#tellChange();
      });
  }

  async #tried(webhook: Webhook, delivery: Delivery): Promise<Tried['end']> {
    const event = {
      deliveryId: delivery.id,
      type: delivery.eventType,
      data: delivery.payload ?? '{}',
      occurredAtMs: delivery.occurredAtMs,
    };
    try {
      return { is: 'sent', sent: await this.deps.sender.send(webhook, event, this.context.signal) };
    } catch (error) {
      if (error instanceof Postponed) return { is: 'postponed', byMs: error.byMs, error: error.message };
      throw error;
    }
  }

  #count({ id, scope }: Webhook, by: 1 | -1): void {
    this.#underWay += by;
    add(this.#ofWebhook, id, by);
    add(this.#ofTenant, scope.tenantId, by);
  }

  /** Results that come while others are written are written together. */
  #settle(): void {
    if (this.#settling !== null || this.#failure !== null) return;
    this.#settling = this.#settleAll()
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#settling = null;
        this.#tellChange();
      });
  }

  async #settleAll(): Promise<void> {
    while (this.#ended.length > 0) {
      const tried = this.#ended.splice(0, SETTLED_AT_ONCE);
      const byWebhook = new Map<string, Tried[]>();
      for (const one of tried) byWebhook.set(one.webhook.id, [...(byWebhook.get(one.webhook.id) ?? []), one]);
      await this.#write(byWebhook);
    }
  }

  async #write(byWebhook: ReadonlyMap<string, readonly Tried[]>): Promise<void> {
    const { db, clock, ids, random, webhooks, deliveries } = this.deps;
    const nowMs = clock.nowMs();
    const delivered = await db.transaction(async (tx) => {
      await this.context.fence(tx);
      let count = 0;
      for (const id of [...byWebhook.keys()].sort()) {
        const tried = byWebhook.get(id)!;
        const { scope } = tried[0]!.webhook;
        await tx.lock('webhooks', id);
        const webhook = await webhooks.find(scope, id, tx);
        if (webhook === undefined) continue;
        const outcomes = tried.map((one) => outcomeOf({ ...one, webhook }, { nowMs, ids, random }));
        for (const { delivery } of outcomes) await deliveries.settle(tx, delivery);
        const attempts = outcomes.flatMap(({ attempt }) => (attempt === null ? [] : [attempt]));
        await deliveries.addAttempts(tx, scope, attempts);
        await webhooks.advance(tx, scope, id, progressOf(webhook, outcomes, nowMs));
        count += outcomes.filter(({ delivery }) => delivery.state === 'delivered').length;
      }
      return count;
    });
    this.delivered += delivered;
  }
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
