import { setMaxListeners } from 'node:events';
import type { Clock } from '../../../kernel/clock.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { JobContext, JobReport } from '../../../platform/jobs/definition.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { InboundWebhook, InboundWebhookStore } from '../store.js';
import { DEAD_BYTES_MAX, DEAD_MAX } from './bounds.js';
import { type DeliveryEnd, outcomeOf } from './outcome.js';
import type { RouteTry } from './route-try.js';
import type { InboundDelivery, InboundDeliveryStore } from './store.js';

export interface InboundCourierDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly webhooks: Pick<InboundWebhookStore, 'find'>;
  readonly deliveries: InboundDeliveryStore;
  readonly tryRoute: RouteTry;
}

/** Calls under way at once: of all, of one tenant, of one webhook. So a slow route takes no other's place. */
const AT_ONCE = 64;
const AT_ONCE_OF_TENANT = 16;
const AT_ONCE_OF_WEBHOOK = 4;
const LOOK_MS = 250;
/** After this long none is begun: the run ends with the last answer, which comes within a minute. */
const RUN_MS_MAX = 300_000;
const RECOVERED_AT_ONCE = 200;

/** Carries deliveries to routes: intent, call, result, each durable before the next. One run at a time in the installation. */
export async function runCourier(deps: InboundCourierDeps, context: JobContext): Promise<JobReport> {
  const { clock, deliveries } = deps;
  const round = new Round(deps, context);
  const startedMs = clock.monotonicMs();
  setMaxListeners(AT_ONCE + 10, context.signal);
  await round.recover();
  const mayGoOn = () =>
    !round.hasFailed &&
    !context.isStopping() &&
    !context.signal.aborted &&
    clock.monotonicMs() - startedMs < RUN_MS_MAX;
  while (mayGoOn()) {
    const begun = await round.begin();
    if (begun === 0 && round.underWay === 0) break;
    if (begun === 0) await round.change();
  }
  // After a failure too: a result that is not written would be a try that counts and is repeated.
  while (round.underWay > 0) await round.change();
  round.throwFailure();
  const nextAtMs = await deliveries.nextDueAtMs();
  return {
    rows: round.tries,
    details: { arrived: round.arrived },
    ...(nextAtMs !== null && { againInMs: Math.max(nextAtMs - clock.nowMs(), 0) }),
  };
}

class Round {
  tries = 0;
  arrived = 0;
  underWay = 0;
  readonly #ofWebhook = new Map<string, number>();
  readonly #ofTenant = new Map<string, number>();
  #failure: unknown = null;
  #hasChanged = false;
  #onChange: () => void = () => {};

  constructor(
    private readonly deps: InboundCourierDeps,
    private readonly context: JobContext,
  ) {}

  get hasFailed(): boolean {
    return this.#failure !== null;
  }

  throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** What a former run has begun and not settled: its process died, or lost the job. */
  async recover(): Promise<void> {
    for (;;) {
      const found = await this.deps.deliveries.listSending(RECOVERED_AT_ONCE);
      for (const delivery of found) await this.#settle(delivery, { is: 'interrupted' });
      if (found.length < RECOVERED_AT_ONCE) return;
    }
  }

