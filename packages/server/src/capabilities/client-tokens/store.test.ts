import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import type { ApiKeyId, ClientTokenId, Scope, TenantId, VaultId } from '../../kernel/ids.js';
import { sha256 } from '../../platform/crypto/hashing.js';
import { systemIds } from '../../platform/crypto/random.js';
import { type Database, UniqueViolation } from '../../platform/storage/database.js';
import { openDatabase } from '../../platform/storage/open-database.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { migrations } from './index.js';
import { createClientTokenStore, type NewClientToken } from './store.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };

forEachDatabase((_name, open) => {
  describe('client token store', () => {
    let db: TestDatabase;
    /** As another process has it. */
    let second: Database;
    beforeEach(async () => {
      db = await open(migrations);
      second = await openDatabase(db.storage, { migrations, clock: systemClock });
    });
    afterEach(async () => {
      await second.close();
      await db.cleanup();
    });

    const tokenOf = (more: Partial<NewClientToken> = {}): NewClientToken => {
      const id = systemIds.uuid() as ClientTokenId;
      return {
        id,
        scope: LIVE,
        hash: sha256(id),
        action: 'tokenize',
        dataHash: null,
        role: null,
        vaultId: 'vault' as VaultId,
        origins: ['https://shop.example'],
        maker: { kind: 'api_key', id: 'key' as ApiKeyId },
        createdAtMs: 1,
        expiresAtMs: 10,
        ...more,
      };
    };
    const insert = async (token: NewClientToken) => {
      await db.transaction((tx) => createClientTokenStore(db).insert(tx, token));
      return token;
    };

    it('finds a token by its hash as it was made, whatever its scope, and no other', async () => {
      const store = createClientTokenStore(db);
      const dataHash = sha256('data');
      const tokens = [
        tokenOf(),
        tokenOf({
          scope: { ...LIVE, sandbox: true },
          action: 'decrypt',
          dataHash,
          role: 'pii',
          vaultId: null,
          origins: null,
        }),
      ];
      for (const token of tokens) {
        await insert(token);
        const { createdAtMs: _, ...kept } = token;
        expect(await store.findByHash(token.hash)).toEqual({ ...kept, misses: 0, isUsed: false });
      }
      expect(await store.findByHash(sha256('other'))).toBeUndefined();
    });

    it('lets one use in of many at once, from two processes', async () => {
      const { id, hash } = await insert(tokenOf());
      const uses = Array.from({ length: 10 }, (_, n) => {
        const database = n % 2 ? db : second;
        return database.commitInserts([createClientTokenStore(database).useInsertion(LIVE, id, 5)]);
      });
      const outcomes = await Promise.allSettled(uses);
      const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
      expect(refused).toHaveLength(9);
      for (const reason of refused) expect(reason).toBeInstanceOf(UniqueViolation);
      for (const database of [db, second])
        expect((await createClientTokenStore(database).findByHash(hash))?.isUsed).toBe(true);
    });

    it('counts misses of one', async () => {
      const store = createClientTokenStore(db);
      const [one, other] = [await insert(tokenOf()), await insert(tokenOf())];
      const miss = (scope: Scope) => db.transaction((tx) => store.countMiss(tx, scope, one.id));
      await miss(LIVE);
      await miss(LIVE);
      await miss({ ...LIVE, sandbox: true });
      expect((await store.findByHash(one.hash))?.misses).toBe(2);
      expect(await store.findLeft(LIVE, one.id)).toEqual({ expiresAtMs: 10, misses: 2 });
      expect(await store.findLeft({ ...LIVE, sandbox: true }, one.id)).toBeUndefined();
      expect((await store.findByHash(other.hash))?.misses).toBe(0);
    });

    it('removes what has ended with its uses, the oldest first, in bounded batches', async () => {
      const store = createClientTokenStore(db);
      const [a, b, c] = [
        await insert(tokenOf({ expiresAtMs: 10 })),
        await insert(tokenOf({ expiresAtMs: 20, scope: { ...LIVE, sandbox: true } })),
        await insert(tokenOf({ expiresAtMs: 30 })),
      ];
      await db.commitInserts([store.useInsertion(LIVE, a.id, 5)]);
      const remove = (beforeMs: number, rowsMax: number) =>
        db.transaction((tx) => store.removeEnded(tx, beforeMs, rowsMax));
      expect(await remove(20, 1)).toBe(1);
      expect(await store.findByHash(a.hash)).toBeUndefined();
      expect(await remove(20, 5)).toBe(1);
      expect(await store.findByHash(b.hash)).toBeUndefined();
      expect(await remove(20, 5)).toBe(0);
      expect(await store.findByHash(c.hash)).toBeDefined();
      // The row of its use went too.
      await db.commitInserts([store.useInsertion(LIVE, a.id, 6)]);
    });
  });
});
