import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../kernel/clock.js';
import type { Scope, VaultId } from '../../../kernel/ids.js';
import type { TokenCounts, TokenPlace, TokenStore } from './store.js';

/** So many are counted, or passed, without a pause: some 2 ms on SQLite, where reading is work of the event loop. */
export const STEP_TOKENS = 5_000;
/** How long the counts of a vault that takes more than one step are given out again. */
const KEPT_MS = 10_000;
const KEPT_VAULTS_MAX = 1_000;

const OF_ALL = { order: 'asc', activeAtMs: null } as const;
const DAY_MS = 24 * 3_600_000;

export interface TokenCounter {
  /** Exact up to 5,000 tokens; of a larger vault at most 10 s old. */
  count(scope: Scope, vaultId: VaultId): Promise<TokenCounts>;
}

interface Kept {
  readonly counts: Promise<TokenCounts>;
  /** Infinite until they are known. */
  untilMs: number;
}

/** Counts a vault in steps over its index, so that a million tokens hold up nobody (docs/decisions/0051). */
export function createTokenCounter(deps: {
  readonly store: Pick<TokenStore, 'placeAfter' | 'countBetween'>;
  readonly clock: Clock;
}): TokenCounter {
  const { store, clock } = deps;
  const kept = new Map<VaultId, Kept>();

  async function step(scope: Scope, vaultId: VaultId, from: TokenPlace | null) {
    const nowMs = clock.nowMs();
    const to = await store.placeAfter(scope, vaultId, from, STEP_TOKENS, OF_ALL);
    const counts = await store.countBetween(scope, vaultId, { from, to }, { nowMs, soonMs: nowMs + DAY_MS });
    return { to, counts };
  }

  async function countFrom(scope: Scope, vaultId: VaultId, first: TokenPlace): Promise<TokenCounts> {
    let sum: TokenCounts = { tokens: 0, expired: 0, expiringInDay: 0 };
    let from: TokenPlace | null = first;
    while (from) {
      await nextTurn();
      const { to, counts } = await step(scope, vaultId, from);
      sum = added(sum, counts);
      from = to;
    }
    return sum;
  }

  function keep(vaultId: VaultId, counts: Promise<TokenCounts>): Promise<TokenCounts> {
    const entry: Kept = { counts, untilMs: Number.POSITIVE_INFINITY };
    if (kept.size >= KEPT_VAULTS_MAX) kept.delete(kept.keys().next().value as VaultId);
    kept.set(vaultId, entry);
    counts.then(
      () => {
        entry.untilMs = clock.monotonicMs() + KEPT_MS;
      },
      () => {
        if (kept.get(vaultId) === entry) kept.delete(vaultId);
      },
    );
    return counts;
  }

  function find(vaultId: VaultId): Promise<TokenCounts> | undefined {
    const entry = kept.get(vaultId);
    if (entry && entry.untilMs > clock.monotonicMs()) return entry.counts;
    kept.delete(vaultId);
    return undefined;
  }

  return {
    async count(scope, vaultId) {
      const known = find(vaultId);
      if (known) return known;
      const { to, counts } = await step(scope, vaultId, null);
      if (!to) return counts;
      // Another caller may have begun meanwhile.
      return (
        find(vaultId) ??
        keep(
          vaultId,
          countFrom(scope, vaultId, to).then((rest) => added(counts, rest)),
        )
      );
    },
  };
}

function added(a: TokenCounts, b: TokenCounts): TokenCounts {
  return {
    tokens: a.tokens + b.tokens,
    expired: a.expired + b.expired,
    expiringInDay: a.expiringInDay + b.expiringInDay,
  };
}