  /** Claims what is due and has a place, durably, and begins to carry it; how many. */
  async begin(): Promise<number> {
    const places = AT_ONCE - this.underWay;
    if (places <= 0) return 0;
    const full = {
      webhooks: namesOf(this.#ofWebhook, AT_ONCE_OF_WEBHOOK),
      tenants: namesOf(this.#ofTenant, AT_ONCE_OF_TENANT),
    };
    const due = await this.deps.deliveries.listDue(this.deps.clock.nowMs(), full, AT_ONCE);
    let begun = 0;
    for (const delivery of due) {
      if (begun === places) break;
      if ((this.#ofWebhook.get(delivery.webhookId) ?? 0) >= AT_ONCE_OF_WEBHOOK) continue;
      if ((this.#ofTenant.get(delivery.scope.tenantId) ?? 0) >= AT_ONCE_OF_TENANT) continue;
      const claimed = await this.#claim(delivery);
      if (claimed === null) continue;
      this.#launch(claimed.webhook, claimed.delivery);
      begun++;
    }
    return begun;
  }

  /** Resolves when something has ended since it was asked last, or after a while. */
  async change(): Promise<void> {
    if (!this.#hasChanged)
      await new Promise<void>((resolve) => {
        const cancel = this.deps.clock.setTimer(LOOK_MS, resolve);
        this.#onChange = () => {
          cancel();
          resolve();
        };
      });
    this.#hasChanged = false;
    this.#onChange = () => {};
  }

  async #claim({ scope, id, webhookId }: InboundDelivery) {
    const { db, clock, webhooks, deliveries } = this.deps;
    return db.transaction(async (tx) => {
      await this.context.fence(tx);
      await tx.lock('inbound_webhooks', webhookId);
      const webhook = await webhooks.find(scope, webhookId, tx);
      const current = await deliveries.find(scope, id, tx);
      if (!webhook?.enabled || webhook.routeId === null || current?.state !== 'waiting') return null;
      const delivery: InboundDelivery = {
        ...current,
        state: 'sending',
        dueAtMs: null,
        attempts: current.attempts + 1,
        updatedAtMs: clock.nowMs(),
      };
      await deliveries.settle(tx, delivery);
      return { webhook, delivery };
    });
  }

  #launch(webhook: InboundWebhook, delivery: InboundDelivery): void {
    this.#count(delivery, 1);
    this.tries++;
    this.deps
      .tryRoute(webhook, delivery, this.context.signal)
      .then((end) => this.#settle(delivery, this.context.signal.aborted ? { is: 'interrupted' } : end))
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#count(delivery, -1);
        this.#hasChanged = true;
        this.#onChange();
      });
  }

  async #settle(delivery: InboundDelivery, end: DeliveryEnd): Promise<void> {
    const { db, clock, random, webhooks, deliveries } = this.deps;
    const { scope, id, webhookId } = delivery;
    await db.transaction(async (tx) => {
      await this.context.fence(tx);
      await tx.lock('inbound_webhooks', webhookId);
      const webhook = await webhooks.find(scope, webhookId, tx);
      if (webhook === undefined || end.is === 'arrived') {
        await deliveries.delete(tx, scope, id);
        return;
      }
      const after = outcomeOf(delivery, end, { webhook, nowMs: clock.nowMs(), random });
      await deliveries.settle(tx, after);
      if (after.state === 'dead') await this.#makeRoom(tx, delivery);
    });
    if (end.is === 'arrived') this.arrived++;
  }

  /** Dead letters are bounded by the oldest. */
  async #makeRoom(tx: Transaction, { scope, webhookId }: InboundDelivery) {
    const { deliveries } = this.deps;
    let { count, bytes } = await deliveries.totals(tx, scope, webhookId, ['dead']);
    while (count > DEAD_MAX || bytes > DEAD_BYTES_MAX) {
      const oldest = await deliveries.listDead(tx, scope, webhookId, Math.max(count - DEAD_MAX, 1));
      if (oldest.length === 0) return;
      for (const dead of oldest) {
        await deliveries.delete(tx, scope, dead.id);
        bytes -= dead.bytes;
      }
      count -= oldest.length;
    }
  }

  #count({ webhookId, scope }: InboundDelivery, by: 1 | -1): void {
    this.underWay += by;
    add(this.#ofWebhook, webhookId, by);
    add(this.#ofTenant, scope.tenantId, by);
  }
}

function namesOf(counts: ReadonlyMap<string, number>, max: number): string[] {
  return [...counts].filter(([, n]) => n >= max).map(([name]) => name);
}

function add(counts: Map<string, number>, name: string, by: number): void {
  const count = (counts.get(name) ?? 0) + by;
  if (count === 0) counts.delete(name);
  else counts.set(name, count);
}
