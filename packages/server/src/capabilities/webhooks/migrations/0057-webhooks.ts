import type { Migration } from '../../../platform/storage/migration.js';

export const webhooksMigration: Migration = {
  id: '0057-webhooks',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE webhooks (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      name ${text} NOT NULL,
      description ${text},
      url ${text} NOT NULL,
      method ${text} NOT NULL,
      event_types ${text} NOT NULL,
      auth_type ${text} NOT NULL,
      auth_envelope ${bytes},
      headers_envelope ${bytes},
      secret_envelope ${bytes} NOT NULL,
      route_filter ${text} NOT NULL,
      include_request_body ${integer} NOT NULL,
      include_response_body ${integer} NOT NULL,
      include_headers ${integer} NOT NULL,
      timeout_seconds ${integer} NOT NULL,
      retry_on_failure ${integer} NOT NULL,
      max_retries ${integer} NOT NULL,
      enabled ${integer} NOT NULL,
      hmac_key_id ${text},
      hmac_format ${text} NOT NULL,
      hmac_header_name ${text},
      shows_details ${integer} NOT NULL,
      shows_identity ${integer} NOT NULL,
      next_at ${integer},
      trigger_count ${integer} NOT NULL,
      success_count ${integer} NOT NULL,
      failure_count ${integer} NOT NULL,
      last_triggered_at ${integer},
      last_success_at ${integer},
      last_failure_at ${integer},
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    'CREATE INDEX webhooks_due ON webhooks (next_at)',
    `CREATE TABLE webhook_deliveries (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      webhook_id ${text} NOT NULL,
      event_id ${text} NOT NULL,
      event_type ${text} NOT NULL,
      payload ${text},
      occurred_at ${integer} NOT NULL,
      state ${text} NOT NULL,
      due_at ${integer},
      attempts ${integer} NOT NULL,
      interruptions ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, webhook_id, event_id)
    )`,
    'CREATE INDEX webhook_deliveries_due ON webhook_deliveries (tenant_id, sandbox, webhook_id, due_at)',
    'CREATE INDEX webhook_deliveries_state ON webhook_deliveries (state, webhook_id, created_at)',
    'CREATE INDEX webhook_deliveries_age ON webhook_deliveries (created_at)',
    `CREATE TABLE webhook_attempts (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      webhook_id ${text} NOT NULL,
      delivery_id ${text},
      event_type ${text} NOT NULL,
      attempt ${integer} NOT NULL,
      http_method ${text} NOT NULL,
      target_url ${text} NOT NULL,
      response_status ${integer},
      response_time_ms ${integer},
      executed_at ${integer} NOT NULL,
      success ${integer} NOT NULL,
      error_message ${text},
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    'CREATE INDEX webhook_attempts_by_time ON webhook_attempts (tenant_id, sandbox, webhook_id, executed_at, id)',
    'CREATE INDEX webhook_attempts_age ON webhook_attempts (executed_at)',
    // What a deleted webhook leaves behind is removed in batches.
    `CREATE TABLE webhook_removals (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      webhook_id ${text} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, webhook_id)
    )`,
    // How far the audit chain of a tenant was read for its webhooks.
    `CREATE TABLE webhook_audit_marks (
      tenant_id ${text} NOT NULL,
      sequence_number ${integer} NOT NULL,
      PRIMARY KEY (tenant_id)
    )`,
  ],
};

/** Beside the request log, so that a call's events commit with its row (SQLite has a file of its own for it). */
export const webhookCallsMigration: Migration = {
  id: '0057-webhook-calls',
  file: 'log',
  statements: ({ text, integer, rowId }) => [
    `CREATE TABLE webhook_calls (
      id ${rowId},
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      event_id ${text} NOT NULL,
      types ${text} NOT NULL,
      data ${text} NOT NULL,
      occurred_at ${integer} NOT NULL
    )`,
  ],
};
