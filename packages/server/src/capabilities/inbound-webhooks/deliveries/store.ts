import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../../kernel/ids.js';
import { offsetOf, type PageOptions } from '../../../platform/http/pagination.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { type InboundDeliveryRow, inboundWebhookTables } from '../tables.js';

/** A received request on its way to a route; one that has arrived is no row any more. */
export interface InboundDelivery {
  readonly id: string;
  readonly scope: Scope;
  readonly webhookId: string;
  readonly state: 'waiting' | 'sending' | 'dead';
  /** Null unless it waits. */
  readonly dueAtMs: number | null;
  readonly attempts: number;
  readonly method: string;
  /** Of the body. */
  readonly bytes: number;
  readonly sourceIp: string | null;
  /** Of the last try. */
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  readonly lastRequestId: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface InboundDeliveryContent {
  readonly contentEnvelope: Buffer;
}

export interface FullTargets {
  readonly webhooks: readonly string[];
  readonly tenants: readonly string[];
}

/** Those that are on their way. */
export const ON_THEIR_WAY: readonly InboundDelivery['state'][] = ['waiting', 'sending'];

export type InboundDeliveryStore = ReturnType<typeof createInboundDeliveryStore>;

/** What lists show and workers need; contents are read one by one. */
const COLUMNS = [
  'tenant_id',
  'sandbox',
  'id',
  'webhook_id',
  'state',
  'due_at',
  'attempts',
  'method',
  'bytes',
  'source_ip',
  'last_status',
  'last_error',
  'last_request_id',
  'created_at',
  'updated_at',
] as const;

export function createInboundDeliveryStore(db: Database) {
  const view = db.view(inboundWebhookTables);

  return {
    async insert(
      tx: Transaction,
      delivery: InboundDelivery,
      { contentEnvelope }: InboundDeliveryContent,
    ): Promise<void> {
      await view
        .scoped(delivery.scope, tx)
        .insertInto('inbound_webhook_deliveries')
        .values({
          id: delivery.id,
          webhook_id: delivery.webhookId,
          method: delivery.method,
          bytes: delivery.bytes,
          source_ip: delivery.sourceIp,
          content_envelope: contentEnvelope,
          created_at: delivery.createdAtMs,
          ...stateColumns(delivery),
        })
        .execute();
    },

    async find(scope: Scope, id: string, tx?: Transaction): Promise<InboundDelivery | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('inbound_webhook_deliveries')
        .select(COLUMNS)
        .where('id', '=', id)
        .executeTakeFirst();
      return row && deliveryOf(row);
    },

    async content(scope: Scope, id: string): Promise<Buffer | undefined> {
      const row = await view
        .scoped(scope)
        .selectFrom('inbound_webhook_deliveries')
        .select('content_envelope')
        .where('id', '=', id)
        .executeTakeFirst();
      return row?.content_envelope;
    },

    /** Of a webhook: how many are in one of these states, and how long their bodies are together. */
    async totals(
      tx: Transaction,
      scope: Scope,
      webhookId: string,
      states: readonly InboundDelivery['state'][],
    ): Promise<{ readonly count: number; readonly bytes: number }> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('inbound_webhook_deliveries')
        .select(({ fn }) => [fn.countAll<number>().as('count'), fn.sum<number | null>('bytes').as('bytes')])
        .where('webhook_id', '=', webhookId)
        .where('state', 'in', states)
        .executeTakeFirstOrThrow();
      return { count: Number(row.count), bytes: Number(row.bytes ?? 0) };
    },

    async list(
      scope: Scope,
      webhookId: string,
      { page, perPage, order }: PageOptions,
    ): Promise<InboundDelivery[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('inbound_webhook_deliveries')
        .select(COLUMNS)
        .where('webhook_id', '=', webhookId)
        .orderBy('created_at', order)
        .orderBy('id', order)
        .limit(perPage)
        .offset(offsetOf(page, perPage))
        .execute();
      return rows.map(deliveryOf);
    },

    async count(scope: Scope, webhookId: string): Promise<number> {
      const { total } = await view
        .scoped(scope)
        .selectFrom('inbound_webhook_deliveries')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .where('webhook_id', '=', webhookId)
        .executeTakeFirstOrThrow();
      return total;
    },

