import { afterAll, beforeAll, expect, it } from 'vitest';
import { sha256 } from '../../../platform/crypto/hashing.js';
import type { OpenTestDatabase, TestDatabase } from '../../../testing/databases.js';
import { migrations } from '../tables.js';
import { createSignInAttemptStore } from './store.js';

const RULE = { max: 3, windowMs: 100 };

export function signInAttemptStoreContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let store: ReturnType<typeof createSignInAttemptStore>;
  beforeAll(async () => {
    db = await open(migrations);
    store = createSignInAttemptStore(db);
  });
  afterAll(() => db.cleanup());

  const count = async (name: string, nowMs: number) => {
    const { attempts, expiresAtMs } = await db.transaction((tx) =>
      store.count(tx, sha256(name), RULE, nowMs),
    );
    return [attempts, expiresAtMs];
  };

  it('counts in a window that begins anew with the last that is allowed', async () => {
    expect(await count('a', 1_000)).toEqual([1, 1_100]);
    expect(await count('a', 1_050)).toEqual([2, 1_100]);
    expect(await count('a', 1_060)).toEqual([3, 1_160]);
    expect(await count('a', 1_159)).toEqual([4, 1_160]);
    expect(await count('a', 1_160)).toEqual([1, 1_260]);
  });

  it('counts those that come at once one by one', async () => {
    const counts = await Promise.all(Array.from({ length: 8 }, () => count('b', 1_000)));
    expect(counts.map(([attempts]) => attempts).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('forgets one, takes one back, and not below none', async () => {
    await count('c', 1_000);
    await count('d', 1_000);
    await db.transaction((tx) => store.forget(tx, sha256('c')));
    for (const _ of [1, 2]) await db.transaction((tx) => store.discount(tx, sha256('d')));
    expect([await count('c', 1_010), await count('d', 1_010)]).toEqual([
      [1, 1_110],
      [1, 1_100],
    ]);
  });

  it('removes windows that are over, in batches', async () => {
    const remove = (rowsMax: number) => db.transaction((tx) => store.removeEnded(tx, 1_105, rowsMax));
    await count('e', 1_100);
    let removed = 0;
    for (let rows = await remove(1); rows > 0; rows = await remove(1)) removed += rows;
    expect(removed).toBe(2);
    expect(await count('e', 1_110)).toEqual([2, 1_200]);
  });
}
