import type { Selectable } from 'kysely';
import type { TenantId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { LISTED_VERSIONS_MAX } from '../store.js';
import { kmsTables, type MasterKeyStatus, type TenantKmsRow, type WrapMethod } from '../tables.js';
import type { ForeignNames } from './references.js';

/** What a tenant has configured, and how it fares. */
export interface TenantKmsConfig {
  readonly tenantId: TenantId;
  /** As `cloudKeyText` writes it. */
  readonly kmsKey: string;
  readonly sealedSinceMs: number | null;
  readonly lastVerifiedAtMs: number | null;
  readonly lastVerifyError: string | null;
}

export interface ShownMasterKey {
  readonly version: number;
  readonly wrapMethod: WrapMethod;
  readonly status: MasterKeyStatus;
  readonly createdAtMs: number;
  readonly retiredAtMs: number | null;
}

export type TenantKmsStore = ReturnType<typeof createTenantKmsStore>;

export function createTenantKmsStore(db: Database) {
  const view = db.view(kmsTables);

  const byTenant = view.define<Record<never, never>, Selectable<TenantKmsRow>>(
    'tenant_kms_config',
    (queries) => queries.selectFrom('tenant_kms').selectAll(),
  );

  async function isNamed(
    tx: Transaction | undefined,
    tenantId: TenantId,
    column: 'key_name' | 'identity_name',
    name: string,
  ): Promise<boolean> {
    const row = await view
      .system('tenant_kms', tx)
      .selectFrom('tenant_kms')
      .select('tenant_id')
      .where(column, '=', name)
      .where('tenant_id', '!=', tenantId)
      .limit(1)
      .executeTakeFirst();
    return row !== undefined;
  }

  return {
    async find(tenantId: TenantId, tx?: Transaction): Promise<TenantKmsConfig | undefined> {
      const row = await byTenant.first({ tenantId }, {}, tx);
      return row && configOf(row);
    },

    /** Which of the names another tenant has configured. */
    async namedByOthers(
      tenantId: TenantId,
      { keyName, identityName }: ForeignNames,
      tx?: Transaction,
    ): Promise<'key' | 'identity' | null> {
      if (await isNamed(tx, tenantId, 'key_name', keyName)) return 'key';
      if (identityName !== null && (await isNamed(tx, tenantId, 'identity_name', identityName)))
        return 'identity';
      return null;
    },

    /** In place of what the tenant had configured; verified at this moment, and not sealed. */
    async put(
      tx: Transaction,
      tenantId: TenantId,
      kmsKey: string,
      { keyName, identityName }: ForeignNames,
      nowMs: number,
    ): Promise<void> {
      const values = {
        kms_key: kmsKey,
        key_name: keyName,
        identity_name: identityName,
        sealed_since: null,
        last_verified_at: nowMs,
        last_verify_error: null,
        checked_at: nowMs,
        updated_at: nowMs,
      };
      const changed = await view
        .scoped({ tenantId }, tx)
        .updateTable('tenant_kms')
        .set(values)
        .returning('tenant_id')
        .execute();
      if (changed.length > 0) return;
      await view
        .scoped({ tenantId }, tx)
        .insertInto('tenant_kms')
        .values({ ...values, created_at: nowMs })
        .execute();
    },

    async delete(tx: Transaction, tenantId: TenantId): Promise<void> {
      await view.scoped({ tenantId }, tx).deleteFrom('tenant_kms').execute();
    },

    async setSealed(tx: Transaction, tenantId: TenantId, error: string, nowMs: number): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .updateTable('tenant_kms')
        .set({ sealed_since: nowMs, last_verify_error: error, checked_at: nowMs })
        .execute();
    },

    /** Also clears the seal: who has just opened the key knows that there is none. */
    async setVerified(
      tx: Transaction,
      tenantId: TenantId,
      error: string | null,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .updateTable('tenant_kms')
        .set({ sealed_since: null, last_verified_at: nowMs, last_verify_error: error, checked_at: nowMs })
        .execute();
    },

    /** Of a try that has failed: the seal stays as it is. */
    async setFailed(tx: Transaction, tenantId: TenantId, error: string, nowMs: number): Promise<void> {
      await view
        .scoped({ tenantId }, tx)
        .updateTable('tenant_kms')
        .set({ last_verify_error: error, checked_at: nowMs })
        .execute();
    },

    /** The newest ones. */
    async listVersions(tenantId: TenantId): Promise<ShownMasterKey[]> {
      const rows = await view
        .scoped({ tenantId })
        .selectFrom('tenant_master_keys')
        .select(['version', 'wrap_method', 'status', 'created_at', 'retired_at'])
        .orderBy('version', 'desc')
        .limit(LISTED_VERSIONS_MAX)
        .execute();
      return rows.map((row) => ({
        version: row.version,
        wrapMethod: row.wrap_method,
        status: row.status,
        createdAtMs: row.created_at,
        retiredAtMs: row.retired_at,
      }));
    },

    /** Those that were asked for longest ago first. */
    async listSealed(limit: number): Promise<TenantKmsConfig[]> {
      const rows = await view
        .system('tenant_kms')
        .selectFrom('tenant_kms')
        .selectAll()
        .where('sealed_since', 'is not', null)
        .orderBy('checked_at')
        .limit(limit)
        .execute();
      return rows.map(configOf);
    },

    async listDue(checkedBeforeMs: number, limit: number): Promise<TenantKmsConfig[]> {
      const rows = await view
        .system('tenant_kms')
        .selectFrom('tenant_kms')
        .selectAll()
        .where('checked_at', '<=', checkedBeforeMs)
        .where('sealed_since', 'is', null)
        .orderBy('checked_at')
        .limit(limit)
        .execute();
      return rows.map(configOf);
    },

    async countSealed(): Promise<number> {
      const row = await view
        .system('tenant_kms')
        .selectFrom('tenant_kms')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .where('sealed_since', 'is not', null)
        .executeTakeFirstOrThrow();
      return row.total;
    },
  };
}

function configOf(row: Selectable<TenantKmsRow>): TenantKmsConfig {
  return {
    tenantId: row.tenant_id,
    kmsKey: row.kms_key,
    sealedSinceMs: row.sealed_since,
    lastVerifiedAtMs: row.last_verified_at,
    lastVerifyError: row.last_verify_error,
  };
}
