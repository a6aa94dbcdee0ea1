import type { Migration } from '../../../platform/storage/migration.js';

/**
 * What seals the rows (auth.md §8.2). The queue of the unsealed holds the rows of an earlier version from the start. On
 * PostgreSQL a trigger adds each new one, so that no writer can forget it and a row that commits late is found all the
 * same; on SQLite the writer seals before it commits, and the queue is for what it could not.
 */
export const auditChainMigration: Migration = {
  id: '0012-audit-chain',
  file: 'main',
  statements: ({ dialect, text, integer, bytes, rowId }) => [
    `CREATE TABLE audit_chain (
      tenant_id ${text} NOT NULL,
      sequence_number ${integer} NOT NULL,
      audit_id ${text} NOT NULL,
      prev_hash ${bytes} NOT NULL,
      row_hash ${bytes} NOT NULL,
      PRIMARY KEY (tenant_id, sequence_number)
    )${dialect === 'sqlite' ? ' WITHOUT ROWID' : ''}`,
    // The last sealed row of each tenant, and how far its checkpoints reach.
    `CREATE TABLE audit_chain_heads (
      tenant_id ${text} NOT NULL PRIMARY KEY,
      sequence_number ${integer} NOT NULL,
      row_hash ${bytes} NOT NULL,
      checkpoint_sequence ${integer} NOT NULL,
      checkpoint_at ${integer} NOT NULL
    )`,
    `CREATE TABLE audit_unsealed (
      position ${rowId},
      tenant_id ${text} NOT NULL,
      audit_id ${text} NOT NULL
    )`,
    'INSERT INTO audit_unsealed (tenant_id, audit_id) SELECT tenant_id, id FROM audit_logs ORDER BY created_at, id',
    ...(dialect === 'postgres' ? POSTGRES_TRIGGER : []),
    // The critical chain's have the tenant '' (no tenant has an empty id).
    `CREATE TABLE audit_checkpoints (
      tenant_id ${text} NOT NULL,
      kind ${text} NOT NULL,
      sequence_number ${integer} NOT NULL,
      row_hash ${bytes} NOT NULL,
      at ${integer} NOT NULL,
      key_id ${text} NOT NULL,
      signature ${bytes} NOT NULL,
      PRIMARY KEY (tenant_id, kind, sequence_number)
    )`,
    `CREATE TABLE audit_checkpoint_keys (
      key_id ${text} NOT NULL PRIMARY KEY,
      public_key ${bytes} NOT NULL,
      endorsed_by ${text},
      endorsement ${bytes},
      created_at ${integer} NOT NULL
    )`,
  ],
};

/** Once a statement, not once a row: a batch of a group commit is one statement. */
const POSTGRES_TRIGGER = [
  `CREATE FUNCTION audit_logs_unsealed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO audit_unsealed (tenant_id, audit_id) SELECT tenant_id, id FROM new_rows;
      RETURN NULL;
    END
  $$`,
  `CREATE TRIGGER audit_logs_unsealed AFTER INSERT ON audit_logs
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_unsealed()`,
  // A queue: many rows a second pass through it and few stand in it.
  'ALTER TABLE audit_unsealed SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)',
];
