import type { Migration } from '../../storage/migration.js';

/** A row is an event for one listener. `run_at` is null once the event is a dead letter. */
export const outboxMigration: Migration = {
  id: '0011-outbox',
  file: 'main',
  statements: ({ text, integer, rowId }) => [
    `CREATE TABLE outbox (
      id ${rowId},
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      listener ${text} NOT NULL,
      event_id ${text} NOT NULL,
      type ${text} NOT NULL,
      order_key ${text},
      payload ${text} NOT NULL,
      run_at ${integer},
      attempts ${integer} NOT NULL,
      last_error ${text},
      created_at ${integer} NOT NULL
    )`,
    'CREATE INDEX outbox_open ON outbox (listener, id) WHERE run_at IS NOT NULL',
    'CREATE INDEX outbox_due ON outbox (listener, run_at) WHERE run_at IS NOT NULL',
    `CREATE INDEX outbox_order ON outbox (tenant_id, sandbox, order_key, listener, run_at)
      WHERE run_at IS NOT NULL`,
    'CREATE INDEX outbox_age ON outbox (created_at)',
  ],
};
