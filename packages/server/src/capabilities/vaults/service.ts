import type { Clock } from '../../kernel/clock.js';
import { notFound, validationError } from '../../kernel/errors.js';
import type { IdSource, Scope, VaultId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller, subjectOf } from '../../kernel/principal.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { CacheCounts } from '../../platform/cache/lru.js';
import type { Random } from '../../platform/crypto/random.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { ListOptions } from '../../platform/http/pagination.js';
import type { Page } from '../../platform/http/route.js';
import type { Outbox } from '../../platform/outbox/outbox.js';
import { type Database, ReferenceViolation, type Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { CryptoKeys } from '../crypto-keys/index.js';
import { changedFields, vaultEntry } from './audit.js';
import { createVaultDefinitions } from './definitions.js';
import { tooManyVaults, vaultHoldsTokens } from './errors.js';
import { requireMetadataFits } from './metadata.js';
import { createVaultStore, type Metadata, type Vault, type VaultChanges } from './store.js';
import type { CustodyMode, TokenFormat } from './tables.js';
import { type CardNotices, createCardNotices } from './tokens/card-notices.js';
import { createTokenCounter } from './tokens/counts.js';
import { createNoticeStore } from './tokens/notice-store.js';
import { createTokenReaper, type TokenReaper } from './tokens/reaper.js';
import { createReaperStore } from './tokens/reaper-store.js';
import { createVaultTokens, type VaultTokens } from './tokens/service.js';
import { createTokenStore, type TokenCounts } from './tokens/store.js';

export interface NewVault {
  readonly name: string;
  readonly tokenFormat: TokenFormat;
  /** Default `managed`. */
  readonly custodyMode?: CustodyMode;
  readonly description: string | null;
  readonly metadata: Metadata | null;
  readonly echoGuard: boolean;
  readonly defaultTtlSeconds: number | null;
}

export interface VaultWithStats extends Vault {
  readonly counts: TokenCounts;
}

export interface VaultRecords {
  create(caller: Caller, input: NewVault): Promise<Vault>;
  list(caller: Caller, options: ListOptions<'created_at' | 'name'>): Promise<Page<Vault>>;
  get(caller: Caller, nameOrId: string): Promise<VaultWithStats>;
  update(caller: Caller, nameOrId: string, changes: VaultChanges): Promise<Vault>;
  /** New tokens get a new version of the vault's key; returns its number. Former versions still decrypt. */
  rotate(caller: Caller, nameOrId: string): Promise<number>;
  /** Destroys the vault's key with it. Refused while it holds tokens that have not expired, unless forced. */
  delete(caller: Caller, nameOrId: string, options: { force: boolean }): Promise<void>;
  /** From memory; what a template's qualifier may be. */
  vaultNames(scope: Scope): Promisable<ReadonlySet<string>>;
}

export interface Vaults extends VaultRecords, VaultTokens, TokenReaper, CardNotices {}

export interface VaultsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly cryptoKeys: CryptoKeys;
  readonly auditLogs: Pick<AuditLogs, 'record' | 'insertion'>;
  readonly outbox: Pick<Outbox, 'publish'>;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh'>;
  readonly cacheCounts?: CacheCounts;
}

const KEY_TYPES = { managed: 'aes256-gcm', dual: 'ecdh-p256' } as const;

