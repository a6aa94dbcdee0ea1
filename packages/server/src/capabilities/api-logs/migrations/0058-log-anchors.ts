import type { Migration } from '../../../platform/storage/migration.js';

/** What was anchored of each tenant and mode: numbers without a gap, from one range to the next (dataplane §10). */
export const logAnchorsMigration: Migration = {
  id: '0058-log-anchors',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE log_anchors (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      sequence_number ${integer} NOT NULL,
      anchored_at ${integer} NOT NULL,
      algo ${text} NOT NULL,
      merkle_root ${bytes} NOT NULL,
      leaf_count ${integer} NOT NULL,
      from_id ${integer} NOT NULL,
      to_id ${integer} NOT NULL,
      chain_row_hash ${bytes} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, from_id)
    )`,
  ],
};
