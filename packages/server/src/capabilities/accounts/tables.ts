import type { TenantId, UserId } from '../../kernel/ids.js';
import type { TenantColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { accountsMigration } from './migrations/0001-accounts.js';

interface TenantsTable {
  id: TenantId;
  slug: string;
  name: string;
  plan: string;
  subscription_status: string;
  /** 0 or 1 overrides the plan; null = by plan (dataplane.md §1.6). */
  ephemeral_enabled: number | null;
  created_at: number;
  updated_at: number;
}

interface UsersTable {
  id: UserId;
  email: string;
  /** What addresses are compared by. */
  email_folded: string;
  password_hash: string;
  created_at: number;
}

interface MembershipsTable extends TenantColumns {
  user_id: UserId;
  role: string;
  created_at: number;
}

export interface AccountsTables {
  tenants: TenantsTable;
  users: UsersTable;
  memberships: MembershipsTable;
}

export const accountsTables: TableSet<AccountsTables> = {
  tenants: { scope: 'system' },
  users: { scope: 'system' },
  memberships: { scope: 'tenant' },
};

export const migrations: readonly Migration[] = [accountsMigration];
