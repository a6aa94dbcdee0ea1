import type { Migration } from '../../../platform/storage/migration.js';

export const inboundWebhooksMigration: Migration = {
  id: '0067-inbound-webhooks',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE inbound_webhooks (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      name ${text} NOT NULL,
      description ${text},
      format ${text} NOT NULL,
      header_name ${text},
      hmac_key_id ${text},
      secret_envelope ${bytes},
      tolerance_seconds ${integer} NOT NULL,
      target_url ${text} NOT NULL,
      enabled ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, name)
    )`,
    // What was taken, so that it is not taken again: hashes, shared by all processes.
    `CREATE TABLE inbound_webhook_receipts (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      receipt_key ${text} NOT NULL,
      expires_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, receipt_key)
    )`,
    'CREATE INDEX inbound_webhook_receipts_age ON inbound_webhook_receipts (expires_at)',
  ],
};
