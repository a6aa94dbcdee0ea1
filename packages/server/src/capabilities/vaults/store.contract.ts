import { beforeEach, describe, expect, it } from 'vitest';
import type { CryptoKeyId, Scope, TenantId, TokenId, VaultId } from '../../kernel/ids.js';
import { type Database, ReferenceViolation, UniqueViolation } from '../../platform/storage/database.js';
import { createVaultStore, type Vault, type VaultStore } from './store.js';
import { createTokenStore, type StoredToken, type TokenPlace, type TokenStore } from './tokens/store.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };
const TEST: Scope = { ...LIVE, sandbox: true };
const FOREIGN: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false };

const NOW_MS = 1_000;
const OF_ALL = { order: 'asc', activeAtMs: null } as const;
const counts = (tokens: number, expired = 0, expiringInDay = 0) => ({ tokens, expired, expiringInDay });

const uuid = (n: number) => `bbbbbbbb-0000-4000-8000-${String(n).padStart(12, '0')}`;

function vault(n: number, more: Partial<Vault> = {}): Vault {
  return {
    id: uuid(n) as VaultId,
    name: `vault-${n}`,
    tokenFormat: 'generic',
    cryptoKeyId: uuid(1000 + n) as CryptoKeyId,
    custodyMode: 'managed',
    description: null,
    metadata: null,
    enabled: true,
    echoGuard: true,
    createdAtMs: n,
    updatedAtMs: n,
    createdBy: null,
    defaultTtlSeconds: null,
    ...more,
  };
}

function token(n: number, vaultNumber: number, more: Partial<StoredToken> = {}): StoredToken {
  return {
    id: uuid(2000 + n) as TokenId,
    vaultId: uuid(vaultNumber) as VaultId,
    token: `tok_${n}`,
    keyVersion: 1,
    ciphertext: Buffer.from([n]),
    metadata: null,
    createdAtMs: n,
    expiresAtMs: null,
    cardExpiresOn: null,
    createdByApiKeyId: null,
    createdByUserId: null,
    ...more,
  };
}

