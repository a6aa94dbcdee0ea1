import type { TenantId } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { Region } from '../accounts/index.js';
import { type SignupStatus, type SignupTables, signupTables } from './tables.js';

/** What was asked for. */
export interface SignupRequest {
  readonly email: string;
  readonly fullName: string;
  readonly tenantName: string;
  readonly tenantSlug: string;
  readonly country: string | null;
  readonly region: Region | null;
}

export interface Signup extends SignupRequest {
  readonly handleHash: Buffer;
  readonly status: SignupStatus;
  readonly tenantId: TenantId | null;
  readonly ip: string | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

export interface NewSignup extends SignupRequest {
  readonly handleHash: Buffer;
  readonly linkHash: Buffer;
  readonly emailFolded: string;
  readonly ip: string | null;
  readonly network: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** By what a limit counts. */
export type CountedBy =
  | { readonly column: 'network'; readonly value: string }
  | { readonly column: 'email_folded'; readonly value: string };

export function createSignupStore(db: Database) {
  const view = db.view(signupTables);

  return {
    async insert(tx: Transaction, signup: NewSignup): Promise<void> {
      await view
        .system('signup', tx)
        .insertInto('signups')
        .values({
          handle_hash: signup.handleHash,
          link_hash: signup.linkHash,
          email: signup.email,
          email_folded: signup.emailFolded,
          full_name: signup.fullName,
          tenant_name: signup.tenantName,
          tenant_slug: signup.tenantSlug,
          country: signup.country,
          region: signup.region,
          status: 'pending',
          made_tenant_id: null,
          ip_address: signup.ip,
          network: signup.network,
          created_at: signup.createdAtMs,
          expires_at: signup.expiresAtMs,
        })
        .execute();
    },

    /** When the newest of them were asked for, at most so many, the newest first. */
    async newest(by: CountedBy, sinceMs: number, most: number, tx?: Transaction): Promise<number[]> {
      const rows = await view
        .system('signup', tx)
        .selectFrom('signups')
        .select('created_at')
        .where(by.column, '=', by.value)
        .where('created_at', '>', sinceMs)
        .orderBy('created_at', 'desc')
        .limit(most)
        .execute();
      return rows.map(({ created_at }) => created_at);
    },

    /** One whose time is not over. */
    async find(
      by: 'handle_hash' | 'link_hash',
      hash: Buffer,
      nowMs: number,
      tx?: Transaction,
    ): Promise<Signup | undefined> {
      const row = await view
        .system('signup', tx)
        .selectFrom('signups')
        .selectAll()
        .where(by, '=', hash)
        .where('expires_at', '>', nowMs)
        .executeTakeFirst();
      return row && signupOf(row);
    },

    /** False where it had left that status already: of several that try at once, one gets true. */
    async advance(
      tx: Transaction,
      handleHash: Buffer,
      from: SignupStatus,
      to: SignupStatus,
      tenantId: TenantId,
    ): Promise<boolean> {
      const rows = await view
        .system('signup', tx)
        .updateTable('signups')
        .set({ status: to, made_tenant_id: tenantId })
        .where('handle_hash', '=', handleHash)
        .where('status', '=', from)
        .returning('handle_hash')
        .execute();
      return rows.length > 0;
    },

    /** Those whose time is over, at most so many; how many. */
    async removeEnded(tx: Transaction, nowMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const ended = await queries
        .selectFrom('signups')
        .select('handle_hash')
        .where('expires_at', '<=', nowMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      if (ended.length === 0) return 0;
      const hashes = ended.map(({ handle_hash }) => handle_hash);
      await queries.deleteFrom('signups').where('handle_hash', 'in', hashes).execute();
      return ended.length;
    },
  };
}

function signupOf(row: SignupTables['signups']): Signup {
  return {
    handleHash: row.handle_hash,
    email: row.email,
    fullName: row.full_name,
    tenantName: row.tenant_name,
    tenantSlug: row.tenant_slug,
    country: row.country,
    region: row.region,
    status: row.status,
    tenantId: row.made_tenant_id,
    ip: row.ip_address,
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
  };
}
