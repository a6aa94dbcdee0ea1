import type { Selectable, Updateable } from 'kysely';
import { type CryptoKeyId, isUuid, type Scope, type VaultId } from '../../kernel/ids.js';
import { type ListOptions, offsetOf } from '../../platform/http/pagination.js';
import { type Database, type Transaction, UniqueViolation } from '../../platform/storage/database.js';
import { vaultNameTaken } from './errors.js';
import { type CustodyMode, type TokenFormat, type VaultRow, vaultTables } from './tables.js';

export type Metadata = Readonly<Record<string, unknown>>;

export interface Vault {
  readonly id: VaultId;
  readonly name: string;
  readonly tokenFormat: TokenFormat;
  readonly cryptoKeyId: CryptoKeyId;
  readonly custodyMode: CustodyMode;
  readonly description: string | null;
  readonly metadata: Metadata | null;
  readonly enabled: boolean;
  readonly echoGuard: boolean;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly createdBy: string | null;
  /** Of tokens made without a time of their own; null = they never expire. */
  readonly defaultTtlSeconds: number | null;
}

export interface VaultChanges {
  readonly description?: string | null;
  readonly metadata?: Metadata | null;
  readonly enabled?: boolean;
  readonly echoGuard?: boolean;
  readonly defaultTtlSeconds?: number | null;
}

export type VaultStore = ReturnType<typeof createVaultStore>;

export function createVaultStore(db: Database) {
  const view = db.view(vaultTables);

  return {
    async insert(tx: Transaction, scope: Scope, vault: Vault): Promise<void> {
      try {
        await view
          .scoped(scope, tx)
          .insertInto('vaults')
          .values({
            id: vault.id,
            name: vault.name,
            token_format: vault.tokenFormat,
            crypto_key_id: vault.cryptoKeyId,
            custody_mode: vault.custodyMode,
            created_at: vault.createdAtMs,
            created_by: vault.createdBy,
            updated_at: vault.updatedAtMs,
            description: vault.description,
            metadata: jsonOf(vault.metadata),
            enabled: flagOf(vault.enabled),
            echo_guard: flagOf(vault.echoGuard),
            default_ttl_seconds: vault.defaultTtlSeconds,
          })
          .execute();
      } catch (error) {
        if (error instanceof UniqueViolation) throw vaultNameTaken(vault.name);
        throw error;
      }
    },

    /** A name never looks like a UUID, so the two cannot be mistaken for each other. */
    async find(scope: Scope, nameOrId: string, tx?: Transaction): Promise<Vault | undefined> {
      const query = view.scoped(scope, tx).selectFrom('vaults').selectAll();
      const row = await (isUuid(nameOrId)
        ? query.where('id', '=', nameOrId.toLowerCase())
        : query.where('name', '=', nameOrId)
      ).executeTakeFirst();
      return row && vaultOf(row);
    },

    async count(scope: Scope, tx?: Transaction): Promise<number> {
      const row = await (tx ? view.scoped(scope, tx) : view.aside(scope))
        .selectFrom('vaults')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return row.total;
    },

    async list(scope: Scope, options: ListOptions<'created_at' | 'name'>): Promise<Vault[]> {
      const rows = await view
        .aside(scope)
        .selectFrom('vaults')
        .selectAll()
        .orderBy(options.sort, options.order)
        .orderBy('id', options.order)
        .limit(options.perPage)
        .offset(offsetOf(options.page, options.perPage))
        .execute();
      return rows.map(vaultOf);
    },

    /** What the hot path needs of every vault of the scope. */
    async listDefinitions(scope: Scope) {
      const rows = await view
        .scoped(scope)
        .selectFrom('vaults')
        .select([
          'id',
          'name',
          'token_format',
          'crypto_key_id',
          'custody_mode',
          'enabled',
          'echo_guard',
          'default_ttl_seconds',
        ])
        .execute();
      return rows.map((row) => ({
        id: row.id as VaultId,
        name: row.name,
        tokenFormat: row.token_format,
        cryptoKeyId: row.crypto_key_id as CryptoKeyId,
        custodyMode: row.custody_mode,
        enabled: row.enabled === 1,
        defaultTtlSeconds: row.default_ttl_seconds,
        echoGuard: row.echo_guard === 1,
      }));
    },

    async update(
      tx: Transaction,
      scope: Scope,
      id: VaultId,
      changes: VaultChanges,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('vaults')
        .set(changedColumns(changes, nowMs))
        .where('id', '=', id)
        .execute();
    },

    async delete(tx: Transaction, scope: Scope, id: VaultId): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('vaults').where('id', '=', id).execute();
    },
  };
}

function changedColumns(changes: VaultChanges, nowMs: number): Updateable<VaultRow> {
  const { description, metadata, enabled, echoGuard, defaultTtlSeconds } = changes;
  return {
    updated_at: nowMs,
    ...(description !== undefined && { description }),
    ...(metadata !== undefined && { metadata: jsonOf(metadata) }),
    ...(enabled !== undefined && { enabled: flagOf(enabled) }),
    ...(echoGuard !== undefined && { echo_guard: flagOf(echoGuard) }),
    ...(defaultTtlSeconds !== undefined && { default_ttl_seconds: defaultTtlSeconds }),
  };
}

function jsonOf(metadata: Metadata | null): string | null {
  return metadata && JSON.stringify(metadata);
}

function flagOf(fact: boolean): number {
  return fact ? 1 : 0;
}

function vaultOf(row: Selectable<VaultRow>): Vault {
  return {
    id: row.id as VaultId,
    name: row.name,
    tokenFormat: row.token_format,
    cryptoKeyId: row.crypto_key_id as CryptoKeyId,
    custodyMode: row.custody_mode,
    description: row.description,
    metadata: row.metadata === null ? null : (JSON.parse(row.metadata) as Metadata),
    enabled: row.enabled === 1,
    echoGuard: row.echo_guard === 1,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
    createdBy: row.created_by,
    defaultTtlSeconds: row.default_ttl_seconds,
  };
}
