import type { Selectable } from 'kysely';
import type { Scope } from '../../kernel/ids.js';
import type { PublicJwk } from '../../platform/crypto/jwk.js';
import { offsetOf, type PageOptions } from '../../platform/http/pagination.js';
import { type Database, type Transaction, UniqueViolation } from '../../platform/storage/database.js';
import { type AccountStatus, type AcmeTables, acmeTables } from './tables.js';

export interface Account {
  readonly id: string;
  readonly rootId: string;
  readonly roleId: string;
  readonly status: AccountStatus;
  readonly jwk: PublicJwk;
  readonly thumbprint: string;
  readonly contacts: readonly string[];
  readonly termsAgreed: boolean;
  /** As it was sent. */
  readonly externalBinding: unknown;
  readonly createdAtMs: number;
}

export interface ListedAccount extends Account {
  readonly endedAtMs: number | null;
}

export interface AccountQuery extends PageOptions {
  readonly status?: AccountStatus;
}

/** Of the key that has vouched for it; null where none has. */
export function keyIdOf({ externalBinding }: Pick<Account, 'externalBinding'>): string | null {
  if (externalBinding === null) return null;
  const { protected: header } = externalBinding as { readonly protected: string };
  return (JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as { readonly kid: string }).kid;
}

export interface ExternalKey {
  readonly id: string;
  readonly roleId: string;
  readonly label: string | null;
  readonly keyEnvelope: Buffer;
  readonly accountId: string | null;
  readonly boundAtMs: number | null;
  readonly createdAtMs: number;
}

export type AccountStore = ReturnType<typeof createAccountStore>;

