import type { TenantId } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { kmsTables, type MasterKeyStatus, type WrapMethod } from './tables.js';

export interface MasterKey {
  readonly version: number;
  readonly status: MasterKeyStatus;
  readonly wrapMethod: WrapMethod;
  /** Null where the root key wrapped it. */
  readonly kmsKey: string | null;
  readonly wrapped: Buffer | null;
}

/** The wrapped bytes of a version and what wrapped them. */
export interface Wrapping {
  readonly wrapMethod: WrapMethod;
  readonly kmsKey: string | null;
  readonly wrapped: Buffer;
}

export interface NewMasterKey extends Wrapping {
  readonly version: number;
}

export interface WrappedMasterKey extends Wrapping {
  readonly tenantId: TenantId;
  readonly version: number;
}

/** A known text as the root key wraps it; of the former root key too while a change is under way. */
export interface RootKeyCheck {
  readonly wrapped: Buffer;
  readonly formerWrapped: Buffer | null;
}

export const LISTED_VERSIONS_MAX = 1_000;

export type KmsStore = ReturnType<typeof createKmsStore>;

export function createKmsStore(db: Database) {
  const view = db.view(kmsTables);

  const activeVersion = view.define<Record<never, never>, { version: number }>(
    'kms_active_version',
    (queries) => queries.selectFrom('tenant_master_keys').select('version').where('status', '=', 'active'),
  );

  const byVersion = view.define<
    { version: number },
    { status: MasterKeyStatus; wrap_method: WrapMethod; kms_key: string | null; wrapped: Buffer | null }
  >('kms_key_by_version', (queries, arg) =>
    queries
      .selectFrom('tenant_master_keys')
      .select(['status', 'wrap_method', 'kms_key', 'wrapped'])
      .where('version', '=', arg('version')),
  );

  return {
    async findActiveVersion(tenantId: TenantId): Promise<number | undefined> {
      return (await activeVersion.first({ tenantId }, {}))?.version;
    },

    async findKey(tenantId: TenantId, version: number, tx?: Transaction): Promise<MasterKey | undefined> {
      const row = await byVersion.first({ tenantId }, { version }, tx);
      return (
        row && {
          version,
          status: row.status,
          wrapMethod: row.wrap_method,
          kmsKey: row.kms_key,
          wrapped: row.wrapped,
        }
      );
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

    /** The versions whose bytes are there, the newest first. */
    async listOpenable(tenantId: TenantId): Promise<WrappedMasterKey[]> {
      const rows = await view
        .scoped({ tenantId })
        .selectFrom('tenant_master_keys')
        .select(['version', 'wrap_method', 'kms_key', 'wrapped'])
        .where('wrapped', 'is not', null)
        .orderBy('version', 'desc')
        .limit(LISTED_VERSIONS_MAX)
        .execute();
      return rows.map((row) => ({
        tenantId,
        version: row.version,
        wrapMethod: row.wrap_method,
        kmsKey: row.kms_key,
        wrapped: row.wrapped as Buffer,
      }));
    },

    async retireActive(tx: Transaction, tenantId: TenantId, nowMs: number): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .updateTable('tenant_master_keys')
        .set({ status: 'retired', retired_at: nowMs })
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
          kms_key: key.kmsKey,
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

    /** Whether any master key that can be opened is wrapped so, by that key where one is named. */
    async hasKeysWrapped(wrapMethod: WrapMethod, kmsKey?: string): Promise<boolean> {
      let query = view
        .system('root_key')
        .selectFrom('tenant_master_keys')
        .select('version')
        .where('wrap_method', '=', wrapMethod)
        .where('wrapped', 'is not', null)
        .limit(1);
      if (kmsKey !== undefined) query = query.where('kms_key', '=', kmsKey);
      return (await query.executeTakeFirst()) !== undefined;
    },

    /** In the order of their places; after the given one. */
    async listWrappedMasterKeys(
      wrapMethods: readonly WrapMethod[],
      after: Pick<WrappedMasterKey, 'tenantId' | 'version'>,
      limit: number,
      tx?: Transaction,
    ): Promise<WrappedMasterKey[]> {
      const rows = await view
        .system('root_key', tx)
        .selectFrom('tenant_master_keys')
        .select(['tenant_id', 'version', 'wrap_method', 'kms_key', 'wrapped'])
        .where('wrap_method', 'in', wrapMethods)
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
        wrapMethod: row.wrap_method,
        kmsKey: row.kms_key,
        wrapped: row.wrapped as Buffer,
      }));
    },

    /** A key that was revoked or wrapped anew meanwhile stays as it is. */
    async rewrapMasterKey(tx: Transaction, key: WrappedMasterKey, to: Wrapping): Promise<void> {
      await view
        .scoped({ tenantId: key.tenantId }, tx)
        .updateTable('tenant_master_keys')
        .set({ wrap_method: to.wrapMethod, kms_key: to.kmsKey, wrapped: to.wrapped })
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
