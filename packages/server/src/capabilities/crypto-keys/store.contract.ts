import { beforeEach, expect, it } from 'vitest';
import type { CryptoKeyId, Scope, TenantId } from '../../kernel/ids.js';
import { type Database, ReferenceViolation, UniqueViolation } from '../../platform/storage/database.js';
import { type CryptoKeyStore, createCryptoKeyStore } from './store.js';
import { cryptoKeyTables } from './tables.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };
const TEST: Scope = { ...LIVE, sandbox: true };
const FOREIGN: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false };
const ID = 'key-1' as CryptoKeyId;
const key = {
  id: ID,
  name: null,
  keyType: 'aes256-gcm',
  versionRowId: 'version-1',
  envelope: Buffer.from('sealed'),
  publicKey: null,
  mode: 'cloud-only',
  description: null,
  createdBy: null,
} as const;

export function cryptoKeyStoreContract(open: () => Promise<Database>): void {
  let db: Database;
  let store: CryptoKeyStore;
  const insert = (scope: Scope) => db.transaction((tx) => store.insert(tx, scope, key, 5));

  beforeEach(async () => {
    db = await open();
    store = createCryptoKeyStore(db);
  });

  it('reads a key in its own scope only', async () => {
    await insert(LIVE);
    expect(await store.findVersion(LIVE, ID, 1)).toEqual({
      rowId: 'version-1',
      envelope: Buffer.from('sealed'),
      publicKey: null,
      isDestroyed: false,
    });
    for (const scope of [TEST, FOREIGN]) {
      expect(await store.findVersion(scope, ID, 1)).toBeUndefined();
      expect(await store.listCurrentVersions(scope)).toEqual(new Map());
    }
    expect(await store.listCurrentVersions(LIVE)).toEqual(new Map([[ID, 1]]));
  });

  it('lists the newest versions that are not destroyed, so many as are asked for', async () => {
    await insert(LIVE);
    for (const version of [2, 3, 4, 5])
      await db.transaction((tx) =>
        store.addVersion(tx, LIVE, ID, version, { ...key, versionRowId: `version-${version}` }, 5),
      );
    const destroyed = { rowId: 'version-4', envelope: key.envelope };
    await db.transaction((tx) => store.wipeVersion(tx, LIVE, destroyed, 6));
    expect(await store.listUsable(LIVE, ID, 3)).toEqual([5, 3, 2]);
    expect(await store.listUsable(LIVE, ID, 9)).toEqual([5, 3, 2, 1]);
    for (const scope of [TEST, FOREIGN]) expect(await store.listUsable(scope, ID, 9)).toEqual([]);
  });

  it('deletes in its own scope only', async () => {
    await insert(LIVE);
    await insert(TEST);
    await db.transaction((tx) => store.delete(tx, FOREIGN, ID));
    await db.transaction((tx) => store.delete(tx, TEST, ID));
    expect(await store.findVersion(TEST, ID, 1)).toBeUndefined();
    expect(await store.findVersion(LIVE, ID, 1)).toBeDefined();
  });

  it('refuses the same key twice, and a key that still has versions to be removed alone', async () => {
    await insert(LIVE);
    await expect(insert(LIVE)).rejects.toThrow(UniqueViolation);
    const removal = db.view(cryptoKeyTables).scoped(LIVE).deleteFrom('crypto_keys').execute();
    await expect(removal).rejects.toThrow(ReferenceViolation);
  });
}
