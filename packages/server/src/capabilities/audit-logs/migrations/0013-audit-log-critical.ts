import type { Migration } from '../../../platform/storage/migration.js';

const APPEND_ONLY = 'audit_log_critical is append-only';

/** The critical chain: one global order, for ever; the database itself refuses every change (auth.md §8.2). */
export const auditLogCriticalMigration: Migration = {
  id: '0013-audit-log-critical',
  file: 'main',
  statements: ({ dialect, text, integer, bytes }) => [
    `CREATE TABLE audit_log_critical (
      sequence_number ${integer} NOT NULL PRIMARY KEY,
      prev_hash ${bytes} NOT NULL,
      row_hash ${bytes} NOT NULL,
      at ${integer} NOT NULL,
      tenant_id ${text},
      actor_id ${text},
      action ${text} NOT NULL,
      resource_type ${text} NOT NULL,
      resource_id ${text},
      details ${text} NOT NULL
    )`,
    // Locked by who appends: on SERIALIZABLE the second of two is run again instead of taking the same number.
    `CREATE TABLE audit_critical_head (
      id ${text} NOT NULL PRIMARY KEY,
      sequence_number ${integer} NOT NULL,
      row_hash ${bytes} NOT NULL,
      checkpoint_sequence ${integer} NOT NULL,
      checkpoint_at ${integer} NOT NULL
    )`,
    `INSERT INTO audit_critical_head VALUES ('head', 0, ${zeros(dialect)}, 0, 0)`,
    ...(dialect === 'sqlite' ? SQLITE_GUARDS : POSTGRES_GUARDS),
  ],
};

function zeros(dialect: 'sqlite' | 'postgres'): string {
  const hex = '00'.repeat(32);
  return dialect === 'sqlite' ? `x'${hex}'` : `'\\x${hex}'`;
}

const SQLITE_GUARDS = [
  ...['UPDATE', 'DELETE'].map(
    (act) =>
      `CREATE TRIGGER audit_log_critical_no_${act.toLowerCase()} BEFORE ${act} ON audit_log_critical BEGIN
        SELECT RAISE(ABORT, '${APPEND_ONLY}');
      END`,
  ),
  // INSERT OR REPLACE removes a row without a delete trigger.
  `CREATE TRIGGER audit_log_critical_no_replace BEFORE INSERT ON audit_log_critical
    WHEN EXISTS (SELECT 1 FROM audit_log_critical WHERE sequence_number = NEW.sequence_number) BEGIN
      SELECT RAISE(ABORT, '${APPEND_ONLY}');
    END`,
];

const POSTGRES_GUARDS = [
  `CREATE FUNCTION audit_log_critical_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION '${APPEND_ONLY}';
    END
  $$`,
  `CREATE TRIGGER audit_log_critical_no_change BEFORE UPDATE OR DELETE ON audit_log_critical
    FOR EACH ROW EXECUTE FUNCTION audit_log_critical_guard()`,
  `CREATE TRIGGER audit_log_critical_no_truncate BEFORE TRUNCATE ON audit_log_critical
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_critical_guard()`,
  // Not even a session that calls itself a replica.
  'ALTER TABLE audit_log_critical ENABLE ALWAYS TRIGGER audit_log_critical_no_change',
  'ALTER TABLE audit_log_critical ENABLE ALWAYS TRIGGER audit_log_critical_no_truncate',
];