export function createVaults(deps: VaultsDeps): Vaults {
  const { db, clock, ids, cryptoKeys, auditLogs } = deps;
  const store = createVaultStore(db);
  const tokenStore = createTokenStore(db);
  const counter = createTokenCounter({ store: tokenStore, clock });
  const definitions = createVaultDefinitions({ ...deps, store });

  async function getVault(scope: Scope, nameOrId: string, tx?: Transaction): Promise<Vault> {
    const vault = await store.find(scope, nameOrId, tx);
    if (!vault) throw notFound('Vault');
    return vault;
  }

  async function lockVault(tx: Transaction, scope: Scope, id: VaultId): Promise<Vault> {
    await tx.lock('vaults', id);
    return getVault(scope, id, tx);
  }

  /** One bounded step; true when the vault is gone. */
  async function deleteStep(caller: Caller, id: VaultId, force: boolean): Promise<boolean> {
    const { scope } = caller.principal;
    try {
      return await db.transaction(async (tx) => {
        const vault = await lockVault(tx, scope, id);
        if (!force && (await tokenStore.hasActive(tx, scope, id, clock.nowMs()))) {
          throw vaultHoldsTokens(vault.name);
        }
        const deleted = await tokenStore.deleteSome(tx, scope, id, LIMITS.vaultTokensDeletedAtOnce);
        const isLast = deleted < LIMITS.vaultTokensDeletedAtOnce;
        const entry = vaultEntry(isLast ? 'vault.delete' : 'vault.token.delete', vault, {
          tokens_deleted: deleted,
        });
        await auditLogs.record(tx, actorOf(caller), entry);
        if (!isLast) return false;
        await store.delete(tx, scope, id);
        await cryptoKeys.destroy(tx, scope, vault.cryptoKeyId);
        await definitions.changed(tx, scope);
        await recordAnswer(tx, caller, undefined);
        return true;
      });
    } catch (error) {
      // A token was made after this transaction began; the next step sees it.
      if (error instanceof ReferenceViolation) return false;
      throw error;
    }
  }

  async function updateIn(
    tx: Transaction,
    caller: Caller,
    id: VaultId,
    changes: VaultChanges,
  ): Promise<Vault> {
    const { scope } = caller.principal;
    const vault = await lockVault(tx, scope, id);
    requireNoTtl(vault.custodyMode, changes.defaultTtlSeconds ?? null);
    const updatedAtMs = clock.nowMs();
    await store.update(tx, scope, id, changes, updatedAtMs);
    const entry = vaultEntry('vault.update', vault, { changed: changedFields(changes) });
    await auditLogs.record(tx, actorOf(caller), entry);
    await definitions.changed(tx, scope);
    return { ...vault, ...changes, updatedAtMs };
  }

  return {
    ...createVaultTokens({ ...deps, definitions, counter, store: tokenStore }),
    ...createCardNotices({ ...deps, store: createNoticeStore(db) }),
    ...createTokenReaper({ ...deps, store: createReaperStore(db) }),

    async create(caller, input) {
      const { scope } = caller.principal;
      requireMetadataFits('metadata_jsonb', input.metadata);
      // Before the transaction: sealing the key may call a KMS.
      const custodyMode = input.custodyMode ?? 'managed';
      requireNoTtl(custodyMode, input.defaultTtlSeconds);
      const key = await cryptoKeys.prepare(scope, KEY_TYPES[custodyMode]);
      const nowMs = clock.nowMs();
      const vault: Vault = {
        ...input,
        id: ids.uuid() as VaultId,
        cryptoKeyId: key.id,
        custodyMode,
        enabled: true,
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
        createdBy: subjectOf(caller.principal),
      };
      await db.transaction(async (tx) => {
        if ((await store.count(scope, tx)) >= LIMITS.vaultsMax) throw tooManyVaults(LIMITS.vaultsMax);
        await cryptoKeys.createFor(tx, key);
        await store.insert(tx, scope, vault);
        const entry = vaultEntry('vault.create', vault, { token_format: vault.tokenFormat });
        await auditLogs.record(tx, actorOf(caller), entry);
        await definitions.changed(tx, scope);
        await recordAnswer(tx, caller, vault);
      });
      return vault;
    },

    async list(caller, options) {
      const { scope } = caller.principal;
      const [rows, total] = await Promise.all([store.list(scope, options), store.count(scope)]);
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    async get(caller, nameOrId) {
      const { scope } = caller.principal;
      const vault = await getVault(scope, nameOrId);
      return { ...vault, counts: await counter.count(scope, vault.id) };
    },

    async update(caller, nameOrId, changes) {
      requireMetadataFits('metadata_jsonb', changes.metadata);
      const { id } = await getVault(caller.principal.scope, nameOrId);
      return db.transaction(async (tx) => {
        const vault = await updateIn(tx, caller, id, changes);
        await recordAnswer(tx, caller, vault);
        return vault;
      });
    },

    async rotate(caller, nameOrId) {
      const { scope } = caller.principal;
      const { id, cryptoKeyId } = await getVault(scope, nameOrId);
      // Before the transaction: sealing the key may call a KMS.
      const prepared = await cryptoKeys.prepareVersion(scope, cryptoKeyId);
      return db.transaction(async (tx) => {
        const vault = await lockVault(tx, scope, id);
        const version = await cryptoKeys.addVersion(tx, prepared);
        const entry = vaultEntry('vault.rotate', vault, { new_version: version });
        await auditLogs.record(tx, actorOf(caller), entry);
        await definitions.changed(tx, scope);
        await recordAnswer(tx, caller, version);
        return version;
      });
    },

    async delete(caller, nameOrId, { force }) {
      const { id, enabled } = await getVault(caller.principal.scope, nameOrId);
      let isFilling = force && enabled;
      while (!(await deleteStep(caller, id, force))) {
        // So that no more come in than go out.
        if (isFilling) await db.transaction((tx) => updateIn(tx, caller, id, { enabled: false }));
        isFilling = false;
      }
    },

    vaultNames: (scope) => definitions.names(scope),
  };
}

function requireNoTtl(custodyMode: CustodyMode, seconds: number | null): void {
  if (custodyMode === 'dual' && seconds !== null) {
    throw validationError(
      'default_ttl_seconds',
      'a vault of custody_mode dual keeps no row that could expire',
    );
  }
}
