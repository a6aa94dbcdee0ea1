import type { Selectable, Updateable } from 'kysely';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { type ListOptions, offsetOf } from '../../platform/http/pagination.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { WebhookFormat } from '../crypto-keys/index.js';
import type { EventType } from './event-types.js';
import { type AuthType, type Method, type WebhookRow, webhookTables } from './tables.js';

/** What a call may write, but for what is sealed. */
export interface WebhookTerms {
  readonly name: string;
  readonly description: string | null;
  readonly url: string;
  readonly method: Method;
  readonly eventTypes: readonly EventType[];
  readonly authType: AuthType;
  /** Empty = of all routes. */
  readonly routeFilter: readonly string[];
  readonly includeRequestBody: boolean;
  readonly includeResponseBody: boolean;
  readonly includeHeaders: boolean;
  readonly timeoutSeconds: number;
  readonly retryOnFailure: boolean;
  readonly maxRetries: number;
  readonly enabled: boolean;
  readonly hmacKeyId: string | null;
  readonly hmacFormat: WebhookFormat;
  readonly hmacHeaderName: string | null;
}

/** KCT1 envelopes, bound to the row. */
export interface SealedParts {
  readonly auth: Buffer | null;
  readonly headers: Buffer | null;
  readonly secret: Buffer;
}

export interface Webhook extends WebhookTerms {
  readonly id: string;
  readonly scope: Scope;
  readonly sealed: SealedParts;
  readonly showsDetails: boolean;
  readonly showsIdentity: boolean;
  readonly nextAtMs: number | null;
  readonly triggerCount: number;
  readonly successCount: number;
  readonly failureCount: number;
  readonly lastTriggeredAtMs: number | null;
  readonly lastSuccessAtMs: number | null;
  readonly lastFailureAtMs: number | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export type WebhookListOptions = ListOptions<'created_at' | 'name' | 'enabled'>;

/** What deliveries change of their webhook. */
export interface Progress {
  readonly nextAtMs?: number | null;
  readonly triggerCount?: number;
  readonly successCount?: number;
  readonly failureCount?: number;
  readonly lastTriggeredAtMs?: number;
  readonly lastSuccessAtMs?: number;
  readonly lastFailureAtMs?: number;
}

export type WebhookStore = ReturnType<typeof createWebhookStore>;

export function createWebhookStore(db: Database) {
  const view = db.view(webhookTables);

  return {
    async insert(tx: Transaction, webhook: Webhook): Promise<void> {
      await view
        .scoped(webhook.scope, tx)
        .insertInto('webhooks')
        .values({
          id: webhook.id,
          next_at: null,
          trigger_count: 0,
          success_count: 0,
          failure_count: 0,
          last_triggered_at: null,
          last_success_at: null,
          last_failure_at: null,
          created_at: webhook.createdAtMs,
          ...columnsOf(webhook),
        })
        .execute();
    },

    async find(scope: Scope, id: string, tx?: Transaction): Promise<Webhook | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('webhooks')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst();
      return row && webhookOf(row);
    },

    async list(scope: Scope, options: WebhookListOptions): Promise<Webhook[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('webhooks')
        .selectAll()
        .orderBy(options.sort, options.order)
        .orderBy('id', options.order)
        .limit(options.perPage)
        .offset(offsetOf(options.page, options.perPage))
        .execute();
      return rows.map(webhookOf);
    },

    /** All that are on; a mode has few. */
    async listEnabled(scope: Scope, tx?: Transaction): Promise<Webhook[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('webhooks')
        .selectAll()
        .where('enabled', '=', 1)
        .orderBy('id')
        .execute();
      return rows.map(webhookOf);
    },

    async count(scope: Scope, tx?: Transaction): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('webhooks')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    async update(tx: Transaction, webhook: Webhook): Promise<void> {
      await view
        .scoped(webhook.scope, tx)
        .updateTable('webhooks')
        .set(columnsOf(webhook))
        .where('id', '=', webhook.id)
        .execute();
    },

    async advance(tx: Transaction, scope: Scope, id: string, progress: Progress): Promise<void> {
      const columns = progressColumns(progress);
      if (Object.keys(columns).length === 0) return;
      await view.scoped(scope, tx).updateTable('webhooks').set(columns).where('id', '=', id).execute();
    },

    /** Its deliveries and attempts are left to the job. */
    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      const queries = view.scoped(scope, tx);
      await queries.deleteFrom('webhooks').where('id', '=', id).execute();
      await queries.insertInto('webhook_removals').values({ webhook_id: id }).execute();
    },

