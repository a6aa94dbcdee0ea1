import { modeOf, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Promisable } from '../../kernel/promisable.js';
import { createLru } from '../../platform/cache/lru.js';
import { encryptionsExhausted } from './errors.js';
import type { ActiveKey, CryptoKeyStore } from './store.js';

/** So few writes that none is felt, and so few lost with a process that ends that 100,000 ends are not felt either. */
const SLICE = 16_384;
/** NIST SP 800-38D §8.3: no more under one key with drawn initialisation vectors. */
const REFUSED_FROM = 2 ** 32;
const SLICES_KEPT = 10_000;

interface Slice {
  left: number;
  reserving: Promise<void> | null;
}

/** How often each version has encrypted, counted before it does so, in slices that a process takes for itself. */
export interface EncryptionCounts {
  /** At once but for the first of a slice. 409 where the version may not encrypt any more. */
  take(scope: Scope, key: ActiveKey, count: number): Promisable<void>;
}

export interface EncryptionCountsDeps {
  readonly store: Pick<CryptoKeyStore, 'reserveEncryptions'>;
  /** Told at each slice beyond the bound. */
  onDue(scope: Scope, key: ActiveKey): void;
}

export function createEncryptionCounts({ store, onDue }: EncryptionCountsDeps): EncryptionCounts {
  const slices = createLru<string, Slice>({ entriesMax: SLICES_KEPT });

  function sliceOf(scope: Scope, { id, currentVersion }: ActiveKey): Slice {
    const name = `${scope.tenantId}:${modeOf(scope)}:${id}:${currentVersion}`;
    const known = slices.get(name);
    if (known) return known;
    const slice: Slice = { left: 0, reserving: null };
    slices.put(name, slice);
    return slice;
  }

  async function reserve(scope: Scope, key: ActiveKey, slice: Slice): Promise<void> {
    const total = await store.reserveEncryptions(scope, key.id, key.currentVersion, SLICE);
    if (total > REFUSED_FROM) throw encryptionsExhausted(key.currentVersion);
    slice.left += SLICE;
    if (total > LIMITS.encryptionsOfVersionMax) onDue(scope, key);
  }

  /** Those who find it empty at once share one. */
  function refill(scope: Scope, key: ActiveKey, slice: Slice): Promise<void> {
    slice.reserving ??= reserve(scope, key, slice).finally(() => {
      slice.reserving = null;
    });
    return slice.reserving;
  }

  async function takeWhenThere(scope: Scope, key: ActiveKey, slice: Slice, count: number): Promise<void> {
    while (slice.left < count) await refill(scope, key, slice);
    slice.left -= count;
  }

  return {
    take(scope, key, count) {
      const slice = sliceOf(scope, key);
      if (slice.left < count) return takeWhenThere(scope, key, slice, count);
      slice.left -= count;
      // Beforehand, so that nobody waits; who finds it empty after a failure tries again.
      if (slice.left < SLICE / 2) void refill(scope, key, slice).catch(() => {});
    },
  };
}
