import type { TenantColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { rolesMigration } from './migrations/0014-roles.js';

interface RolesTable extends TenantColumns {
  id: string;
  name: string;
  description: string | null;
  /** JSON text, a list of `user` and `api_key`. */
  applies_to: string;
  /** JSON text, a list of `{resource_type, actions, effect, resource?}` (auth.md §1.5). */
  rules: string;
  created_at: number;
}

export interface RolesTables {
  roles: RolesTable;
}

/** Shared by both modes (auth.md §6). The seeded roles have no rows: they are `seeded-roles.ts`. */
export const rolesTables: TableSet<RolesTables> = { roles: { scope: 'tenant' } };

export const migrations: readonly Migration[] = [rolesMigration];
