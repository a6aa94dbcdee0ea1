import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { DistinguishedName } from '../x509/index.js';
import type { Authority, AuthorityStatus, ListState } from './authorities.js';
import { type AuthorityRow, authorityTables } from './tables.js';

export interface StoredList extends ListState {
  readonly der: Buffer;
}

export interface NewAuthority extends Omit<Authority, 'list' | 'revocations' | 'status'> {
  readonly list: StoredList;
}

/** An authority that something is due of, of whatever tenant. */
export interface DueAuthority {
  readonly scope: Scope;
  readonly id: string;
}

export type AuthorityStore = ReturnType<typeof createAuthorityStore>;

/** All but the list's bytes, which may be hundreds of kilobytes. */
const AUTHORITY_COLUMNS = [
  'id',
  'kind',
  'root_id',
  'name',
  'key_id',
  'key_algorithm',
  'serial',
  'subject',
  'public_key',
  'key_envelope',
  'certificate',
  'status',
  'not_before',
  'not_after',
  'created_at',
  'issuing_life',
  'issuing_left_min',
  'renew_at',
  'former_root_id',
  'revocations',
  'list_number',
  'list_revocations',
  'list_this_update',
  'list_next_update',
] as const;

export function createAuthorityStore(db: Database) {
  const view = db.view(authorityTables);

  const select = (scope: Scope, tx?: Transaction) =>
    view.scoped(scope, tx).selectFrom('authorities').select(AUTHORITY_COLUMNS);

  return {
    /** The newest first, retired ones too. */
    async listRoots(scope: Scope, tx?: Transaction): Promise<Authority[]> {
      const rows = await select(scope, tx)
        .where('kind', '=', 'root')
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .execute();
      return rows.map(authorityOf);
    },

    /** The active one first, then the newest. */
    async findRoots(scope: Scope, nameOrId: string, tx?: Transaction): Promise<Authority[]> {
      const rows = await select(scope, tx)
        .where('kind', '=', 'root')
        .where(({ or, eb }) => or([eb('name', '=', nameOrId), eb('id', '=', nameOrId)]))
        .orderBy('status')
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .execute();
      return rows.map(authorityOf);
    },

    /** The root and all that it has issued to, the active and the newest first, the root last. */
    async listOfRoot(scope: Scope, rootId: string): Promise<Authority[]> {
      const rows = await select(scope)
        .where('root_id', '=', rootId)
        .orderBy('kind')
        .orderBy('status')
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .execute();
      return rows.map(authorityOf);
    },

    /** Those of a root that sign what is new: itself and its issuing one. */
    async listActive(scope: Scope, rootId: string, tx?: Transaction): Promise<Authority[]> {
      const rows = await select(scope, tx)
        .where('root_id', '=', rootId)
        .where('status', '=', 'active')
        .execute();
      return rows.map(authorityOf);
    },

    async countUnendedIssuing(scope: Scope, rootId: string, nowMs: number): Promise<number> {
      const row = await view
        .scoped(scope)
        .selectFrom('authorities')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .where('root_id', '=', rootId)
        .where('kind', '=', 'issuing')
        .where('not_after', '>', nowMs)
        .executeTakeFirst();
      return Number(row?.count ?? 0);
    },

    async find(scope: Scope, id: string, tx?: Transaction): Promise<Authority | undefined> {
      const row = await select(scope, tx).where('id', '=', id).executeTakeFirst();
      return row && authorityOf(row);
    },

    async statusOf(tx: Transaction, scope: Scope, id: string): Promise<AuthorityStatus | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('authorities')
        .select('status')
        .where('id', '=', id)
        .executeTakeFirst();
      return row?.status;
    },

    /** By what stands in the address of its list. */
    async findByKeyId(scope: Scope, rootId: string, keyId: string): Promise<Authority | undefined> {
      const row = await select(scope)
        .where('root_id', '=', rootId)
        .where('key_id', '=', keyId)
        .executeTakeFirst();
      return row && authorityOf(row);
    },

    async insert(tx: Transaction, scope: Scope, authority: NewAuthority): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('authorities')
        .values({
          id: authority.id,
          kind: authority.kind,
          root_id: authority.rootId,
          name: authority.name,
          key_id: authority.keyId,
          key_algorithm: authority.keyAlgorithm,
          serial: authority.serial,
          subject: JSON.stringify(authority.subject),
          public_key: authority.publicKey,
          key_envelope: authority.keyEnvelope,
          certificate: authority.certificate,
          status: 'active',
          not_before: authority.notBeforeMs,
          not_after: authority.notAfterMs,
          created_at: authority.createdAtMs,
          issuing_life: authority.issuingLives?.issuingMs ?? null,
          issuing_left_min: authority.issuingLives?.issuingLeftMinMs ?? null,
          renew_at: authority.renewAtMs,
          former_root_id: authority.formerRootId,
          revocations: 0,
          ...listColumns(authority.list),
        })
        .execute();
    },

    async retire(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('authorities')
        .set({ status: 'retired' })
        .where('id', '=', id)
        .execute();
    },

    /** The root and its issuing authority. */
    async retireRoot(tx: Transaction, scope: Scope, rootId: string): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('authorities')
        .set({ status: 'retired' })
        .where('root_id', '=', rootId)
        .where('status', '=', 'active')
        .execute();
    },

    async readList(scope: Scope, id: string): Promise<Buffer | undefined> {
      const row = await view
        .scoped(scope)
        .selectFrom('authorities')
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
        .updateTable('authorities')
        .set(listColumns(list))
        .where('id', '=', id)
        .where('list_number', '=', formerNumber)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    async addRevocations(tx: Transaction, scope: Scope, id: string, count: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('authorities')
        .set(({ eb }) => ({ revocations: eb('revocations', '+', count) }))
        .where('id', '=', id)
        .execute();
    },

    /** Whose list is owed or older than `staleMs`, or whose time to be renewed has come. In the order of ids. */
    async listDue(
      due: { readonly nowMs: number; readonly staleMs: number },
      afterId: string,
      rowsMax: number,
    ): Promise<DueAuthority[]> {
      const rows = await view
        .system('authorities')
        .selectFrom('authorities')
        .select(['tenant_id', 'sandbox', 'id'])
        .where('id', '>', afterId)
        .where(({ or, and, eb, ref }) =>
          or([
            and([eb('revocations', '>', ref('list_revocations')), eb('not_after', '>', due.nowMs)]),
            and([eb('list_this_update', '<=', due.staleMs), eb('not_after', '>', due.nowMs)]),
            and([eb('status', '=', 'active'), eb('renew_at', '<', due.nowMs)]),
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

    /** Active roots that end after the one time and no later than the other, in the order of their ends. */
    async listEndingRoots(
      window: { readonly afterMs: number; readonly untilMs: number },
      behind: { readonly notAfterMs: number; readonly id: string },
      rowsMax: number,
    ): Promise<{ readonly scope: Scope; readonly root: Authority }[]> {
      const rows = await view
        .system('authorities')
        .selectFrom('authorities')
        .select(['tenant_id', 'sandbox', ...AUTHORITY_COLUMNS])
        .where('kind', '=', 'root')
        .where('status', '=', 'active')
        .where('not_after', '>', window.afterMs)
        .where('not_after', '<=', window.untilMs)
        .where(({ or, and, eb }) =>
          or([
            eb('not_after', '>', behind.notAfterMs),
            and([eb('not_after', '=', behind.notAfterMs), eb('id', '>', behind.id)]),
          ]),
        )
        .orderBy('not_after')
        .orderBy('id')
        .limit(rowsMax)
        .execute();
      return rows.map((row) => ({
        scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
        root: authorityOf(row),
      }));
    },

    /** Issuing authorities alone: what a root has signed is asked about as long as its tenant is. */
    async removeEnded(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const rows = await view
        .system('retention', tx)
        .selectFrom('authorities')
        .select(['tenant_id', 'sandbox', 'id'])
        .where('not_after', '<', beforeMs)
        .where('kind', '=', 'issuing')
        .where('status', '=', 'retired')
        .limit(rowsMax)
        .execute();
      for (const { tenant_id, sandbox, id } of rows) {
        await view
          .scoped({ tenantId: tenant_id as TenantId, sandbox: sandbox === 1 }, tx)
          .deleteFrom('authorities')
          .where('id', '=', id)
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

function authorityOf(row: Pick<Selectable<AuthorityRow>, (typeof AUTHORITY_COLUMNS)[number]>): Authority {
  const { issuing_life: issuingMs, issuing_left_min: issuingLeftMinMs } = row;
  return {
    id: row.id,
    kind: row.kind,
    rootId: row.root_id,
    name: row.name,
    keyId: row.key_id,
    keyAlgorithm: row.key_algorithm,
    serial: row.serial,
    subject: JSON.parse(row.subject) as DistinguishedName,
    publicKey: row.public_key,
    keyEnvelope: row.key_envelope,
    certificate: row.certificate,
    status: row.status,
    notBeforeMs: row.not_before,
    notAfterMs: row.not_after,
    createdAtMs: row.created_at,
    issuingLives: issuingMs === null || issuingLeftMinMs === null ? null : { issuingMs, issuingLeftMinMs },
    renewAtMs: row.renew_at,
    formerRootId: row.former_root_id,
    revocations: row.revocations,
    list: {
      number: row.list_number,
      revocations: row.list_revocations,
      thisUpdateMs: row.list_this_update,
      nextUpdateMs: row.list_next_update,
    },
  };
}
