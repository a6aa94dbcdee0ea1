import type { Migration } from '../../../platform/storage/migration.js';

export const clientsMigration: Migration = {
  id: '0036-clients',
  file: 'main',
  statements: ({ text, integer }) => [
    `CREATE TABLE clients (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      name ${text} NOT NULL,
      type ${text} NOT NULL,
      ip_address ${text} NOT NULL,
      ip_notes ${text} NOT NULL,
      description ${text},
      enabled ${integer} NOT NULL,
      collection_id ${text},
      created_by ${text},
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    'CREATE INDEX clients_by_time ON clients (tenant_id, sandbox, created_at, id)',
    `CREATE TABLE client_credentials (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      client_id ${text} NOT NULL,
      kind ${text} NOT NULL,
      label ${text},
      is_own ${integer} NOT NULL,
      enabled ${integer} NOT NULL,
      value ${text},
      network ${text},
      thumbprint ${text},
      subject ${text},
      serial ${text},
      expires_at ${integer},
      last_matched_at ${integer},
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, client_id, network),
      UNIQUE (tenant_id, sandbox, thumbprint),
      FOREIGN KEY (tenant_id, sandbox, client_id) REFERENCES clients (tenant_id, sandbox, id)
    )`,
    'CREATE INDEX client_credentials_by_client ON client_credentials (tenant_id, sandbox, client_id, created_at, id)',
    // In this order the matcher reads them.
    'CREATE INDEX client_credentials_by_network ON client_credentials (tenant_id, sandbox, network, id)',
    `CREATE TABLE client_assignments (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      route_id ${text} NOT NULL,
      environment ${text} NOT NULL,
      client_id ${text} NOT NULL,
      created_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, route_id, environment, client_id),
      FOREIGN KEY (tenant_id, sandbox, client_id) REFERENCES clients (tenant_id, sandbox, id)
    )`,
    'CREATE INDEX client_assignments_by_client ON client_assignments (tenant_id, sandbox, client_id)',
  ],
};
