import type { TenantId } from '../../kernel/ids.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import type { Region } from '../accounts/index.js';
import { signupMigration } from './migrations/0042-signup.js';

/** `confirmed`: the link was used, tenant and user are there. `claimed`: the key was shown. */
export type SignupStatus = 'pending' | 'confirmed' | 'claimed';

interface SignupsTable {
  handle_hash: Buffer;
  link_hash: Buffer;
  email: string;
  /** What addresses are compared by. */
  email_folded: string;
  full_name: string;
  tenant_name: string;
  /** The one that was asked for, or is made of the name; it may be taken by the time of the link. */
  tenant_slug: string;
  country: string | null;
  region: Region | null;
  status: SignupStatus;
  made_tenant_id: TenantId | null;
  ip_address: string | null;
  /** What the limit counts by. */
  network: string;
  created_at: number;
  expires_at: number;
}

export interface SignupTables {
  signups: SignupsTable;
}

export const signupTables: TableSet<SignupTables> = { signups: { scope: 'system' } };

export const migrations: readonly Migration[] = [signupMigration];
