import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../../kernel/ids.js';
import { offsetOf, type PageOptions } from '../../../platform/http/pagination.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { type AttemptRow, type DeliveryRow, type DeliveryState, webhookTables } from '../tables.js';

/** One event on its way to one webhook. Its id is what the receiver tells doubles by. */
export interface Delivery {
  readonly id: string;
  readonly scope: Scope;
  readonly webhookId: string;
  readonly eventId: string;
  readonly eventType: string;
  /** JSON text of `data`; null once it was delivered. */
  readonly payload: string | null;
  readonly occurredAtMs: number;
  readonly state: DeliveryState;
  readonly dueAtMs: number | null;
  readonly attempts: number;
  readonly interruptions: number;
  readonly createdAtMs: number;
}

/** One HTTP call, or what was in its way. */
export interface Attempt {
  readonly id: string;
  readonly webhookId: string;
  /** Null of a test. */
  readonly deliveryId: string | null;
  readonly eventType: string;
  readonly attempt: number;
  readonly method: string;
  readonly targetUrl: string;
  readonly status: number | null;
  readonly responseTimeMs: number | null;
  readonly executedAtMs: number;
  readonly success: boolean;
  readonly error: string | null;
}

export interface LoggedAttempt extends Attempt {
  /** Null of a test, and where the delivery was removed. */
  readonly deliveryState: DeliveryState | null;
}

export interface Removal {
  readonly scope: Scope;
  readonly webhookId: string;
}

export type DeliveryStore = ReturnType<typeof createDeliveryStore>;

