import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { type ListOptions, offsetOf } from '../../platform/http/pagination.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { WebhookFormat } from '../crypto-keys/index.js';
import { type InboundWebhookRow, inboundWebhookTables } from './tables.js';

/** What a call may write, but for the secret. */
export interface InboundWebhookTerms {
  readonly name: string;
  readonly description: string | null;
  readonly format: WebhookFormat;
  readonly headerName: string | null;
  readonly hmacKeyId: string | null;
  readonly toleranceSeconds: number;
  /** One of the two. */
  readonly targetUrl: string | null;
  readonly routeId: string | null;
  /** Null = the base environment of the route. */
  readonly routeEnvironment: string | null;
  /** Of a route. */
  readonly maxRetries: number;
  readonly enabled: boolean;
}

export interface InboundWebhook extends InboundWebhookTerms {
  readonly id: string;
  readonly scope: Scope;
  readonly secretEnvelope: Buffer | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export type InboundWebhookListOptions = ListOptions<'created_at' | 'name' | 'enabled'>;
export type InboundWebhookStore = ReturnType<typeof createInboundWebhookStore>;

export function createInboundWebhookStore(db: Database) {
  const view = db.view(inboundWebhookTables);

  async function findBy(scope: Scope, column: 'id' | 'name', value: string, tx?: Transaction) {
    const row = await view
      .scoped(scope, tx)
      .selectFrom('inbound_webhooks')
      .selectAll()
      .where(column, '=', value)
      .executeTakeFirst();
    return row && webhookOf(row);
  }

  return {
    find: (scope: Scope, id: string, tx?: Transaction) => findBy(scope, 'id', id, tx),
    findByName: (scope: Scope, name: string, tx?: Transaction) => findBy(scope, 'name', name, tx),

    async insert(tx: Transaction, webhook: InboundWebhook): Promise<void> {
      await view
        .scoped(webhook.scope, tx)
        .insertInto('inbound_webhooks')
        .values({ id: webhook.id, created_at: webhook.createdAtMs, ...columnsOf(webhook) })
        .execute();
    },

    async update(tx: Transaction, webhook: InboundWebhook): Promise<void> {
      await view
        .scoped(webhook.scope, tx)
        .updateTable('inbound_webhooks')
        .set(columnsOf(webhook))
        .where('id', '=', webhook.id)
        .execute();
    },

    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('inbound_webhooks').where('id', '=', id).execute();
    },

    async list(scope: Scope, options: InboundWebhookListOptions): Promise<InboundWebhook[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('inbound_webhooks')
        .selectAll()
        .orderBy(options.sort, options.order)
        .orderBy('id', options.order)
        .limit(options.perPage)
        .offset(offsetOf(options.page, options.perPage))
        .execute();
      return rows.map(webhookOf);
    },

    async count(scope: Scope, tx?: Transaction): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('inbound_webhooks')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    /**
     * False where it was taken before, by whichever process; one whose time is over is taken anew. `along` commits with it.
     */
    async take(
      scope: Scope,
      receiptKey: string,
      expiresAtMs: number,
      nowMs: number,
      along?: (tx: Transaction) => Promise<void>,
    ): Promise<boolean> {
      return db.transaction(async (tx) => {
        const row = await view
          .scoped(scope, tx)
          .insertInto('inbound_webhook_receipts')
          .values({ receipt_key: receiptKey, expires_at: expiresAtMs })
          .onConflict((conflict) =>
            conflict
              .columns(['tenant_id', 'sandbox', 'receipt_key'])
              .doUpdateSet((eb) => ({ expires_at: eb.ref('excluded.expires_at') }))
              .where('inbound_webhook_receipts.expires_at', '<=', nowMs),
          )
          .returning('receipt_key')
          .executeTakeFirst();
        if (row === undefined) return false;
        await along?.(tx);
        return true;
      });
    },

    async release(scope: Scope, receiptKey: string): Promise<void> {
      await view
        .scoped(scope)
        .deleteFrom('inbound_webhook_receipts')
        .where('receipt_key', '=', receiptKey)
        .execute();
    },

    /** At most `rowsMax`; the number removed. */
    async removeExpired(nowMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention');
      const expired = await queries
        .selectFrom('inbound_webhook_receipts')
        .select('receipt_key')
        .where('expires_at', '<=', nowMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      if (expired.length > 0)
        await queries
          .deleteFrom('inbound_webhook_receipts')
          .where(
            'receipt_key',
            'in',
            expired.map(({ receipt_key }) => receipt_key),
          )
          .where('expires_at', '<=', nowMs)
          .execute();
      return expired.length;
    },
  };
}

function columnsOf(webhook: InboundWebhook) {
  return {
    name: webhook.name,
    description: webhook.description,
    format: webhook.format,
    header_name: webhook.headerName,
    hmac_key_id: webhook.hmacKeyId,
    secret_envelope: webhook.secretEnvelope,
    tolerance_seconds: webhook.toleranceSeconds,
    target_url: webhook.targetUrl ?? '',
    route_id: webhook.routeId,
    route_environment: webhook.routeEnvironment,
    max_retries: webhook.maxRetries,
    enabled: Number(webhook.enabled),
    updated_at: webhook.updatedAtMs,
  };
}

function webhookOf(row: Selectable<InboundWebhookRow>): InboundWebhook {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    name: row.name,
    description: row.description,
    format: row.format as WebhookFormat,
    headerName: row.header_name,
    hmacKeyId: row.hmac_key_id,
    secretEnvelope: row.secret_envelope,
    toleranceSeconds: row.tolerance_seconds,
    targetUrl: row.target_url === '' ? null : row.target_url,
    routeId: row.route_id,
    routeEnvironment: row.route_environment,
    maxRetries: row.max_retries,
    enabled: row.enabled === 1,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}