    /** Dead letters of a webhook, the oldest first. */
    async listDead(
      tx: Transaction,
      scope: Scope,
      webhookId: string,
      limit: number,
    ): Promise<InboundDelivery[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('inbound_webhook_deliveries')
        .select(COLUMNS)
        .where('webhook_id', '=', webhookId)
        .where('state', '=', 'dead')
        .orderBy('created_at')
        .orderBy('id')
        .limit(limit)
        .execute();
      return rows.map(deliveryOf);
    },

    /** Of all tenants, of webhooks that are on and not left out. */
    async listDue(nowMs: number, full: FullTargets, limit: number): Promise<InboundDelivery[]> {
      let query = view
        .system('webhooks')
        .selectFrom('inbound_webhook_deliveries')
        .select(COLUMNS)
        .where('state', '=', 'waiting')
        .where('due_at', '<=', nowMs)
        .where('webhook_id', 'in', ({ selectFrom }) =>
          selectFrom('inbound_webhooks')
            .select('id')
            .where('enabled', '=', 1)
            .where('route_id', 'is not', null),
        );
      if (full.webhooks.length > 0) query = query.where('webhook_id', 'not in', [...full.webhooks]);
      if (full.tenants.length > 0)
        query = query.where('tenant_id', 'not in', [...full.tenants] as TenantId[]);
      const rows = await query.orderBy('due_at').orderBy('id').limit(limit).execute();
      return rows.map(deliveryOf);
    },

    async nextDueAtMs(): Promise<number | null> {
      const row = await view
        .system('webhooks')
        .selectFrom('inbound_webhook_deliveries')
        .select(({ fn }) => fn.min('due_at').as('first'))
        .where('state', '=', 'waiting')
        .where('webhook_id', 'in', ({ selectFrom }) =>
          selectFrom('inbound_webhooks')
            .select('id')
            .where('enabled', '=', 1)
            .where('route_id', 'is not', null),
        )
        .executeTakeFirst();
      return row?.first ?? null;
    },

    /** Begun by a run that did not come to write how they ended. */
    async listSending(limit: number): Promise<InboundDelivery[]> {
      const rows = await view
        .system('webhooks')
        .selectFrom('inbound_webhook_deliveries')
        .select(COLUMNS)
        .where('state', '=', 'sending')
        .orderBy('id')
        .limit(limit)
        .execute();
      return rows.map(deliveryOf);
    },

    async settle(tx: Transaction, delivery: InboundDelivery): Promise<void> {
      await view
        .scoped(delivery.scope, tx)
        .updateTable('inbound_webhook_deliveries')
        .set(stateColumns(delivery))
        .where('id', '=', delivery.id)
        .execute();
    },

    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('inbound_webhook_deliveries').where('id', '=', id).execute();
    },

    async deleteOf(tx: Transaction, scope: Scope, webhookId: string): Promise<void> {
      await view
        .scoped(scope, tx)
        .deleteFrom('inbound_webhook_deliveries')
        .where('webhook_id', '=', webhookId)
        .execute();
    },

    /** At most `rowsMax`; the number removed. */
    async removeOlder(beforeMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention');
      const rows = await queries
        .selectFrom('inbound_webhook_deliveries')
        .select('id')
        .where('created_at', '<', beforeMs)
        .where('state', '!=', 'sending')
        .orderBy('created_at')
        .limit(rowsMax)
        .execute();
      const ids = rows.map(({ id }) => id);
      if (ids.length > 0)
        await queries
          .deleteFrom('inbound_webhook_deliveries')
          .where('id', 'in', ids)
          .where('state', '!=', 'sending')
          .execute();
      return ids.length;
    },
  };
}

function stateColumns(delivery: InboundDelivery) {
  return {
    state: delivery.state,
    due_at: delivery.dueAtMs,
    attempts: delivery.attempts,
    last_status: delivery.lastStatus,
    last_error: delivery.lastError,
    last_request_id: delivery.lastRequestId,
    updated_at: delivery.updatedAtMs,
  };
}

function deliveryOf(row: Pick<Selectable<InboundDeliveryRow>, (typeof COLUMNS)[number]>): InboundDelivery {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    webhookId: row.webhook_id,
    state: row.state,
    dueAtMs: row.due_at,
    attempts: row.attempts,
    method: row.method,
    bytes: row.bytes,
    sourceIp: row.source_ip,
    lastStatus: row.last_status,
    lastError: row.last_error,
    lastRequestId: row.last_request_id,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}
