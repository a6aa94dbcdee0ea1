import { beforeEach, describe, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { type Database, UniqueViolation } from '../../platform/storage/database.js';
import { createKmsStore, type KmsStore } from './store.js';

const A = 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId;
const B = 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId;
const wrapped = Buffer.from('wrapped');

export function kmsStoreContract(open: () => Promise<Database>): void {
  let db: Database;
  let store: KmsStore;
  const insert = (tenantId: TenantId, version: number) =>
    db.transaction((tx) =>
      store.insertActive(tx, tenantId, { version, wrapMethod: 'global', kmsKey: null, wrapped }, 1),
    );

  beforeEach(async () => {
    db = await open();
    store = createKmsStore(db);
  });

  it('finds nothing where there is nothing', async () => {
    expect(await store.findActiveVersion(A)).toBeUndefined();
    expect(await store.findKey(A, 1)).toBeUndefined();
    expect(await store.lastVersion(A)).toBe(0);
    expect(await store.findRootKeyCheck('global')).toBeUndefined();
  });

  it('keeps the keys of tenants apart', async () => {
    await insert(A, 1);
    expect(await store.findKey(A, 1)).toEqual({
      version: 1,
      status: 'active',
      wrapMethod: 'global',
      kmsKey: null,
      wrapped,
    });
    expect(await store.findKey(B, 1)).toBeUndefined();
    expect(await store.findActiveVersion(B)).toBeUndefined();
    await insert(B, 1);
    expect(await store.findActiveVersion(B)).toBe(1);
  });

  it('retires the active version of one tenant only', async () => {
    await insert(A, 1);
    await insert(B, 1);
    await db.transaction(async (tx) => {
      await store.retireActive(tx, A, 2);
      await store.insertActive(tx, A, { version: 2, wrapMethod: 'global', kmsKey: null, wrapped }, 2);
    });
    expect((await store.findKey(A, 1))?.status).toBe('retired');
    expect(await store.findActiveVersion(A)).toBe(2);
    expect(await store.lastVersion(A)).toBe(2);
    expect((await store.findKey(B, 1))?.status).toBe('active');
  });

  describe('refuses', () => {
    it('two active versions of a tenant', async () => {
      await insert(A, 1);
      await expect(insert(A, 2)).rejects.toThrow(UniqueViolation);
      expect(await store.lastVersion(A)).toBe(1);
    });

    it('the same version twice', async () => {
      await insert(A, 1);
      await db.transaction((tx) => store.retireActive(tx, A, 2));
      await expect(insert(A, 1)).rejects.toThrow(UniqueViolation);
    });
  });

  it('wraps a version anew unless it was changed meanwhile, and says what wraps it', async () => {
    await insert(A, 1);
    const [key] = await store.listWrappedMasterKeys(['global'], { tenantId: '' as TenantId, version: 0 }, 10);
    const to = { wrapMethod: 'operator_kms', kmsKey: 'a key', wrapped: Buffer.from('anew') } as const;
    const rewrap = (from: Buffer) =>
      db.transaction((tx) => store.rewrapMasterKey(tx, { ...key!, wrapped: from }, to));
    await rewrap(Buffer.from('other'));
    expect(await store.hasKeysWrapped('operator_kms')).toBe(false);
    await rewrap(wrapped);
    expect(await store.findKey(A, 1)).toEqual({ version: 1, status: 'active', ...to });
    expect(await store.hasKeysWrapped('global')).toBe(false);
    expect(await store.hasKeysWrapped('operator_kms', 'a key')).toBe(true);
    expect(await store.hasKeysWrapped('operator_kms', 'another')).toBe(false);
  });

  it('keeps the first root key check', async () => {
    await store.insertRootKeyCheck('global', Buffer.from('first'), 1);
    await store.insertRootKeyCheck('global', Buffer.from('second'), 2);
    expect(await store.findRootKeyCheck('global')).toEqual({
      wrapped: Buffer.from('first'),
      formerWrapped: null,
    });
  });
}
