import type { Migration } from '../../../platform/storage/migration.js';

export const inboundDeliveriesMigration: Migration = {
  id: '0069-inbound-deliveries',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `ALTER TABLE inbound_webhooks ADD COLUMN route_id ${text}`,
    `ALTER TABLE inbound_webhooks ADD COLUMN route_environment ${text}`,
    `ALTER TABLE inbound_webhooks ADD COLUMN max_retries ${integer} NOT NULL DEFAULT 3`,
    `CREATE TABLE inbound_webhook_deliveries (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      webhook_id ${text} NOT NULL,
      state ${text} NOT NULL,
      due_at ${integer},
      attempts ${integer} NOT NULL,
      method ${text} NOT NULL,
      bytes ${integer} NOT NULL,
      source_ip ${text},
      content_envelope ${bytes} NOT NULL,
      last_status ${integer},
      last_error ${text},
      last_request_id ${text},
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    'CREATE INDEX inbound_webhook_deliveries_due ON inbound_webhook_deliveries (state, due_at)',
    'CREATE INDEX inbound_webhook_deliveries_age ON inbound_webhook_deliveries (created_at)',
    `CREATE INDEX inbound_webhook_deliveries_of_webhook
      ON inbound_webhook_deliveries (tenant_id, sandbox, webhook_id, state, created_at)`,
  ],
};
