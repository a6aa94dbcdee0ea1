import type { Generated } from 'kysely';
import type { TenantColumns, TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { webhookCallsMigration, webhooksMigration } from './migrations/0057-webhooks.js';

export const METHODS = ['POST', 'PUT', 'PATCH', 'GET'] as const;
export type Method = (typeof METHODS)[number];

export const AUTH_TYPES = ['none', 'basic', 'bearer', 'hmac', 'header'] as const;
export type AuthType = (typeof AUTH_TYPES)[number];

export interface WebhookRow extends TenantModeColumns {
  id: string;
  name: string;
  description: string | null;
  url: string;
  method: Method;
  /** JSON texts, lists: read and written as a whole. */
  event_types: string;
  auth_type: AuthType;
  auth_envelope: Buffer | null;
  headers_envelope: Buffer | null;
  secret_envelope: Buffer;
  route_filter: string;
  include_request_body: number;
  include_response_body: number;
  include_headers: number;
  timeout_seconds: number;
  retry_on_failure: number;
  max_retries: number;
  enabled: number;
  hmac_key_id: string | null;
  hmac_format: string;
  hmac_header_name: string | null;
  /** What whoever wrote it last may read: details of audit rows, addresses of callers. */
  shows_details: number;
  shows_identity: number;
  /** No delivery is due before; null = none waits. */
  next_at: number | null;
  trigger_count: number;
  success_count: number;
  failure_count: number;
  last_triggered_at: number | null;
  last_success_at: number | null;
  last_failure_at: number | null;
  created_at: number;
  updated_at: number;
}

/** `sending` in no run that is under way = its process died. */
export type DeliveryState = 'waiting' | 'sending' | 'delivered' | 'dead';

export interface DeliveryRow extends TenantModeColumns {
  id: string;
  webhook_id: string;
  /** One delivery for each event of a webhook, however often the event is handed over. */
  event_id: string;
  event_type: string;
  /** JSON text of `data`; null once it was delivered. */
  payload: string | null;
  occurred_at: number;
  state: DeliveryState;
  /** While it waits. */
  due_at: number | null;
  /** Begun; those that a dying process has broken off do not count. */
  attempts: number;
  interruptions: number;
  created_at: number;
}

export interface AttemptRow extends TenantModeColumns {
  id: string;
  webhook_id: string;
  /** Null of a test, which is no delivery. */
  delivery_id: string | null;
  event_type: string;
  attempt: number;
  http_method: string;
  target_url: string;
  response_status: number | null;
  response_time_ms: number | null;
  executed_at: number;
  success: number;
  error_message: string | null;
}

interface RemovalRow extends TenantModeColumns {
  webhook_id: string;
}

interface AuditMarkRow extends TenantColumns {
  sequence_number: number;
}

interface CallRow extends TenantModeColumns {
  id: Generated<number>;
  event_id: string;
  /** JSON text, a list. */
  types: string;
  /** JSON text of `data`, with all that some webhook may want. */
  data: string;
  occurred_at: number;
}

export interface WebhookTables {
  webhooks: WebhookRow;
  webhook_deliveries: DeliveryRow;
  webhook_attempts: AttemptRow;
  webhook_removals: RemovalRow;
  webhook_audit_marks: AuditMarkRow;
}

export const webhookTables: TableSet<WebhookTables> = {
  webhooks: { scope: 'tenant+mode' },
  webhook_deliveries: { scope: 'tenant+mode' },
  webhook_attempts: { scope: 'tenant+mode' },
  webhook_removals: { scope: 'tenant+mode' },
  webhook_audit_marks: { scope: 'tenant' },
};

export const webhookCallTables: TableSet<{ webhook_calls: CallRow }> = {
  webhook_calls: { scope: 'tenant+mode', file: 'log' },
};

export const migrations: readonly Migration[] = [webhooksMigration, webhookCallsMigration];
