import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { environmentsMigration } from './migrations/0053-environments.js';
import { environmentVariablesMigration } from './migrations/0062-environment-variables.js';

export interface EnvironmentRow extends TenantModeColumns {
  id: string;
  name: string;
  display_name: string | null;
  description: string | null;
  color: string;
  is_default: number;
  /** JSON text, an object; null = none. */
  variables: string | null;
  created_at: number;
  updated_at: number;
}

export interface EnvironmentTables {
  environments: EnvironmentRow;
}

export const environmentTables: TableSet<EnvironmentTables> = {
  environments: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [environmentsMigration, environmentVariablesMigration];
