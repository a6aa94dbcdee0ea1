import { afterAll, beforeAll, expect, it } from 'vitest';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { createProofStore, type ProofStore } from './store.js';
import { migrations } from './tables.js';

export function proofStoreContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let store: ProofStore;
  beforeAll(async () => {
    db = await open(migrations);
    store = createProofStore(db);
  });
  afterAll(() => db.cleanup());

  const insertIn = (key: string) => db.transaction((tx) => store.insertIn(tx, key, 1_000));

  it('lets a key in once, alone and in a transaction', async () => {
    expect(await store.has('a')).toBe(false);
    expect(await store.insert('a', 1_000)).toBe(true);
    expect(await store.has('a')).toBe(true);
    expect(await store.insert('a', 2_000)).toBe(false);
    expect(await insertIn('a')).toBe(false);
    expect(await insertIn('b')).toBe(true);
    expect(await store.insert('b', 1_000)).toBe(false);
  });

  it('of those that come at once one gets in, and the others of the same commit do', async () => {
    const keys = ['c', 'd', 'c', 'e', 'c', 'd'];
    const alone = await Promise.all(keys.map((key) => store.insert(key, 1_000)));
    expect(alone.filter((isFirst) => isFirst)).toHaveLength(3);
    const inTransactions = await Promise.all(Array.from({ length: 8 }, () => insertIn('f')));
    expect(inTransactions.filter((isFirst) => isFirst)).toHaveLength(1);
  });

  it('a refused key leaves the transaction open, and one rolled back leaves nothing', async () => {
    await db.transaction(async (tx) => {
      expect(await store.insertIn(tx, 'a', 1_000)).toBe(false);
      expect(await store.insertIn(tx, 'g', 1_000)).toBe(true);
    });
    expect(await store.has('g')).toBe(true);
    const failing = db.transaction(async (tx) => {
      await store.insertIn(tx, 'h', 1_000);
      throw new Error('of the caller');
    });
    await expect(failing).rejects.toThrow('of the caller');
    expect(await store.has('h')).toBe(false);
  });

  it('removes what has expired in batches, the oldest first, and nothing else', async () => {
    await store.removeExpired(10_000, 1_000);
    for (const [index, key] of ['k1', 'k2', 'k3', 'k4'].entries()) await store.insert(key, 2_000 + index);
    expect(await store.removeExpired(1_999, 10)).toBe(0);
    expect(await store.removeExpired(2_002, 2)).toBe(2);
    expect([await store.has('k2'), await store.has('k3')]).toEqual([false, true]);
    expect(await store.removeExpired(2_002, 2)).toBe(1);
    expect([await store.has('k3'), await store.has('k4')]).toEqual([false, true]);
  });
}
