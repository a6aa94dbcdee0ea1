import type { Migration } from '../../../platform/storage/migration.js';

export const egressServersMigration: Migration = {
  id: '0060-egress-servers',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE egress_servers (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      name ${text} NOT NULL,
      kind ${text} NOT NULL,
      address ${text} NOT NULL,
      port ${integer},
      username ${text},
      password_envelope ${bytes},
      failover_id ${text},
      enabled ${integer} NOT NULL,
      version ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    'CREATE UNIQUE INDEX egress_servers_name ON egress_servers (tenant_id, sandbox, name)',
    `CREATE TABLE egress_defaults (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      egress_server_id ${text},
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox)
    )`,
  ],
};