export function vaultStoreContract(open: () => Promise<Database>): void {
  let db: Database;
  let vaults: VaultStore;
  let tokens: TokenStore;
  const addVault = (scope: Scope, row: Vault) => db.transaction((tx) => vaults.insert(tx, scope, row));
  const addToken = (scope: Scope, row: StoredToken) =>
    db.commitInserts([tokens.insertion(scope, { ...row, noticeAtMs: null })]);

  beforeEach(async () => {
    db = await open();
    vaults = createVaultStore(db);
    tokens = createTokenStore(db);
  });

  describe('vaults', () => {
    it('gives back what was stored, by id in either case and by name', async () => {
      const row = vault(10, {
        defaultTtlSeconds: 60,
        description: 'żółć 💳',
        metadata: { owner: 'team', nested: { list: [1, null] } },
        enabled: false,
        echoGuard: false,
        createdBy: 'someone',
      });
      await addVault(LIVE, row);
      expect(await vaults.find(LIVE, row.id)).toEqual(row);
      expect(await vaults.find(LIVE, row.id.toUpperCase())).toEqual(row);
      expect(await vaults.find(LIVE, row.name)).toEqual(row);
    });

    it('shows, counts, changes and deletes none of another scope', async () => {
      await addVault(LIVE, vault(1));
      for (const scope of [TEST, FOREIGN]) {
        expect(await vaults.find(scope, uuid(1))).toBeUndefined();
        expect(await vaults.find(scope, 'vault-1')).toBeUndefined();
        expect(await vaults.count(scope)).toBe(0);
        expect(await vaults.listDefinitions(scope)).toEqual([]);
        await db.transaction((tx) => vaults.update(tx, scope, uuid(1) as VaultId, { enabled: false }, 99));
        await db.transaction((tx) => vaults.delete(tx, scope, uuid(1) as VaultId));
      }
      expect(await vaults.find(LIVE, uuid(1))).toEqual(vault(1));
    });

    it('tells the hot path whether echoed values are looked for', async () => {
      await addVault(LIVE, vault(1));
      await addVault(LIVE, vault(2, { echoGuard: false }));
      const definitions = await vaults.listDefinitions(LIVE);
      expect(new Map(definitions.map(({ name, echoGuard }) => [name, echoGuard]))).toEqual(
        new Map([
          ['vault-1', true],
          ['vault-2', false],
        ]),
      );
    });

    it('has each name once in a scope, and the same in another', async () => {
      await addVault(LIVE, vault(1));
      await addVault(TEST, vault(1));
      await addVault(FOREIGN, vault(1));
      await expect(addVault(LIVE, vault(2, { name: 'vault-1' }))).rejects.toMatchObject({ type: 'conflict' });
      expect(await vaults.count(LIVE)).toBe(1);
    });

    it('changes only what is named', async () => {
      await addVault(LIVE, vault(1, { description: 'before', metadata: { a: 1 } }));
      const id = uuid(1) as VaultId;
      await db.transaction((tx) =>
        vaults.update(tx, LIVE, id, { metadata: null, enabled: false, defaultTtlSeconds: 60 }, 50),
      );
      expect(await vaults.find(LIVE, id)).toEqual(
        vault(1, { description: 'before', enabled: false, defaultTtlSeconds: 60, updatedAtMs: 50 }),
      );
    });

    it('lists by age and by name, in pages', async () => {
      for (const n of [3, 1, 2]) await addVault(LIVE, vault(n, { createdAtMs: 5 - n }));
      const names = async (sort: 'created_at' | 'name', order: 'asc' | 'desc', page = 1) =>
        (await vaults.list(LIVE, { page, perPage: 2, sort, order })).map((row) => row.name);
      expect(await names('created_at', 'desc')).toEqual(['vault-1', 'vault-2']);
      expect(await names('name', 'asc', 2)).toEqual(['vault-3']);
      expect(await names('name', 'desc')).toEqual(['vault-3', 'vault-2']);
      expect(await names('name', 'asc', 9)).toEqual([]);
    });
  });

  describe('tokens', () => {
    beforeEach(async () => {
      await addVault(LIVE, vault(1));
      await addVault(LIVE, vault(2));
      await addVault(TEST, vault(1));
    });
    const countAll = (scope: Scope, id: VaultId) =>
      tokens.countBetween(scope, id, { from: null, to: null }, { nowMs: NOW_MS, soonMs: NOW_MS + 500 });
    const inFirst = (idOrToken: string, scope = LIVE) =>
      tokens.findInVault(scope, uuid(1) as VaultId, idOrToken, NOW_MS);

    it('gives back what was stored, by text and by id in either case', async () => {
      const row = token(1, 1, {
        metadata: { a: 'ż' },
        ciphertext: Buffer.alloc(500, 7),
        cardExpiresOn: '2029-02-28',
      });
      await addToken(LIVE, row);
      for (const reference of [row.token, row.id, row.id.toUpperCase()]) {
        expect(await inFirst(reference)).toEqual(row);
        const { id, vaultId, keyVersion, ciphertext } = row;
        for (const vault of [vaultId, null]) {
          const found = await tokens.findSealed(LIVE, vault, reference, NOW_MS);
          expect(found).toEqual([{ id, vaultId, keyVersion, ciphertext }]);
        }
      }
    });

    it('finds none of another vault, mode or tenant', async () => {
      await addToken(LIVE, token(1, 1));
      for (const reference of ['tok_1', uuid(2001)]) {
        expect(await tokens.findInVault(LIVE, uuid(2) as VaultId, reference, NOW_MS)).toBeUndefined();
        expect(await tokens.findSealed(LIVE, uuid(2) as VaultId, reference, NOW_MS)).toEqual([]);
        for (const scope of [TEST, FOREIGN]) {
          expect(await inFirst(reference, scope)).toBeUndefined();
          for (const vault of [uuid(1) as VaultId, null]) {
            expect(await tokens.findSealed(scope, vault, reference, NOW_MS)).toEqual([]);
          }
        }
      }
    });

    it('finds, lists and counts as active none that has expired, whose text is still taken', async () => {
      await addToken(LIVE, token(1, 1, { expiresAtMs: NOW_MS }));
      await addToken(LIVE, token(2, 1, { expiresAtMs: NOW_MS + 1 }));
      await addToken(LIVE, token(3, 1, { expiresAtMs: NOW_MS + 501 }));
      await addToken(LIVE, token(4, 1));
      const id = uuid(1) as VaultId;
      for (const reference of ['tok_1', uuid(2001)]) {
        expect(await inFirst(reference)).toBeUndefined();
        for (const vault of [id, null]) {
          expect(await tokens.findSealed(LIVE, vault, reference, NOW_MS)).toEqual([]);
        }
      }
      expect((await inFirst('tok_2'))?.expiresAtMs).toBe(NOW_MS + 1);
      const options = { order: 'asc', from: null, skip: 0, limit: 9 } as const;
      const listed = await tokens.list(LIVE, id, options, NOW_MS);
      expect(listed.map((row) => row.token)).toEqual(['tok_2', 'tok_3', 'tok_4']);
      expect(await countAll(LIVE, id)).toEqual(counts(4, 1, 1));
      expect(await tokens.listTaken(LIVE, id, ['tok_1'])).toEqual(new Set(['tok_1']));
    });

    it('does not take an expired one for a second of the same text', async () => {
      await addToken(LIVE, token(1, 1, { expiresAtMs: NOW_MS }));
      await addToken(LIVE, token(2, 2, { token: 'tok_1' }));
      expect(await tokens.findSealed(LIVE, null, 'tok_1', NOW_MS)).toMatchObject([{ id: uuid(2002) }]);
    });

    it.each([
      ['asc', ['tok_1', 'tok_2', 'tok_4', 'tok_5', 'tok_6', 'tok_7']],
      ['desc', ['tok_7', 'tok_6', 'tok_5', 'tok_4', 'tok_2', 'tok_1']],
    ] as const)('goes on behind a place, %s, and passes those that have expired', async (order, expected) => {
      for (let n = 1; n <= 7; n += 1) {
        const more = n === 3 ? { expiresAtMs: NOW_MS } : {};
        await addToken(LIVE, token(n, 1, { createdAtMs: n < 5 ? 5 : n, ...more }));
      }
      const id = uuid(1) as VaultId;
      const textsOf = async (from: TokenPlace | null, skip: number, limit: number) =>
        (await tokens.list(LIVE, id, { order, from, skip, limit }, NOW_MS)).map((row) => row.token);
      const active = { order, activeAtMs: NOW_MS };
      const second = await tokens.placeAfter(LIVE, id, null, 2, active);
      expect(await textsOf(null, 0, 9)).toEqual(expected);
      expect(await textsOf(second, 0, 9)).toEqual(expected.slice(2));
      expect(await textsOf(second, 1, 2)).toEqual(expected.slice(3, 5));
      const fourth = await tokens.placeAfter(LIVE, id, second, 2, active);
      expect(await textsOf(fourth, 0, 9)).toEqual(expected.slice(4));
      expect(await tokens.placeAfter(LIVE, id, fourth, 3, active)).toBeNull();
    });

    it('changes the metadata of one that is there and has not expired, and nothing else', async () => {
      await addToken(LIVE, token(1, 1, { metadata: { a: 1 } }));
      await addToken(LIVE, token(2, 1, { metadata: { a: 1 }, expiresAtMs: NOW_MS }));
      const set = (scope: Scope, n: number) =>
        db.transaction((tx) => tokens.setMetadata(tx, scope, uuid(n) as TokenId, { b: 'ż' }, NOW_MS));
      expect(await set(TEST, 2001)).toBe(false);
      expect(await set(FOREIGN, 2001)).toBe(false);
      expect(await set(LIVE, 2002)).toBe(false);
      expect((await inFirst('tok_1'))?.metadata).toEqual({ a: 1 });
      expect(await set(LIVE, 2001)).toBe(true);
      expect(await inFirst('tok_1')).toEqual(token(1, 1, { metadata: { b: 'ż' } }));
    });

    it('says whether an active one is left', async () => {
      await addToken(LIVE, token(1, 1, { expiresAtMs: NOW_MS }));
      await db.transaction(async (tx) => {
        expect(await tokens.hasActive(tx, LIVE, uuid(1) as VaultId, NOW_MS)).toBe(false);
        expect(await tokens.hasActive(tx, LIVE, uuid(1) as VaultId, NOW_MS - 1)).toBe(true);
        expect(await tokens.hasActive(tx, TEST, uuid(1) as VaultId, NOW_MS - 1)).toBe(false);
      });
    });

    it('counts in steps that meet, through tokens of one instant', async () => {
      for (let n = 1; n <= 7; n += 1) await addToken(LIVE, token(n, 1, { createdAtMs: n < 4 ? 5 : n + 5 }));
      await addToken(TEST, token(8, 1, { createdAtMs: 6 }));
      const id = uuid(1) as VaultId;
      const places = [];
      let from: TokenPlace | null = null;
      do {
        const to: TokenPlace | null = await tokens.placeAfter(LIVE, id, from, 2, OF_ALL);
        const until = { nowMs: NOW_MS, soonMs: NOW_MS };
        places.push([to?.id, (await tokens.countBetween(LIVE, id, { from, to }, until)).tokens]);
        from = to;
      } while (from);
      expect(places).toEqual([
        [uuid(2002), 2],
        [uuid(2004), 2],
        [uuid(2006), 2],
        [undefined, 1],
      ]);
    });

    it('prefers a row id to a text that looks like one', async () => {
      const lookAlike = token(2, 1, { token: uuid(2001) });
      await addToken(LIVE, lookAlike);
      expect(await inFirst(uuid(2001))).toEqual(lookAlike);
      await addToken(LIVE, token(1, 1));
      expect((await inFirst(uuid(2001)))?.id).toBe(uuid(2001));
      expect(await tokens.findSealed(LIVE, null, uuid(2001), NOW_MS)).toHaveLength(1);
    });

    it('finds the text of a row whose id belongs to another vault', async () => {
      await addToken(LIVE, token(1, 2));
      const lookAlike = token(2, 1, { token: uuid(2001) });
      await addToken(LIVE, lookAlike);
      expect(await inFirst(uuid(2001))).toEqual(lookAlike);
      const found = await tokens.findSealed(LIVE, uuid(1) as VaultId, uuid(2001), NOW_MS);
      expect(found).toMatchObject([{ id: lookAlike.id }]);
    });

    it('has each text once in a vault, and the same in another', async () => {
      await addToken(LIVE, token(1, 1));
      await addToken(LIVE, token(2, 2, { token: 'tok_1' }));
      await addToken(TEST, token(1, 1));
      const twice = addToken(LIVE, token(3, 1, { token: 'tok_1' }));
      await expect(twice).rejects.toThrow(UniqueViolation);
      await expect(twice).rejects.toMatchObject({ table: 'vault_tokens' });
      expect(await tokens.findSealed(LIVE, null, 'tok_1', NOW_MS)).toHaveLength(2);
    });

    it('refuses a token of a vault that is not there, alone', async () => {
      const [orphan, kept] = await Promise.allSettled([
        addToken(LIVE, token(1, 9)),
        addToken(LIVE, token(2, 1)),
        addToken(FOREIGN, token(3, 1)),
      ]);
      expect(orphan).toMatchObject({ status: 'rejected' });
      expect(orphan?.status === 'rejected' && orphan.reason).toBeInstanceOf(ReferenceViolation);
      expect(kept).toMatchObject({ status: 'fulfilled' });
      expect(await tokens.findSealed(FOREIGN, null, 'tok_3', NOW_MS)).toEqual([]);
    });

    it('refuses to delete a vault that holds tokens', async () => {
      await addToken(LIVE, token(1, 1));
      const deleted = db.transaction((tx) => vaults.delete(tx, LIVE, uuid(1) as VaultId));
      await expect(deleted).rejects.toThrow(ReferenceViolation);
    });

    it('names the taken ones among many', async () => {
      await addToken(LIVE, token(1, 1));
      await addToken(LIVE, token(2, 2));
      const asked = Array.from({ length: 1_000 }, (_, n) => `tok_${n}`);
      expect(await tokens.listTaken(LIVE, uuid(1) as VaultId, asked)).toEqual(new Set(['tok_1']));
    });

    it('lists, counts and deletes those of one vault and scope', async () => {
      for (const n of [1, 2, 3, 4, 5]) await addToken(LIVE, token(n, 1));
      await addToken(LIVE, token(6, 2));
      await addToken(TEST, token(7, 1));
      const id = uuid(1) as VaultId;
      const options = { order: 'desc', from: null, skip: 0, limit: 2 } as const;
      const page = await tokens.list(LIVE, id, options, NOW_MS);
      expect(page.map((row) => row.token)).toEqual(['tok_5', 'tok_4']);
      expect(page[0]).not.toHaveProperty('ciphertext');
      expect(await countAll(LIVE, id)).toEqual(counts(5));

      await db.transaction(async (tx) => {
        expect(await tokens.hasActive(tx, LIVE, id, NOW_MS)).toBe(true);
        expect(await tokens.deleteSome(tx, LIVE, id, 2)).toBe(2);
        expect(await tokens.deleteSome(tx, LIVE, id, 9)).toBe(3);
        expect(await tokens.hasActive(tx, LIVE, id, NOW_MS)).toBe(false);
      });
      expect(await countAll(LIVE, uuid(2) as VaultId)).toEqual(counts(1));
      expect(await countAll(TEST, id)).toEqual(counts(1));

      await db.transaction(async (tx) => {
        expect(await tokens.delete(tx, TEST, uuid(2006) as TokenId)).toBe(false);
        expect(await tokens.delete(tx, LIVE, uuid(2006) as TokenId)).toBe(true);
        expect(await tokens.delete(tx, LIVE, uuid(2006) as TokenId)).toBe(false);
      });
    });
  });
}
