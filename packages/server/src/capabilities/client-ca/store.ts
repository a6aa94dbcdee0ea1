import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { CrlReason, DistinguishedName, RevokedEntry } from '../x509/index.js';
import { type AuthorityKind, type ClientAuthorityRow, clientCaTables } from './tables.js';

export interface Authority {
  readonly id: string;
  readonly kind: AuthorityKind;
  readonly rootId: string;
  readonly keyId: string;
  readonly serial: string;
  readonly subject: DistinguishedName;
  readonly publicKey: Buffer;
  readonly keyEnvelope: Buffer;
  readonly certificate: Buffer;
  readonly isActive: boolean;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly createdAtMs: number;
  readonly revocations: number;
  readonly list: ListState;
}

/** What is known of a stored list without its bytes. */
export interface ListState {
  readonly number: number;
  readonly revocations: number;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
}

export interface StoredList extends ListState {
  readonly der: Buffer;
}

export interface NewAuthority extends Omit<Authority, 'list' | 'revocations' | 'isActive'> {
  readonly list: StoredList;
}

export interface Chain {
  readonly root: Authority;
  readonly issuing: Authority;
}

export interface NewCertificate {
  readonly serial: string;
  readonly authorityId: string;
  readonly clientId: string;
  readonly notAfterMs: number;
}

export interface CertificateStatus {
  readonly serial: string;
  readonly revokedAtMs: number | null;
  readonly reason: CrlReason | null;
}

/** An authority that something is due of, of whatever tenant. */
export interface DueAuthority {
  readonly scope: Scope;
  readonly id: string;
}

export type ClientCaStore = ReturnType<typeof createClientCaStore>;

/** All but the list's bytes, which may be hundreds of kilobytes. */
const AUTHORITY_COLUMNS = [
  'id',
  'kind',
  'root_id',
  'key_id',
  'serial',
  'subject',
  'public_key',
  'key_envelope',
  'certificate',
  'is_active',
  'not_before',
  'not_after',
  'created_at',
  'revocations',
  'list_number',
  'list_revocations',
  'list_this_update',
  'list_next_update',
] as const;

