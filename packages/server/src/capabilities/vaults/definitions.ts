import { type CryptoKeyId, isUuid, type Scope, type VaultId } from '../../kernel/ids.js';
import { isPending, type Promisable } from '../../kernel/promisable.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { CacheCounts } from '../../platform/cache/lru.js';
import { createScopeCache } from '../../platform/cache/scope-cache.js';
import type { Transaction } from '../../platform/storage/database.js';
import type { CryptoKeys } from '../crypto-keys/index.js';
import type { VaultStore } from './store.js';
import type { CustodyMode, TokenFormat } from './tables.js';

/** What tokenize and detokenize need to know of a vault; read from memory on the hot path. */
export interface VaultDefinition {
  readonly id: VaultId;
  readonly name: string;
  readonly tokenFormat: TokenFormat;
  readonly cryptoKeyId: CryptoKeyId;
  readonly custodyMode: CustodyMode;
  /** The version that encrypts new tokens. */
  readonly keyVersion: number;
  readonly enabled: boolean;
  readonly defaultTtlSeconds: number | null;
  /** A value of this vault that an upstream sends back is replaced (dataplane.md §7). */
  readonly echoGuard: boolean;
}

export interface VaultDefinitions {
  find(scope: Scope, nameOrId: string): Promisable<VaultDefinition | undefined>;
  findOfKey(scope: Scope, keyId: CryptoKeyId): Promisable<VaultDefinition | undefined>;
  names(scope: Scope): Promisable<ReadonlySet<string>>;
  /** With every change of a vault, in its transaction. */
  changed(tx: Transaction, scope: Scope): Promise<void>;
}

export interface VaultDefinitionsDeps {
  readonly store: Pick<VaultStore, 'listDefinitions'>;
  readonly cryptoKeys: Pick<CryptoKeys, 'listCurrentVersions'>;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh'>;
  readonly cacheCounts?: CacheCounts;
}

interface Loaded {
  readonly byId: ReadonlyMap<string, VaultDefinition>;
  readonly byKey: ReadonlyMap<CryptoKeyId, VaultDefinition>;
  readonly byName: ReadonlyMap<string, VaultDefinition>;
  readonly names: ReadonlySet<string>;
}

export function createVaultDefinitions(deps: VaultDefinitionsDeps): VaultDefinitions {
  const { store, cryptoKeys, generations } = deps;
  async function load(scope: Scope): Promise<Loaded> {
    const rows = await store.listDefinitions(scope);
    // After the vaults: a vault found above whose key is gone was deleted in between.
    const versions = await cryptoKeys.listCurrentVersions(scope);
    const byId = new Map<string, VaultDefinition>();
    const byKey = new Map<CryptoKeyId, VaultDefinition>();
    const byName = new Map<string, VaultDefinition>();
    for (const row of rows) {
      const keyVersion = versions.get(row.cryptoKeyId);
      if (keyVersion === undefined) continue;
      const definition = { ...row, keyVersion };
      byId.set(row.id, definition);
      byKey.set(row.cryptoKeyId, definition);
      byName.set(row.name, definition);
    }
    return { byId, byKey, byName, names: new Set(byName.keys()) };
  }

  const scopes = createScopeCache({ name: 'vaults', generations, counts: deps.cacheCounts, load });

  function ofScope<T>(scope: Scope, look: (loaded: Loaded) => T): Promisable<T> {
    const loaded = scopes.get(scope);
    return isPending(loaded) ? loaded.then(look) : look(loaded);
  }

  return {
    find: (scope, nameOrId) =>
      ofScope(scope, ({ byId, byName }) =>
        isUuid(nameOrId) ? byId.get(nameOrId.toLowerCase()) : byName.get(nameOrId),
      ),
    findOfKey: (scope, keyId) => ofScope(scope, ({ byKey }) => byKey.get(keyId)),
    names: (scope) => ofScope(scope, ({ names }) => names),
    changed: scopes.changed,
  };
}
