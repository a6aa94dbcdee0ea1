import type { Migration } from '../../../platform/storage/migration.js';

export const plansMigration: Migration = {
  id: '0016-plans',
  file: 'main',
  statements: ({ text, integer }) => [
    `CREATE TABLE usage_counters (
      tenant_id ${text} NOT NULL,
      month ${integer} NOT NULL,
      operations ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, month)
    )`,
    `CREATE TABLE usage_batches (
      id ${text} NOT NULL PRIMARY KEY,
      created_at ${integer} NOT NULL
    )`,
    'CREATE INDEX usage_batches_created_at ON usage_batches (created_at)',
    `CREATE TABLE subscriptions (
      tenant_id ${text} NOT NULL PRIMARY KEY,
      trial_start_at ${integer},
      trial_end_at ${integer},
      cancelled_at ${integer}
    )`,
  ],
};
