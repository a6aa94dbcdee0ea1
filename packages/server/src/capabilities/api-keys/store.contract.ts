import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ApiKeyId, Scope, TenantId } from '../../kernel/ids.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { hashKey } from './key-format.js';
import { apiKeysMigration } from './migrations/0005-api-keys.js';
import { type ApiKeyStore, createApiKeyStore } from './store.js';

export function apiKeyStoreContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let store: ApiKeyStore;
  beforeAll(async () => {
    db = await open([apiKeysMigration]);
    store = createApiKeyStore(db);
  });
  afterAll(() => db.cleanup());

  const scope: Scope = { tenantId: 'tenant-a' as TenantId, sandbox: false };
  const insert = (id: string, where = scope) =>
    db.transaction((tx) =>
      store.insert(tx, where, {
        id: id as ApiKeyId,
        keyId: `tk_live_${id}`,
        hash: hashKey(id),
        prefix: 'tk_live_aaa...',
        type: 'standard',
        name: id,
        createdAtMs: 1_000,
      }),
    );

  it('finds an active key by its hash, with its scope, and no revoked one', async () => {
    await insert('hash');
    await insert('hash-test', { ...scope, sandbox: true });
    expect(await store.findActiveByHash(hashKey('hash'))).toMatchObject({
      id: 'hash',
      scope,
      keyId: 'tk_live_hash',
    });
    expect((await store.findActiveByHash(hashKey('hash-test')))?.scope.sandbox).toBe(true);
    expect(await store.findActiveByHash(hashKey('nobody'))).toBeUndefined();
    await db.transaction((tx) => store.revoke(tx, scope, { column: 'id', value: 'hash' }, 2_000));
    expect(await store.findActiveByHash(hashKey('hash'))).toBeUndefined();
  });

  it('revokes in its scope only', async () => {
    await insert('scoped');
    const name = { column: 'key_id', value: 'tk_live_scoped' } as const;
    const foreign: Scope = { tenantId: 'tenant-b' as TenantId, sandbox: false };
    const tried = async (where: Scope) => db.transaction((tx) => store.revoke(tx, where, name, 2_000));
    expect(await tried(foreign)).toBeUndefined();
    expect(await tried({ ...scope, sandbox: true })).toBeUndefined();
    expect(await tried(scope)).toEqual({ id: 'scoped', keyId: 'tk_live_scoped', name: 'scoped' });
  });

  it('lets one of two concurrent revokes win', async () => {
    await insert('raced');
    const revoke = () =>
      db.transaction((tx) => store.revoke(tx, scope, { column: 'id', value: 'raced' }, 2_000));
    const results = await Promise.all([revoke(), revoke()]);
    expect(results.filter((result) => result !== undefined)).toHaveLength(1);
  });

  it('takes nothing back when the transaction fails', async () => {
    await insert('kept');
    const failing = db.transaction(async (tx) => {
      await store.revoke(tx, scope, { column: 'id', value: 'kept' }, 2_000);
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await store.findActiveByHash(hashKey('kept'))).toBeDefined();
  });

  it('never moves the last use back', async () => {
    const where: Scope = { tenantId: 'tenant-c' as TenantId, sandbox: false };
    await insert('used', where);
    for (const atMs of [5_000, 4_000])
      await db.transaction((tx) => store.setLastUsed(tx, where, 'used' as ApiKeyId, atMs));
    const { rows, total } = await store.list(where, { page: 1, perPage: 20, order: 'desc' });
    expect([rows[0]?.lastUsedAtMs, total]).toEqual([5_000, 1]);
  });
}
