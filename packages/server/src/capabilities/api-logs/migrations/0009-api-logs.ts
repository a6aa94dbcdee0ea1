import type { Migration } from '../../../platform/storage/migration.js';

/** The first twelve columns are the leaf fields of the later Merkle proof, fixed for ever (dataplane §10). */
export const apiLogsMigration: Migration = {
  id: '0009-api-logs',
  file: 'log',
  statements: (t) => [
    // A partitioned table has no identity column before PostgreSQL 17, and no key without its partition column.
    ...(t.dialect === 'postgres' ? ['CREATE SEQUENCE api_logs_id'] : []),
    `CREATE TABLE api_logs (
      id ${t.dialect === 'postgres' ? "BIGINT NOT NULL DEFAULT nextval('api_logs_id')" : t.rowId},
      request_id ${t.text} NOT NULL,
      tenant_id ${t.text} NOT NULL,
      route_id ${t.text},
      matched_client_id ${t.text},
      identification_method ${t.text},
      method ${t.text} NOT NULL,
      status_code ${t.integer} NOT NULL,
      src_ip ${t.text},
      environment ${t.text},
      sandbox ${t.integer},
      ts ${t.integer} NOT NULL,
      path ${t.text},
      latency_ms ${t.integer} NOT NULL,
      upstream_host ${t.text},
      error ${t.text},
      rate_limited ${t.integer} NOT NULL,
      proxy_mode ${t.text} NOT NULL,
      client_origin ${t.text} NOT NULL,
      logged_at ${t.integer} NOT NULL
    )${t.partitionedByDay('ts')}`,
    'CREATE INDEX api_logs_feed ON api_logs (tenant_id, sandbox, id)',
    'CREATE INDEX api_logs_request ON api_logs (tenant_id, sandbox, request_id)',
    // Only where several processes number rows does the feed look for young ones.
    ...(t.dialect === 'postgres'
      ? ['CREATE INDEX api_logs_young ON api_logs (tenant_id, sandbox, logged_at)']
      : []),
  ],
  dayPartitioned: ['api_logs'],
};