    /** Of all tenants, those that something is due for, without those that are left out. */
    async listDue(
      nowMs: number,
      without: { readonly webhooks: readonly string[]; readonly tenants: readonly string[] },
      limit: number,
    ): Promise<Webhook[]> {
      let query = view
        .system('webhooks')
        .selectFrom('webhooks')
        .selectAll()
        .where('next_at', '<=', nowMs)
        .where('enabled', '=', 1);
      if (without.webhooks.length > 0) query = query.where('id', 'not in', [...without.webhooks]);
      if (without.tenants.length > 0)
        query = query.where('tenant_id', 'not in', [...without.tenants] as TenantId[]);
      const rows = await query.orderBy('next_at').limit(limit).execute();
      return rows.map(webhookOf);
    },

    async nextDueAtMs(): Promise<number | null> {
      const row = await view
        .system('webhooks')
        .selectFrom('webhooks')
        .select(({ fn }) => fn.min('next_at').as('first'))
        .where('enabled', '=', 1)
        .executeTakeFirst();
      return row?.first ?? null;
    },
  };
}

function progressColumns(progress: Progress): Updateable<WebhookRow> {
  return {
    ...(progress.nextAtMs !== undefined && { next_at: progress.nextAtMs }),
    ...(progress.triggerCount !== undefined && { trigger_count: progress.triggerCount }),
    ...(progress.successCount !== undefined && { success_count: progress.successCount }),
    ...(progress.failureCount !== undefined && { failure_count: progress.failureCount }),
    ...(progress.lastTriggeredAtMs !== undefined && { last_triggered_at: progress.lastTriggeredAtMs }),
    ...(progress.lastSuccessAtMs !== undefined && { last_success_at: progress.lastSuccessAtMs }),
    ...(progress.lastFailureAtMs !== undefined && { last_failure_at: progress.lastFailureAtMs }),
  };
}

/** Without what deliveries count. */
function columnsOf(webhook: Webhook) {
  return {
    name: webhook.name,
    description: webhook.description,
    url: webhook.url,
    method: webhook.method,
    event_types: JSON.stringify(webhook.eventTypes),
    auth_type: webhook.authType,
    auth_envelope: webhook.sealed.auth,
    headers_envelope: webhook.sealed.headers,
    secret_envelope: webhook.sealed.secret,
    route_filter: JSON.stringify(webhook.routeFilter),
    include_request_body: Number(webhook.includeRequestBody),
    include_response_body: Number(webhook.includeResponseBody),
    include_headers: Number(webhook.includeHeaders),
    timeout_seconds: webhook.timeoutSeconds,
    retry_on_failure: Number(webhook.retryOnFailure),
    max_retries: webhook.maxRetries,
    enabled: Number(webhook.enabled),
    hmac_key_id: webhook.hmacKeyId,
    hmac_format: webhook.hmacFormat,
    hmac_header_name: webhook.hmacHeaderName,
    shows_details: Number(webhook.showsDetails),
    shows_identity: Number(webhook.showsIdentity),
    updated_at: webhook.updatedAtMs,
  };
}

export function webhookOf(row: Selectable<WebhookRow>): Webhook {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    name: row.name,
    description: row.description,
    url: row.url,
    method: row.method,
    eventTypes: JSON.parse(row.event_types) as EventType[],
    authType: row.auth_type,
    sealed: { auth: row.auth_envelope, headers: row.headers_envelope, secret: row.secret_envelope },
    routeFilter: JSON.parse(row.route_filter) as string[],
    includeRequestBody: row.include_request_body === 1,
    includeResponseBody: row.include_response_body === 1,
    includeHeaders: row.include_headers === 1,
    timeoutSeconds: row.timeout_seconds,
    retryOnFailure: row.retry_on_failure === 1,
    maxRetries: row.max_retries,
    enabled: row.enabled === 1,
    hmacKeyId: row.hmac_key_id,
    hmacFormat: row.hmac_format as WebhookFormat,
    hmacHeaderName: row.hmac_header_name,
    showsDetails: row.shows_details === 1,
    showsIdentity: row.shows_identity === 1,
    nextAtMs: row.next_at,
    triggerCount: row.trigger_count,
    successCount: row.success_count,
    failureCount: row.failure_count,
    lastTriggeredAtMs: row.last_triggered_at,
    lastSuccessAtMs: row.last_success_at,
    lastFailureAtMs: row.last_failure_at,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}
