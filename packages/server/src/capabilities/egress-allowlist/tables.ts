import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { egressAllowlistMigration } from './migrations/0025-egress-allowlist.js';

export interface EgressAllowlistRow extends TenantModeColumns {
  /** JSON text, a list. It is read and written as a whole only. */
  hosts: string;
  updated_at: number;
}

export const egressAllowlistTables: TableSet<{ egress_allowlists: EgressAllowlistRow }> = {
  egress_allowlists: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [egressAllowlistMigration];
