import type { Migration } from '../../../platform/storage/migration.js';

export const secretsMigration: Migration = {
  id: '0054-secrets',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE secrets (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      name ${text} NOT NULL,
      name_folded ${text} NOT NULL,
      secret_type ${text} NOT NULL,
      base_environment ${text} NOT NULL,
      description ${text},
      collection_id ${text},
      expires_at ${integer},
      is_expiry_strict ${integer} NOT NULL,
      allowed_hosts ${text},
      created_by ${text},
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, name_folded)
    )`,
    'CREATE INDEX secrets_by_name ON secrets (tenant_id, sandbox, name, id)',
    'CREATE INDEX secrets_by_time ON secrets (tenant_id, sandbox, created_at, id)',
    'CREATE INDEX secrets_by_environment ON secrets (tenant_id, sandbox, base_environment, id)',
    `CREATE TABLE secret_values (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      secret_id ${text} NOT NULL,
      environment_name ${text} NOT NULL,
      value_version ${integer} NOT NULL,
      value_envelope ${bytes} NOT NULL,
      certificate_info ${text},
      expires_at_override ${integer},
      created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL,
      PRIMARY KEY (tenant_id, sandbox, id),
      UNIQUE (tenant_id, sandbox, secret_id, environment_name),
      FOREIGN KEY (tenant_id, sandbox, secret_id) REFERENCES secrets (tenant_id, sandbox, id)
    )`,
    'CREATE INDEX secret_values_by_environment ON secret_values (tenant_id, sandbox, environment_name, id)',
  ],
};
