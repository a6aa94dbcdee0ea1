import type { Migration } from '../../../platform/storage/migration.js';

export const egressObservationsMigration: Migration = {
  id: '0065-egress-observations',
  file: 'main',
  statements: ({ text, integer }) => [
    // `id` is the SHA-256 of what tells kinds of calls apart: sdk, host, first_segment, method, header_name.
    `CREATE TABLE egress_observations (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      sdk ${text} NOT NULL,
      host ${text} NOT NULL,
      first_segment ${text} NOT NULL,
      method ${text} NOT NULL,
      header_name ${text} NOT NULL,
      call_count ${integer} NOT NULL,
      first_seen ${integer} NOT NULL,
      last_seen ${integer} NOT NULL,
      reported_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    'CREATE INDEX egress_observations_by_report ON egress_observations (reported_at)',
  ],
};