export function createClientCaStore(db: Database) {
  const view = db.view(clientCaTables);

  async function listAuthorities(scope: Scope, tx?: Transaction): Promise<Authority[]> {
    const rows = await view
      .scoped(scope, tx)
      .selectFrom('client_authorities')
      .select(AUTHORITY_COLUMNS)
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .execute();
    return rows.map(authorityOf);
  }

  return {
    /** The newest first, retired ones too. */
    listAuthorities,

    async activeChain(scope: Scope, tx?: Transaction): Promise<Chain | undefined> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('client_authorities')
        .select(AUTHORITY_COLUMNS)
        .where('is_active', '=', 1)
        .execute();
      const active = rows.map(authorityOf);
      const root = active.find(({ kind }) => kind === 'root');
      const issuing = active.find(({ kind }) => kind === 'issuing');
      return root && issuing && { root, issuing };
    },

    async findAuthority(scope: Scope, id: string): Promise<Authority | undefined> {
      const row = await view
        .scoped(scope)
        .selectFrom('client_authorities')
        .select(AUTHORITY_COLUMNS)
        .where('id', '=', id)
        .executeTakeFirst();
      return row && authorityOf(row);
    },

    /** By what stands in the address of its list. */
    async findByKeyId(scope: Scope, rootId: string, keyId: string): Promise<Authority | undefined> {
      const row = await view
        .scoped(scope)
        .selectFrom('client_authorities')
        .select(AUTHORITY_COLUMNS)
        .where('root_id', '=', rootId)
        .where('key_id', '=', keyId)
        .executeTakeFirst();
      return row && authorityOf(row);
    },

    async insertAuthority(tx: Transaction, scope: Scope, authority: NewAuthority): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('client_authorities')
        .values({
          id: authority.id,
          kind: authority.kind,
          root_id: authority.rootId,
          key_id: authority.keyId,
          serial: authority.serial,
          subject: JSON.stringify(authority.subject),
          public_key: authority.publicKey,
          key_envelope: authority.keyEnvelope,
          certificate: authority.certificate,
          is_active: 1,
          not_before: authority.notBeforeMs,
          not_after: authority.notAfterMs,
          created_at: authority.createdAtMs,
          revocations: 0,
          ...listColumns(authority.list),
        })
        .execute();
    },

    async retire(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('client_authorities')
        .set({ is_active: 0 })
        .where('id', '=', id)
        .execute();
    },

    async readList(scope: Scope, id: string): Promise<Buffer | undefined> {
      const row = await view
        .scoped(scope)
        .selectFrom('client_authorities')
        .select('list')
        .where('id', '=', id)
        .executeTakeFirst();
      return row?.list;
    },

    /** False where another list has been stored since the one of `formerNumber`. */
    async replaceList(
      tx: Transaction,
      scope: Scope,
      id: string,
      formerNumber: number,
      list: StoredList,
    ): Promise<boolean> {
      const { numUpdatedRows } = await view
        .scoped(scope, tx)
        .updateTable('client_authorities')
        .set(listColumns(list))
        .where('id', '=', id)
        .where('list_number', '=', formerNumber)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    /** Whose list is owed or older than `staleMs`, or who is active and ends before `renewMs`. In the order of ids. */
    async listDue(
      due: { readonly nowMs: number; readonly staleMs: number; readonly renewMs: number },
      afterId: string,
      rowsMax: number,
    ): Promise<DueAuthority[]> {
      const rows = await view
        .system('client_ca')
        .selectFrom('client_authorities')
        .select(['tenant_id', 'sandbox', 'id'])
        .where('id', '>', afterId)
        .where('not_after', '>', due.nowMs)
        .where(({ or, and, eb, ref }) =>
          or([
            eb('revocations', '>', ref('list_revocations')),
            eb('list_this_update', '<=', due.staleMs),
            and([eb('is_active', '=', 1), eb('kind', '=', 'issuing'), eb('not_after', '<', due.renewMs)]),
          ]),
        )
        .orderBy('id')
        .limit(rowsMax)
        .execute();
      return rows.map(({ tenant_id, sandbox, id }) => ({
        scope: { tenantId: tenant_id as TenantId, sandbox: sandbox === 1 },
        id,
      }));
    },

    async insertCertificate(
      tx: Transaction,
      scope: Scope,
      certificate: NewCertificate,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('client_certificates')
        .values({
          serial: certificate.serial,
          authority_id: certificate.authorityId,
          client_id: certificate.clientId,
          not_after: certificate.notAfterMs,
          created_at: nowMs,
          revoked_at: null,
          revocation_reason: null,
        })
        .execute();
    },

    /** Those of them that were not revoked yet, by their authority. */
    async revoke(
      tx: Transaction,
      scope: Scope,
      serials: readonly string[],
      reason: CrlReason,
      nowMs: number,
    ): Promise<string[]> {
      const rows = await view
        .scoped(scope, tx)
        .updateTable('client_certificates')
        .set({ revoked_at: nowMs, revocation_reason: reason })
        .where('serial', 'in', serials)
        .where('revoked_at', 'is', null)
        .returning('authority_id')
        .execute();
      return rows.map(({ authority_id }) => authority_id);
    },

    async addRevocations(tx: Transaction, scope: Scope, id: string, count: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('client_authorities')
        .set(({ eb }) => ({ revocations: eb('revocations', '+', count) }))
        .where('id', '=', id)
        .execute();
    },

    /**
     * What belongs on the list after the one of `formerMs`: an entry stays until one list past the certificate's end
     * (clients-pki.md §3.4).
     */
    async listRevoked(scope: Scope, authorityId: string, formerMs: number): Promise<RevokedEntry[]> {
      const rows = await view
        .aside(scope)
        .selectFrom('client_certificates')
        .select(['serial', 'revoked_at', 'revocation_reason'])
        .where('authority_id', '=', authorityId)
        .where('revoked_at', 'is not', null)
        .where(({ or, eb }) => or([eb('not_after', '>=', formerMs), eb('revoked_at', '>=', formerMs)]))
        .orderBy('revoked_at')
        .execute();
      return rows.map(({ serial, revoked_at, revocation_reason }) => ({
        serial: Buffer.from(serial, 'hex'),
        revokedAtMs: revoked_at!,
        reason: revocation_reason!,
      }));
    },

    async findCertificates(
      scope: Scope,
      authorityId: string,
      serials: readonly string[],
    ): Promise<CertificateStatus[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('client_certificates')
        .select(['serial', 'revoked_at', 'revocation_reason'])
        .where('authority_id', '=', authorityId)
        .where('serial', 'in', serials)
        .execute();
      return rows.map(({ serial, revoked_at, revocation_reason }) => ({
        serial,
        revokedAtMs: revoked_at,
        reason: revocation_reason,
      }));
    },

    async removeEnded(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const rows = await queries
        .selectFrom('client_certificates')
        .select(['tenant_id', 'sandbox', 'serial'])
        .where('not_after', '<', beforeMs)
        .limit(rowsMax)
        .execute();
      for (const { tenant_id, sandbox, serial } of rows) {
        await view
          .scoped({ tenantId: tenant_id as TenantId, sandbox: sandbox === 1 }, tx)
          .deleteFrom('client_certificates')
          .where('serial', '=', serial)
          .execute();
      }
      return rows.length;
    },
  };
}

function listColumns(list: StoredList) {
  return {
    list: list.der,
    list_number: list.number,
    list_revocations: list.revocations,
    list_this_update: list.thisUpdateMs,
    list_next_update: list.nextUpdateMs,
  };
}

function authorityOf(
  row: Pick<Selectable<ClientAuthorityRow>, (typeof AUTHORITY_COLUMNS)[number]>,
): Authority {
  return {
    id: row.id,
    kind: row.kind,
    rootId: row.root_id,
    keyId: row.key_id,
    serial: row.serial,
    subject: JSON.parse(row.subject) as DistinguishedName,
    publicKey: row.public_key,
    keyEnvelope: row.key_envelope,
    certificate: row.certificate,
    isActive: row.is_active === 1,
    notBeforeMs: row.not_before,
    notAfterMs: row.not_after,
    createdAtMs: row.created_at,
    revocations: row.revocations,
    list: {
      number: row.list_number,
      revocations: row.list_revocations,
      thisUpdateMs: row.list_this_update,
      nextUpdateMs: row.list_next_update,
    },
  };
}
