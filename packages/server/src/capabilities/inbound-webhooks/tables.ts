import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { inboundWebhooksMigration } from './migrations/0067-inbound-webhooks.js';

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
  target_url: string;
  enabled: number;
  created_at: number;
  updated_at: number;
}

interface ReceiptRow extends TenantModeColumns {
  receipt_key: string;
  expires_at: number;
}

export interface InboundWebhookTables {
  inbound_webhooks: InboundWebhookRow;
  inbound_webhook_receipts: ReceiptRow;
}

export const inboundWebhookTables: TableSet<InboundWebhookTables> = {
  inbound_webhooks: { scope: 'tenant+mode' },
  inbound_webhook_receipts: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [inboundWebhooksMigration];
