import type { TenantId } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { kmsTables, type MasterKeyStatus, type WrapMethod } from './tables.js';

export interface MasterKey {
  readonly version: number;
  readonly status: MasterKeyStatus;
  readonly wrapMethod: WrapMethod;
  readonly wrapped: Buffer | null;
}

export interface NewMasterKey {
  readonly version: number;
  readonly wrapMethod: WrapMethod;
  readonly wrapped: Buffer;
}

export interface WrappedMasterKey {
  readonly tenantId: TenantId;
  readonly version: number;
  readonly wrapped: Buffer;
}

/** A known text as the root key wraps it; of the former root key too while a change is under way. */
export interface RootKeyCheck {
  readonly wrapped: Buffer;
  readonly formerWrapped: Buffer | null;
}

export type KmsStore = ReturnType<typeof createKmsStore>;

export function createKmsStore(db: Database) {
  const view = db.view(kmsTables);

  const activeVersion = view.define<Record<never, never>, { version: number }>(
    'kms_active_version',
    (queries) => queries.selectFrom('tenant_master_keys').select('version').where('status', '=', 'active'),
  );

  const byVersion = view.define<
    { version: number },
    { status: MasterKeyStatus; wrap_method: WrapMethod; wrapped: Buffer | null }
  >('kms_key_by_version', (queries, arg) =>
    queries
      .selectFrom('tenant_master_keys')
      .select(['status', 'wrap_method', 'wrapped'])
      .where('version', '=', arg('version')),
  );

  return {
    async findActiveVersion(tenantId: TenantId): Promise<number | undefined> {
      return (await activeVersion.first({ tenantId }, {}))?.version;
    },

    async findKey(tenantId: TenantId, version: number): Promise<MasterKey | undefined> {
      const row = await byVersion.first({ tenantId }, { version });
      return row && { version, status: row.status, wrapMethod: row.wrap_method, wrapped: row.wrapped };
    },

    /** 0 when the tenant has no key yet; revoked versions count, a number is never used again. */
    async lastVersion(tenantId: TenantId, tx?: Transaction): Promise<number> {
      const row = await view
        .scoped({ tenantId }, tx)
        .selectFrom('tenant_master_keys')
        .select('version')
        .orderBy('version', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row?.version ?? 0;
    },

    async retireActive(tx: Transaction, tenantId: TenantId): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .updateTable('tenant_master_keys')
        .set({ status: 'retired' })
        .where('status', '=', 'active')
        .execute();
    },

    async insertActive(tx: Transaction, tenantId: TenantId, key: NewMasterKey, nowMs: number): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .insertInto('tenant_master_keys')
        .values({
          version: key.version,
          status: 'active',
          wrap_method: key.wrapMethod,
          wrapped: key.wrapped,
          created_at: nowMs,
        })
        .execute();
    },

    async findRootKeyCheck(wrapMethod: WrapMethod, tx?: Transaction): Promise<RootKeyCheck | undefined> {
      const row = await view
        .system('root_key', tx)
        .selectFrom('root_key_checks')
        .select(['wrapped', 'former_wrapped'])
        .where('wrap_method', '=', wrapMethod)
        .executeTakeFirst();
      return row && { wrapped: row.wrapped, formerWrapped: row.former_wrapped };
    },

    /** The first of several processes that start together wins. */
    async insertRootKeyCheck(wrapMethod: WrapMethod, wrapped: Buffer, nowMs: number): Promise<void> {
      await view
        .system('root_key')
        .insertInto('root_key_checks')
        .values({ wrap_method: wrapMethod, wrapped, created_at: nowMs })
        .onConflict((conflict) => conflict.column('wrap_method').doNothing())
        .execute();
    },

    /** Nothing happens where the stored check is not `from` any more. */
    async replaceRootKeyCheck(
      tx: Transaction,
      wrapMethod: WrapMethod,
      from: Buffer,
      to: RootKeyCheck,
    ): Promise<void> {
      await view
        .system('root_key', tx)
        .updateTable('root_key_checks')
        .set({ wrapped: to.wrapped, former_wrapped: to.formerWrapped })
        .where('wrap_method', '=', wrapMethod)
        .where('wrapped', '=', from)
        .execute();
    },

    async findInstallationText(name: string): Promise<string | undefined> {
      const row = await view
        .system('root_key')
        .selectFrom('installation')
        .select('value')
        .where('name', '=', name)
        .executeTakeFirst();
      return row?.value;
    },

    /** The first of several processes wins. */
    async insertInstallationText(name: string, value: string, nowMs: number): Promise<void> {
      await view
        .system('root_key')
        .insertInto('installation')
        .values({ name, value, created_at: nowMs })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .execute();
    },

    /** In the order of their places; after the given one. */
    async listWrappedMasterKeys(
      tx: Transaction,
      wrapMethod: WrapMethod,
      after: Pick<WrappedMasterKey, 'tenantId' | 'version'>,
      limit: number,
    ): Promise<WrappedMasterKey[]> {
      const rows = await view
        .system('root_key', tx)
        .selectFrom('tenant_master_keys')
        .select(['tenant_id', 'version', 'wrapped'])
        .where('wrap_method', '=', wrapMethod)
        .where('wrapped', 'is not', null)
        .where((where) =>
          where.or([
            where('tenant_id', '>', after.tenantId),
            where.and([where('tenant_id', '=', after.tenantId), where('version', '>', after.version)]),
          ]),
        )
        .orderBy('tenant_id')
        .orderBy('version')
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        tenantId: row.tenant_id,
        version: row.version,
        wrapped: row.wrapped as Buffer,
      }));
    },

    /** A key that was revoked or wrapped anew meanwhile stays as it is. */
    async rewrapMasterKey(tx: Transaction, key: WrappedMasterKey, wrapped: Buffer): Promise<void> {
      await view
        .scoped({ tenantId: key.tenantId }, tx)
        .updateTable('tenant_master_keys')
        .set({ wrapped })
        .where('version', '=', key.version)
        .where('wrapped', '=', key.wrapped)
        .execute();
    },
  };
}

/** Whether anything was ever wrapped here; asked before a root key is at hand. */
export async function hasWrappedData(db: Database): Promise<boolean> {
  const row = await db
    .view(kmsTables)
    .system('root_key')
    .selectFrom('root_key_checks')
    .select('wrap_method')
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
