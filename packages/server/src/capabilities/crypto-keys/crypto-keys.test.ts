import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CryptoKeyId, Scope, TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import { createGenerations, migrations as generationsMigrations } from '../../platform/cache/generations.js';
import { systemIds, systemRandom } from '../../platform/crypto/random.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { ROOT_KEY_ONLY } from '../../testing/kms-settings.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { migrations as accountMigrations } from '../accounts/index.js';
import { migrations as auditMigrations, createAuditLogs } from '../audit-logs/index.js';
import { createKms, type Kms, migrations as kmsMigrations, kmsTables } from '../kms/index.js';
import { type CryptoKeys, createCryptoKeys, envelopeColumns, migrations } from './index.js';
import { cryptoKeyStoreContract } from './store.contract.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };
const TEST: Scope = { ...LIVE, sandbox: true };

forEachDatabase((_name, openDatabase) => {
  let db: TestDatabase;
  const open = async () => {
    db = await openDatabase([
      ...generationsMigrations,
      ...accountMigrations,
      ...auditMigrations,
      ...kmsMigrations,
      ...migrations,
    ]);
    return db;
  };
  afterEach(() => db.cleanup());

  describe('crypto key store', () => cryptoKeyStoreContract(open));

  describe('crypto keys', () => {
    let clock: ManualClock;
    let kms: Kms;
    let cryptoKeys: CryptoKeys;
    const service = () => {
      const generations = createGenerations({ db, clock });
      const auditLogs = createAuditLogs({ db, clock, ids: systemIds });
      const made = { ids: systemIds, random: systemRandom, tenantKeys: kms };
      return createCryptoKeys({ db, clock, ...made, generations, auditLogs });
    };
    const copyOf = (key: Buffer) => key.toString('hex');
    const create = async (scope: Scope): Promise<CryptoKeyId> => {
      const prepared = await cryptoKeys.prepare(scope);
      await db.transaction((tx) => cryptoKeys.createFor(tx, prepared));
      return prepared.id;
    };

    beforeEach(async () => {
      await open();
      clock = createManualClock();
      kms = createKms({
        ...ROOT_KEY_ONLY,
        db,
        clock,
        random: systemRandom,
        generations: createGenerations({ db, clock }),
        rootKey: new Secret(Buffer.alloc(32, 1)),
        envelopeColumns,
      });
      const masterKey = await kms.prepare(LIVE.tenantId);
      await db.transaction((tx) => kms.createFor(tx, LIVE.tenantId, masterKey));
      cryptoKeys = service();
    });

    it('are open no longer than the master key that opened them', async () => {
      const id = await create(LIVE);
      clock.advance(LIMITS.tenantKeyCacheMs / 2);
      await cryptoKeys.use(LIVE, id, 1, copyOf);
      await db
        .view(kmsTables)
        .scoped({ tenantId: LIVE.tenantId })
        .updateTable('tenant_master_keys')
        .set({ status: 'revoked', wrapped: null })
        .execute();
      clock.advance(LIMITS.tenantKeyCacheMs / 2 - 1);
      await cryptoKeys.use(LIVE, id, 1, copyOf);
      clock.advance(1);
      await expect(cryptoKeys.use(LIVE, id, 1, copyOf)).rejects.toMatchObject({ type: 'tenant_sealed' });
    });

    it('lends the same 32 random bytes each time, in another process too', async () => {
      const id = await create(LIVE);
      const key = await cryptoKeys.use(LIVE, id, 1, copyOf);
      expect(Buffer.from(key, 'hex')).toHaveLength(32);
      expect(await cryptoKeys.use(LIVE, id, 1, copyOf)).toBe(key);
      expect(await service().use(LIVE, id, 1, copyOf)).toBe(key);
      const another = await create(LIVE);
      expect(await cryptoKeys.use(LIVE, another, 1, copyOf)).not.toBe(key);
    });

    it('knows the current version of the keys of one scope', async () => {
      const live = await create(LIVE);
      const test = await create(TEST);
      expect(await cryptoKeys.listCurrentVersions(LIVE)).toEqual(new Map([[live, 1]]));
      expect(await cryptoKeys.listCurrentVersions(TEST)).toEqual(new Map([[test, 1]]));
    });

    it.each([
      ['another mode', TEST, 1],
      ['another tenant', { ...LIVE, tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId }, 1],
      ['an unknown version', LIVE, 2],
    ] as [string, Scope, number][])('answers not_found for %s', async (_what, scope, version) => {
      const id = await create(LIVE);
      await cryptoKeys.use(LIVE, id, 1, copyOf);
      await expect(cryptoKeys.use(scope, id, version, copyOf)).rejects.toMatchObject({ type: 'not_found' });
    });

    it('is gone once destroyed, and only once the transaction has committed', async () => {
      const id = await create(LIVE);
      await cryptoKeys.use(LIVE, id, 1, copyOf);
      const undone = db.transaction(async (tx) => {
        await cryptoKeys.destroy(tx, LIVE, id);
        throw new Error('undone');
      });
      await expect(undone).rejects.toThrow('undone');
      expect(await cryptoKeys.use(LIVE, id, 1, copyOf)).toMatch(/^[0-9a-f]{64}$/);
      await db.transaction((tx) => cryptoKeys.destroy(tx, LIVE, id));
      await expect(cryptoKeys.use(LIVE, id, 1, copyOf)).rejects.toMatchObject({ type: 'not_found' });
      expect(await cryptoKeys.listCurrentVersions(LIVE)).toEqual(new Map());
    });

    it('drops an opened key after an hour', async () => {
      const id = await create(LIVE);
      const lent = await cryptoKeys.use(LIVE, id, 1, (key) => key);
      expect(lent.equals(Buffer.alloc(32))).toBe(false);
      clock.advance(3_600_000);
      await new Promise<void>((resolve) => setImmediate(resolve));
      expect(lent).toEqual(Buffer.alloc(32));
    });
  });
});
