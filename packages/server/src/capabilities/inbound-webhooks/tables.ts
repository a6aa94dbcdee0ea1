import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { inboundWebhooksMigration } from './migrations/0067-inbound-webhooks.js';
import { inboundDeliveriesMigration } from './migrations/0069-inbound-deliveries.js';

export interface InboundWebhookRow extends TenantModeColumns {
  id: string;
  /** Stands in its address. */
  name: string;
  description: string | null;
  format: string;
  header_name: string | null;
  /** One of the two. */
  hmac_key_id: string | null;
  secret_envelope: Buffer | null;
  /** 0 = neither age nor repetition is judged. */
  tolerance_seconds: number;
  /** Empty where it leads to a route. */
  target_url: string;
  route_id: string | null;
  /** Null = the base environment of the route. */
  route_environment: string | null;
  max_retries: number;
  enabled: number;
  created_at: number;
  updated_at: number;
}

interface ReceiptRow extends TenantModeColumns {
  receipt_key: string;
  expires_at: number;
}

export interface InboundDeliveryRow extends TenantModeColumns {
  id: string;
  webhook_id: string;
  state: 'waiting' | 'sending' | 'dead';
  due_at: number | null;
  attempts: number;
  method: string;
  bytes: number;
  source_ip: string | null;
  content_envelope: Buffer;
  last_status: number | null;
  last_error: string | null;
  last_request_id: string | null;
  created_at: number;
  updated_at: number;
}

export interface InboundWebhookTables {
  inbound_webhooks: InboundWebhookRow;
  inbound_webhook_receipts: ReceiptRow;
  inbound_webhook_deliveries: InboundDeliveryRow;
}

export const inboundWebhookTables: TableSet<InboundWebhookTables> = {
  inbound_webhooks: { scope: 'tenant+mode' },
  inbound_webhook_receipts: { scope: 'tenant+mode' },
  inbound_webhook_deliveries: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [inboundWebhooksMigration, inboundDeliveriesMigration];