export function createDeliveryStore(db: Database) {
  const view = db.view(webhookTables);

  function ofWebhook(scope: Scope, webhookId: string, tx?: Transaction) {
    return view.scoped(scope, tx).selectFrom('webhook_deliveries').where('webhook_id', '=', webhookId);
  }

  return {
    async insert(tx: Transaction, scope: Scope, deliveries: readonly Delivery[]): Promise<void> {
      if (deliveries.length === 0) return;
      const rows = deliveries.map((delivery) => ({
        id: delivery.id,
        webhook_id: delivery.webhookId,
        event_id: delivery.eventId,
        event_type: delivery.eventType,
        payload: delivery.payload,
        occurred_at: delivery.occurredAtMs,
        state: delivery.state,
        due_at: delivery.dueAtMs,
        attempts: delivery.attempts,
        interruptions: delivery.interruptions,
        created_at: delivery.createdAtMs,
      }));
      await view.scoped(scope, tx).insertInto('webhook_deliveries').values(rows).execute();
    },

    /** Which of those events the webhook has got a delivery for. */
    async knownEvents(
      tx: Transaction,
      scope: Scope,
      webhookId: string,
      eventIds: readonly string[],
    ): Promise<Set<string>> {
      const rows = await ofWebhook(scope, webhookId, tx)
        .select('event_id')
        .where('event_id', 'in', [...eventIds])
        .execute();
      return new Set(rows.map(({ event_id }) => event_id));
    },

    /** How many wait, no further than that many. */
    async countWaiting(tx: Transaction, scope: Scope, webhookId: string, upTo: number): Promise<number> {
      const { n } = await view
        .scoped(scope, tx)
        .selectFrom(({ selectFrom }) =>
          selectFrom('webhook_deliveries')
            .select('id')
            .where('webhook_id', '=', webhookId)
            .where('due_at', 'is not', null)
            .limit(upTo)
            .as('waiting'),
        )
        .select(({ fn }) => fn.countAll<number>().as('n'))
        .executeTakeFirstOrThrow();
      return n;
    },

    async due(
      tx: Transaction,
      scope: Scope,
      webhookId: string,
      nowMs: number,
      limit: number,
    ): Promise<Delivery[]> {
      const rows = await ofWebhook(scope, webhookId, tx)
        .selectAll()
        .where('due_at', '<=', nowMs)
        .orderBy('due_at')
        .limit(limit)
        .execute();
      return rows.map(deliveryOf);
    },

    /** Whether anything waits, is being sent, or was given up. */
    async hasUndelivered(tx: Transaction, scope: Scope, webhookId: string): Promise<boolean> {
      const row = await ofWebhook(scope, webhookId, tx)
        .select('id')
        .where('state', 'in', ['waiting', 'sending', 'dead'])
        .limit(1)
        .executeTakeFirst();
      return row !== undefined;
    },

    async firstDueAtMs(tx: Transaction, scope: Scope, webhookId: string): Promise<number | null> {
      const row = await ofWebhook(scope, webhookId, tx)
        .select(({ fn }) => fn.min('due_at').as('first'))
        .executeTakeFirst();
      return row?.first ?? null;
    },

    /** The intent: from here on a try may have reached the receiver. */
    async begin(tx: Transaction, scope: Scope, ids: readonly string[]): Promise<void> {
      if (ids.length === 0) return;
      await view
        .scoped(scope, tx)
        .updateTable('webhook_deliveries')
        .set((eb) => ({ state: 'sending', due_at: null, attempts: eb('attempts', '+', 1) }))
        .where('id', 'in', [...ids])
        .execute();
    },

    async find(scope: Scope, id: string, tx?: Transaction): Promise<Delivery | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('webhook_deliveries')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst();
      return row && deliveryOf(row);
    },

    /** Writes state, time and counts; what was delivered is not kept. */
    async settle(
      tx: Transaction,
      { scope, id, state, dueAtMs, attempts, interruptions, payload }: Delivery,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('webhook_deliveries')
        .set({ state, due_at: dueAtMs, attempts, interruptions, payload })
        .where('id', '=', id)
        .execute();
    },

    /** Dead letters wait again, as if they were new. */
    async revive(tx: Transaction, scope: Scope, ids: readonly string[], nowMs: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('webhook_deliveries')
        .set({ state: 'waiting', due_at: nowMs, attempts: 0, interruptions: 0 })
        .where('id', 'in', [...ids])
        .where('state', '=', 'dead')
        .execute();
    },

    /** Begun by a process that is gone. */
    async listSending(limit: number): Promise<Delivery[]> {
      const rows = await view
        .system('webhooks')
        .selectFrom('webhook_deliveries')
        .selectAll()
        .where('state', '=', 'sending')
        .limit(limit)
        .execute();
      return rows.map(deliveryOf);
    },

    /** Dead letters, the oldest first. */
    async listDead(tx: Transaction, scope: Scope, webhookId: string, limit: number): Promise<Delivery[]> {
      const rows = await ofWebhook(scope, webhookId, tx)
        .selectAll()
        .where('state', '=', 'dead')
        .orderBy('created_at')
        .limit(limit)
        .execute();
      return rows.map(deliveryOf);
    },

    async addAttempts(tx: Transaction, scope: Scope, attempts: readonly Attempt[]): Promise<void> {
      if (attempts.length === 0) return;
      await view
        .scoped(scope, tx)
        .insertInto('webhook_attempts')
        .values(attempts.map(attemptColumns))
        .execute();
    },

    async listAttempts(scope: Scope, webhookId: string, options: PageOptions): Promise<LoggedAttempt[]> {
      const rows = await view
        .aside(scope)
        .selectFrom('webhook_attempts')
        .leftJoin('webhook_deliveries', 'webhook_deliveries.id', 'webhook_attempts.delivery_id')
        .selectAll('webhook_attempts')
        .select('webhook_deliveries.state as delivery_state')
        .where('webhook_attempts.webhook_id', '=', webhookId)
        .orderBy('webhook_attempts.executed_at', options.order)
        .orderBy('webhook_attempts.id', options.order)
        .limit(options.perPage)
        .offset(offsetOf(options.page, options.perPage))
        .execute();
      return rows.map((row) => ({ ...attemptOf(row), deliveryState: row.delivery_state }));
    },

    async countAttempts(scope: Scope, webhookId: string): Promise<number> {
      const { total } = await view
        .aside(scope)
        .selectFrom('webhook_attempts')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .where('webhook_id', '=', webhookId)
        .executeTakeFirstOrThrow();
      return total;
    },

    async findAttempt(
      scope: Scope,
      webhookId: string,
      id: string,
      tx?: Transaction,
    ): Promise<Attempt | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('webhook_attempts')
        .selectAll()
        .where('webhook_id', '=', webhookId)
        .where('id', '=', id)
        .executeTakeFirst();
      return row && attemptOf(row);
    },

    async nextRemoval(): Promise<Removal | undefined> {
      const row = await view
        .system('webhooks')
        .selectFrom('webhook_removals')
        .selectAll()
        .limit(1)
        .executeTakeFirst();
      return (
        row && {
          scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
          webhookId: row.webhook_id,
        }
      );
    },

    /** Up to that many rows of what a deleted webhook has left; at none its removal is over. */
    async removeOf({ scope, webhookId }: Removal, limit: number): Promise<number> {
      const queries = view.scoped(scope);
      const deliveries = await queries
        .deleteFrom('webhook_deliveries')
        .where('id', 'in', (eb) =>
          eb.selectFrom('webhook_deliveries').select('id').where('webhook_id', '=', webhookId).limit(limit),
        )
        .returning('id')
        .execute();
      const attempts = await queries
        .deleteFrom('webhook_attempts')
        .where('id', 'in', (eb) =>
          eb.selectFrom('webhook_attempts').select('id').where('webhook_id', '=', webhookId).limit(limit),
        )
        .returning('id')
        .execute();
      const rows = deliveries.length + attempts.length;
      if (rows === 0)
        await queries.deleteFrom('webhook_removals').where('webhook_id', '=', webhookId).execute();
      return rows;
    },

    /** Of all tenants; how many rows. */
    async removeOlder(beforeMs: number, limit: number): Promise<number> {
      const queries = view.system('retention');
      const attempts = await queries
        .deleteFrom('webhook_attempts')
        .where('id', 'in', (eb) =>
          eb
            .selectFrom('webhook_attempts')
            .select('id')
            .where('executed_at', '<', beforeMs)
            .orderBy('executed_at')
            .limit(limit),
        )
        .returning('id')
        .execute();
      const deliveries = await queries
        .deleteFrom('webhook_deliveries')
        .where('id', 'in', (eb) =>
          eb
            .selectFrom('webhook_deliveries')
            .select('id')
            .where('created_at', '<', beforeMs)
            .orderBy('created_at')
            .limit(limit),
        )
        .where('state', '<>', 'sending')
        .returning('id')
        .execute();
      return attempts.length + deliveries.length;
    },
  };
}

