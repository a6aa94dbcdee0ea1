import type { Clock } from '../../../kernel/clock.js';
import type { TenantKmsStore } from './store.js';

const COUNT_EVERY_MS = 10_000;

/** How many tenants are sealed, as it was counted last: reading begins the next count where that one is old. */
export function createSealedCount(
  clock: Pick<Clock, 'monotonicMs'>,
  store: Pick<TenantKmsStore, 'countSealed'>,
): () => number {
  let count = 0;
  let countedAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (clock.monotonicMs() - countedAtMs >= COUNT_EVERY_MS) {
      countedAtMs = clock.monotonicMs();
      // What does not answer is seen elsewhere; the count stays as it was.
      store.countSealed().then(
        (counted) => {
          count = counted;
        },
        () => {},
      );
    }
    return count;
  };
}
