import type { Migration } from '../../../platform/storage/migration.js';

export const idempotencyMigration: Migration = {
  id: '0018-idempotency',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    // Two rows a key, both only ever inserted on the way to an answer: so the answer can join a group commit.
    `CREATE TABLE idempotency_records (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL CHECK (sandbox IN (0, 1)),
      id ${text} NOT NULL,
      part ${text} NOT NULL CHECK (part IN ('claim', 'answer')),
      key_envelope ${bytes} NOT NULL,
      request_hash ${bytes} NOT NULL,
      expires_at ${integer} NOT NULL,
      owner ${text},
      lease_until ${integer},
      intent_id ${text},
      status ${integer},
      answer ${bytes},
      request_id ${text},
      PRIMARY KEY (tenant_id, sandbox, id, part),
      CHECK (part <> 'claim' OR (owner IS NOT NULL AND lease_until IS NOT NULL)),
      CHECK (part <> 'answer' OR (status IS NOT NULL AND answer IS NOT NULL AND request_id IS NOT NULL))
    )`,
    'CREATE INDEX idempotency_records_expiry ON idempotency_records (expires_at)',
  ],
};