function attemptColumns(attempt: Attempt) {
  return {
    id: attempt.id,
    webhook_id: attempt.webhookId,
    delivery_id: attempt.deliveryId,
    event_type: attempt.eventType,
    attempt: attempt.attempt,
    http_method: attempt.method,
    target_url: attempt.targetUrl,
    response_status: attempt.status,
    response_time_ms: attempt.responseTimeMs,
    executed_at: attempt.executedAtMs,
    success: Number(attempt.success),
    error_message: attempt.error,
  };
}

function attemptOf(row: Selectable<AttemptRow>): Attempt {
  return {
    id: row.id,
    webhookId: row.webhook_id,
    deliveryId: row.delivery_id,
    eventType: row.event_type,
    attempt: row.attempt,
    method: row.http_method,
    targetUrl: row.target_url,
    status: row.response_status,
    responseTimeMs: row.response_time_ms,
    executedAtMs: row.executed_at,
    success: row.success === 1,
    error: row.error_message,
  };
}

function deliveryOf(row: Selectable<DeliveryRow>): Delivery {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    webhookId: row.webhook_id,
    eventId: row.event_id,
    eventType: row.event_type,
    payload: row.payload,
    occurredAtMs: row.occurred_at,
    state: row.state,
    dueAtMs: row.due_at,
    attempts: row.attempts,
    interruptions: row.interruptions,
    createdAtMs: row.created_at,
  };
}
