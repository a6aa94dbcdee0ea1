import { describe, expect, it } from 'vitest';
import type { Scope, TenantId, TokenId, VaultId } from '../../../kernel/ids.js';
import { createManualClock } from '../../../testing/manual-clock.js';
import { createTokenCounter } from './counts.js';
import type { TokenPlace } from './store.js';

const SCOPE: Scope = { tenantId: 'tenant' as TenantId, sandbox: false };
const VAULT = 'vault' as VaultId;

/** A vault of `size()` tokens, numbered by age, of which each tenth has expired and each fifth more soon will. */
function createCounted(size: () => number) {
  const clock = createManualClock();
  const steps: [number, number][] = [];
  const numberOf = (place: TokenPlace | null, otherwise: number) => place?.createdAtMs ?? otherwise;
  const counter = createTokenCounter({
    clock,
    store: {
      async placeAfter(_scope, _vault, from, tokens) {
        const to = numberOf(from, 0) + tokens;
        return to <= size() ? { createdAtMs: to, id: String(to) as TokenId } : null;
      },
      async countBetween(_scope, _vault, { from, to }) {
        const [first, last] = [numberOf(from, 0), numberOf(to, size())];
        steps.push([first, last]);
        const tokens = last - first;
        return { tokens, expired: tokens / 10, expiringInDay: tokens / 5 };
      },
    },
  });
  return { clock, steps, count: () => counter.count(SCOPE, VAULT) };
}

describe('counting', () => {
  it('takes one step for a small vault, each time anew', async () => {
    let size = 10;
    const { count, steps } = createCounted(() => size);
    expect(await count()).toEqual({ tokens: 10, expired: 1, expiringInDay: 2 });
    size = 20;
    expect((await count()).tokens).toBe(20);
    expect(steps).toEqual([
      [0, 10],
      [0, 20],
    ]);
  });

  it('lets others run between the steps of a large one', async () => {
    const { count, steps } = createCounted(() => 20_010);
    let turns = 0;
    let isCounting = true;
    const watch = (): void => {
      turns += 1;
      if (isCounting) setImmediate(watch);
    };
    setImmediate(watch);
    expect(await count()).toEqual({ tokens: 20_010, expired: 2_001, expiringInDay: 4_002 });
    isCounting = false;
    expect(steps).toHaveLength(5);
    expect(steps.every(([from, to]) => to - from <= 5_000)).toBe(true);
    expect(turns).toBeGreaterThanOrEqual(4);
  });

  it('is done once for all who ask at a time, and kept for 10 s', async () => {
    let size = 15_000;
    const { clock, count, steps } = createCounted(() => size);
    const counts = await Promise.all([count(), count(), count()]);
    expect(counts.map(({ tokens }) => tokens)).toEqual([15_000, 15_000, 15_000]);
    // The first step is each one's own; from there on they go together.
    expect(steps.filter(([from]) => from > 0)).toHaveLength(3);
    size = 16_000;
    clock.advance(9_999);
    expect((await count()).tokens).toBe(15_000);
    clock.advance(1);
    expect((await count()).tokens).toBe(16_000);
  });

  it('is tried again after a failure', async () => {
    let isBroken = true;
    const { count } = createCounted(() => {
      if (isBroken) throw new Error('the database is gone');
      return 6_000;
    });
    await expect(count()).rejects.toThrow('the database is gone');
    isBroken = false;
    expect((await count()).tokens).toBe(6_000);
  });
});
