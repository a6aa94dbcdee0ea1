import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import { DecryptionRefused } from '../../platform/crypto/authenticated-cipher.js';
import { type EnvelopePlace, envelopeVersion } from '../../platform/crypto/envelope-cipher.js';
import { systemRandom } from '../../platform/crypto/random.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { migrations as accountMigrations } from '../accounts/index.js';
import { createKms, type Kms, migrations, RootKeyMismatch } from './index.js';
import { kmsStoreContract } from './store.contract.js';
import { kmsTables } from './tables.js';

const TENANT = 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId;
const OTHER = 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId;
const COLUMN = { table: 'secrets', idColumn: 'id', column: 'value_envelope', mode: 'row' } as const;
const place: EnvelopePlace = {
  tenantId: TENANT,
  mode: 'live',
  table: 'secrets',
  rowId: 'row-1',
  column: 'value_envelope',
};
const plaintext = Buffer.from('a very secret thing');

forEachDatabase((_name, openDatabase) => {
  let db: TestDatabase;
  let clock: ManualClock;
  const open = async () => {
    db = await openDatabase([...accountMigrations, ...migrations]);
    return db;
  };
  const kmsWith = (rootKey: Buffer): Kms =>
    createKms({ db, clock, random: systemRandom, rootKey: new Secret(rootKey), envelopeColumns: [COLUMN] });
  const addTenant = async (kms: Kms, tenantId: TenantId) => {
    const prepared = await kms.prepare(tenantId);
    await db.transaction((tx) => kms.createFor(tx, tenantId, prepared));
  };

  afterEach(() => db.cleanup());

  describe('kms store', () => kmsStoreContract(open));

  describe('kms', () => {
    let kms: Kms;
    beforeEach(async () => {
      await open();
      clock = createManualClock();
      kms = kmsWith(Buffer.alloc(32, 1));
      await addTenant(kms, TENANT);
    });

    it('opens what it sealed, in another process too', async () => {
      const envelope = await kms.seal(place, plaintext);
      expect(envelope.includes(plaintext)).toBe(false);
      expect(await kms.open(place, envelope)).toEqual(plaintext);
      expect(await kmsWith(Buffer.alloc(32, 1)).open(place, envelope)).toEqual(plaintext);
    });

    it('opens nothing in another tenant', async () => {
      await addTenant(kms, OTHER);
      const envelope = await kms.seal(place, plaintext);
      await expect(kms.open({ ...place, tenantId: OTHER }, envelope)).rejects.toThrow(DecryptionRefused);
    });

    it('refuses to seal for a column that is not registered', async () => {
      await expect(kms.seal({ ...place, column: 'other_envelope' }, plaintext)).rejects.toThrow('registered');
      await expect(kms.seal({ ...place, table: 'vaults' }, plaintext)).rejects.toThrow('registered');
      await expect(kms.seal({ ...place, mode: '' }, plaintext)).rejects.toThrow('registered with mode row');
    });

    it('refuses a key prepared for another tenant', async () => {
      const prepared = await kms.prepare(TENANT);
      const created = db.transaction((tx) => kms.createFor(tx, OTHER, prepared));
      await expect(created).rejects.toThrow('another tenant');
    });

    it('answers tenant_sealed where there is no key', async () => {
      await expect(kms.seal({ ...place, tenantId: OTHER }, plaintext)).rejects.toMatchObject({
        type: 'tenant_sealed',
        retryAfterSeconds: 30,
      });
    });

    it('answers tenant_sealed when the version was revoked, once the opened key has left memory', async () => {
      const envelope = await kms.seal(place, plaintext);
      await db
        .view(kmsTables)
        .scoped({ tenantId: TENANT })
        .updateTable('tenant_master_keys')
        .set({ status: 'revoked', wrapped: null })
        .execute();
      expect(await kms.open(place, envelope)).toEqual(plaintext);
      clock.advance(3_600_000);
      await expect(kms.open(place, envelope)).rejects.toMatchObject({ type: 'tenant_sealed' });
    });

    describe('rotate', () => {
      it('seals with the new version and opens what the old one sealed', async () => {
        const before = await kms.seal(place, plaintext);
        expect(await kms.rotate(TENANT)).toBe(2);
        const after = await kms.seal(place, plaintext);
        expect([envelopeVersion(before), envelopeVersion(after)]).toEqual([1, 2]);
        expect(await kms.open(place, before)).toEqual(plaintext);
        expect(await kms.open(place, after)).toEqual(plaintext);
      });

      it('gives concurrent rotations, of two processes too, consecutive numbers and one active version', async () => {
        const other = kmsWith(Buffer.alloc(32, 1));
        const versions = await Promise.all([
          kms.rotate(TENANT),
          kms.rotate(TENANT),
          other.rotate(TENANT),
          other.rotate(TENANT),
        ]);
        expect(versions.sort()).toEqual([2, 3, 4, 5]);
        const rows = await db
          .view(kmsTables)
          .scoped({ tenantId: TENANT })
          .selectFrom('tenant_master_keys')
          .select(['version', 'status'])
          .orderBy('version')
          .execute();
        expect(rows.map((row) => row.status)).toEqual(['retired', 'retired', 'retired', 'retired', 'active']);
      });
    });

    describe('root key', () => {
      it('is accepted at every start with the same key', async () => {
        await kms.checkRootKey();
        await kmsWith(Buffer.alloc(32, 1)).checkRootKey();
      });

      it('stops the start when it is another one', async () => {
        await kms.checkRootKey();
        const mistaken = kmsWith(Buffer.alloc(32, 2));
        await expect(mistaken.checkRootKey()).rejects.toThrow(RootKeyMismatch);
        await expect(mistaken.checkRootKey()).rejects.toThrow(/MASTER_KEY_B64 or root key file/);
        await kms.checkRootKey();
      });

      it('agrees when two processes start first together', async () => {
        await Promise.all([kms.checkRootKey(), kmsWith(Buffer.alloc(32, 1)).checkRootKey()]);
        await expect(kmsWith(Buffer.alloc(32, 2)).checkRootKey()).rejects.toThrow(RootKeyMismatch);
      });

      it('stands nowhere in the database', async () => {
        await kms.checkRootKey();
        const rows = await db
          .view(kmsTables)
          .system('root_key')
          .selectFrom('root_key_checks')
          .selectAll()
          .execute();
        expect(rows).toHaveLength(1);
        for (const row of rows) expect(row.wrapped.includes(Buffer.alloc(8, 1))).toBe(false);
      });
    });
  });
});
