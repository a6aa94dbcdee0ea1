import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import type { ApiKeyId, Scope, TenantId } from '../../kernel/ids.js';
import type { TenantModeColumns } from '../../platform/storage/columns.js';
import { openDatabase } from '../../platform/storage/open-database.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { hashKey } from './key-format.js';
import { apiKeysMigration } from './migrations/0005-api-keys.js';
import { type ApiKeyStore, createApiKeyStore, type KeyTerms } from './store.js';
import { apiKeysTables, migrations } from './tables.js';

/** As the first migration made it. */
interface OldTable extends TenantModeColumns {
  id: ApiKeyId;
  key_id: string;
  key_hash: Buffer;
  key_prefix: string;
  key_type: string;
  name: string;
  created_at: number;
}

export function apiKeyStoreContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let store: ApiKeyStore;
  beforeAll(async () => {
    db = await open(migrations);
    store = createApiKeyStore(db);
  });
  afterAll(() => db.cleanup());

  const scope: Scope = { tenantId: 'tenant-a' as TenantId, sandbox: false };
  const full: KeyTerms = { access: { full: true }, rateLimit: null, expiresAtMs: null };
  const insert = (id: string, where = scope, terms = full) =>
    db.transaction((tx) =>
      store.insert(tx, where, {
        id: id as ApiKeyId,
        keyId: `tk_live_${id}`,
        hash: hashKey(id),
        prefix: 'tk_live_aaa...',
        type: 'standard',
        name: id,
        createdAtMs: 1_000,
        ...terms,
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

  it.each<[string, KeyTerms]>([
    ['full access', full],
    [
      'roles, a rate limit and an expiry',
      {
        access: { full: false, roleIds: ['r1', 'r2'], grants: [] },
        rateLimit: { requests: 5, windowSeconds: 60 },
        expiresAtMs: 9_000_000_000_000,
      },
    ],
    [
      'grants',
      {
        access: {
          full: false,
          roleIds: [],
          grants: [
            { permission: 'vaults:tokenize', resource: 'cards' },
            { permission: 'log:list', resource: null },
          ],
        },
        rateLimit: null,
        expiresAtMs: null,
      },
    ],
    ['nothing', { ...full, access: { full: false, roleIds: [], grants: [] } }],
  ])('keeps the terms of a key: %s', async (id, terms) => {
    const where: Scope = { tenantId: `tenant-${id}` as TenantId, sandbox: false };
    await insert(id, where, terms);
    expect(await store.findActiveByHash(hashKey(id))).toMatchObject({ id, ...terms });
    expect((await store.list(where, { page: 1, perPage: 20, order: 'desc' }))[0]).toMatchObject(terms);
    expect(await store.findTerms(where, id as ApiKeyId)).toEqual(terms);
    await expect(store.findTerms(scope, id as ApiKeyId)).rejects.toThrow();
  });

  it('leaves full access to the keys that were made before access was stored', async () => {
    const before = await open([apiKeysMigration]);
    const row = {
      id: 'old' as ApiKeyId,
      key_id: 'tk_live_old',
      key_hash: hashKey('old'),
      key_prefix: 'tk_live_old...',
      key_type: 'standard',
      name: 'old',
      created_at: 1_000,
    };
    await before
      .view<{ api_keys: OldTable }>(apiKeysTables)
      .scoped(scope)
      .insertInto('api_keys')
      .values(row)
      .execute();
    const after = await openDatabase(before.storage, { migrations, clock: systemClock });
    expect(await createApiKeyStore(after).findActiveByHash(hashKey('old'))).toMatchObject(full);
    await after.close();
    await before.cleanup();
  });

  it('takes a row that names no access as one without any', async () => {
    await insert('bare');
    const table = db.view(apiKeysTables).scoped(scope).updateTable('api_keys');
    await table
      .set({ access: null })
      .where('id', '=', 'bare' as ApiKeyId)
      .execute();
    expect((await store.findActiveByHash(hashKey('bare')))?.access).toEqual({
      full: false,
      roleIds: [],
      grants: [],
    });
  });

  it('never moves the last use back', async () => {
    const where: Scope = { tenantId: 'tenant-c' as TenantId, sandbox: false };
    await insert('used', where);
    for (const atMs of [5_000, 4_000])
      await db.transaction((tx) => store.setLastUsed(tx, where, 'used' as ApiKeyId, atMs));
    const rows = await store.list(where, { page: 1, perPage: 20, order: 'desc' });
    expect([rows[0]?.lastUsedAtMs, await store.count(where)]).toEqual([5_000, 1]);
  });
}