export function createAccountStore(db: Database) {
  const view = db.view(acmeTables);

  function ofRole(scope: Scope, roleId: string, { status }: AccountQuery) {
    const all = view.scoped(scope).selectFrom('acme_accounts').where('role_id', '=', roleId);
    return status === undefined ? all : all.where('status', '=', status);
  }

  return {
    /** In a commit shared with other callers; false where it was used before. */
    async spendNonce(scope: Scope, nonce: string, expiresAtMs: number): Promise<boolean> {
      const row = view.insertion('acme_nonces', scope, { nonce, expires_at: expiresAtMs });
      try {
        await db.commitInserts([row]);
        return true;
      } catch (error) {
        if (error instanceof UniqueViolation) return false;
        throw error;
      }
    },

    async findAccount(scope: Scope, id: string, tx?: Transaction): Promise<Account | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('acme_accounts')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst();
      return row && accountOf(row);
    },

    /** The same with its end; locked until the end of the transaction. */
    async findListed(scope: Scope, id: string, tx: Transaction): Promise<ListedAccount | undefined> {
      await tx.lock('acme_accounts', id);
      const row = await view
        .scoped(scope, tx)
        .selectFrom('acme_accounts')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst();
      return row && listedOf(row);
    },

    async findByKey(
      scope: Scope,
      roleId: string,
      thumbprint: string,
      tx?: Transaction,
    ): Promise<Account | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('acme_accounts')
        .selectAll()
        .where('role_id', '=', roleId)
        .where('thumbprint', '=', thumbprint)
        .executeTakeFirst();
      return row && accountOf(row);
    },

    async listAccounts(scope: Scope, roleId: string, query: AccountQuery) {
      const counted = await ofRole(scope, roleId, query)
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .executeTakeFirst();
      const rows = await ofRole(scope, roleId, query)
        .selectAll()
        .orderBy('created_at', query.order)
        .orderBy('id', query.order)
        .limit(query.perPage)
        .offset(offsetOf(query.page, query.perPage))
        .execute();
      return { rows: rows.map(listedOf), total: Number(counted?.count ?? 0) };
    },

    /** Of those that no key has vouched for; ones that have ended too, while their rows are kept. */
    async countStrangers(scope: Scope, roleId: string): Promise<number> {
      const row = await view
        .scoped(scope)
        .selectFrom('acme_accounts')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('role_id', '=', roleId)
        .where('external_binding', 'is', null)
        .executeTakeFirst();
      return Number(row?.count ?? 0);
    },

    async insertAccount(tx: Transaction, scope: Scope, account: Account): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('acme_accounts')
        .values({
          id: account.id,
          root_id: account.rootId,
          role_id: account.roleId,
          status: account.status,
          jwk: JSON.stringify(account.jwk),
          thumbprint: account.thumbprint,
          contacts: JSON.stringify(account.contacts),
          terms_agreed: account.termsAgreed ? 1 : 0,
          external_binding: account.externalBinding == null ? null : JSON.stringify(account.externalBinding),
          created_at: account.createdAtMs,
          ended_at: null,
        })
        .execute();
    },

    async setContacts(tx: Transaction, scope: Scope, id: string, contacts: readonly string[]): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('acme_accounts')
        .set({ contacts: JSON.stringify(contacts) })
        .where('id', '=', id)
        .execute();
    },

    /** False where it had ended already. */
    async endAccount(
      tx: Transaction,
      scope: Scope,
      id: string,
      status: Exclude<AccountStatus, 'valid'>,
      nowMs: number,
    ): Promise<boolean> {
      const { numUpdatedRows } = await view
        .scoped(scope, tx)
        .updateTable('acme_accounts')
        .set({ status, ended_at: nowMs })
        .where('id', '=', id)
        .where('status', '=', 'valid')
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    /** False where the account has another key by now. Throws `UniqueViolation` where another account of the role has the new one. */
    async replaceKey(
      tx: Transaction,
      scope: Scope,
      { id, thumbprint }: Pick<Account, 'id' | 'thumbprint'>,
      next: { readonly jwk: PublicJwk; readonly thumbprint: string },
    ): Promise<boolean> {
      const { numUpdatedRows } = await view
        .scoped(scope, tx)
        .updateTable('acme_accounts')
        .set({ jwk: JSON.stringify(next.jwk), thumbprint: next.thumbprint })
        .where('id', '=', id)
        .where('thumbprint', '=', thumbprint)
        .where('status', '=', 'valid')
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    async listKeys(scope: Scope, roleId: string): Promise<ExternalKey[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('acme_keys')
        .selectAll()
        .where('role_id', '=', roleId)
        .orderBy('created_at')
        .orderBy('id')
        .execute();
      return rows.map(externalKeyOf);
    },

    async findKey(
      scope: Scope,
      roleId: string,
      id: string,
      tx?: Transaction,
    ): Promise<ExternalKey | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('acme_keys')
        .selectAll()
        .where('role_id', '=', roleId)
        .where('id', '=', id)
        .executeTakeFirst();
      return row && externalKeyOf(row);
    },

    async countKeys(scope: Scope, roleId: string, tx: Transaction): Promise<number> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('acme_keys')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('role_id', '=', roleId)
        .executeTakeFirst();
      return Number(row?.count ?? 0);
    },

    async insertKey(tx: Transaction, scope: Scope, key: ExternalKey): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('acme_keys')
        .values({
          id: key.id,
          role_id: key.roleId,
          label: key.label,
          key_envelope: key.keyEnvelope,
          account_id: key.accountId,
          bound_at: key.boundAtMs,
          created_at: key.createdAtMs,
        })
        .execute();
    },

    /** False where it is gone or an account has it already. */
    async bindKey(
      tx: Transaction,
      scope: Scope,
      id: string,
      accountId: string,
      nowMs: number,
    ): Promise<boolean> {
      const { numUpdatedRows } = await view
        .scoped(scope, tx)
        .updateTable('acme_keys')
        .set({ account_id: accountId, bound_at: nowMs })
        .where('id', '=', id)
        .where('account_id', 'is', null)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    async deleteKey(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('acme_keys').where('id', '=', id).execute();
    },

    async removeNonces(nowMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention');
      const rows = await queries
        .selectFrom('acme_nonces')
        .select(['tenant_id', 'sandbox', 'nonce'])
        .where('expires_at', '<=', nowMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      // Drawn at random: no two of two tenants are alike.
      const nonces = rows.map(({ nonce }) => nonce);
      if (nonces.length > 0) await queries.deleteFrom('acme_nonces').where('nonce', 'in', nonces).execute();
      return rows.length;
    },

    /** Accounts that ended before; their orders are gone by then. */
    async removeEnded(beforeMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention');
      const rows = await queries
        .selectFrom('acme_accounts')
        .select('id')
        .where('ended_at', '<=', beforeMs)
        .orderBy('ended_at')
        .limit(rowsMax)
        .execute();
      const ids = rows.map(({ id }) => id);
      if (ids.length > 0) await queries.deleteFrom('acme_accounts').where('id', 'in', ids).execute();
      return rows.length;
    },
  };
}

function listedOf(row: Selectable<AcmeTables['acme_accounts']>): ListedAccount {
  return { ...accountOf(row), endedAtMs: row.ended_at };
}

function accountOf(row: Selectable<AcmeTables['acme_accounts']>): Account {
  return {
    id: row.id,
    rootId: row.root_id,
    roleId: row.role_id,
    status: row.status,
    jwk: JSON.parse(row.jwk) as PublicJwk,
    thumbprint: row.thumbprint,
    contacts: JSON.parse(row.contacts) as string[],
    termsAgreed: row.terms_agreed === 1,
    externalBinding: row.external_binding === null ? null : JSON.parse(row.external_binding),
    createdAtMs: row.created_at,
  };
}

function externalKeyOf(row: Selectable<AcmeTables['acme_keys']>): ExternalKey {
  return {
    id: row.id,
    roleId: row.role_id,
    label: row.label,
    keyEnvelope: row.key_envelope,
    accountId: row.account_id,
    boundAtMs: row.bound_at,
    createdAtMs: row.created_at,
  };
}
