import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import { createGenerations, migrations as generationMigrations } from '../../platform/cache/generations.js';
import { DecryptionRefused } from '../../platform/crypto/authenticated-cipher.js';
import { type EnvelopePlace, envelopeVersion } from '../../platform/crypto/envelope-cipher.js';
import { systemRandom } from '../../platform/crypto/random.js';
import type { Database } from '../../platform/storage/database.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { ROOT_KEY_ONLY } from '../../testing/kms-settings.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { migrations as accountMigrations } from '../accounts/index.js';
import { createKms, type Kms, kmsGeneration, migrations, RootKeyMismatch } from './index.js';
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

forEachDatabase((name, openDatabase) => {
  let db: TestDatabase;
  let clock: ManualClock;
  const open = async () => {
    db = await openDatabase([...generationMigrations, ...accountMigrations, ...migrations]);
    return db;
  };
  const kmsWith = (
    rootKey: Buffer,
    database: Database = db,
    generations = createGenerations({ db: database, clock }),
  ): Kms =>
    createKms({
      db: database,
      clock,
      random: systemRandom,
      generations,
      rootKey: new Secret(rootKey),
      ...ROOT_KEY_ONLY,
      envelopeColumns: [COLUMN],
    });
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

    describe('forgets a tenant', () => {
      const PROCESSES_LEARN_MS = 1_000;
      let heard: TenantId[];
      const wipe = () =>
        db
          .view(kmsTables)
          .scoped({ tenantId: TENANT })
          .updateTable('tenant_master_keys')
          .set({ status: 'revoked', wrapped: null })
          .execute();
      const bump = () =>
        db.transaction((tx) => createGenerations({ db, clock }).bump(tx, kmsGeneration(TENANT)));

      it('when its keys change in this process', async () => {
        heard = [];
        kms.onForget((tenantId) => heard.push(tenantId));
        const envelope = await kms.seal(place, plaintext);
        await addTenant(kms, OTHER);
        await kms.seal({ ...place, tenantId: OTHER }, plaintext);
        await kms.rotate(TENANT);
        expect(heard).toEqual([TENANT]);
        await wipe();
        await expect(kms.open(place, envelope)).rejects.toMatchObject({ type: 'tenant_sealed' });
      });

      it('within 1 s of a change in another process, and what was opened with its keys too', async () => {
        const generations = createGenerations({ db, clock });
        const here = kmsWith(Buffer.alloc(32, 1), db, generations);
        heard = [];
        here.onForget((tenantId) => heard.push(tenantId));
        await generations.start();
        const envelope = await here.seal(place, plaintext);
        await wipe();
        expect(await here.open(place, envelope)).toEqual(plaintext);
        await bump();
        clock.advance(PROCESSES_LEARN_MS / 2);
        await vi.waitFor(() => expect(heard).toEqual([TENANT]));
        await expect(here.open(place, envelope)).rejects.toMatchObject({ type: 'tenant_sealed' });
        await generations.stop();
      });

      it('when the time of an opened key is over, not when one could not be opened', async () => {
        heard = [];
        kms.onForget((tenantId) => heard.push(tenantId));
        await kms.seal(place, plaintext);
        await expect(kms.seal({ ...place, tenantId: OTHER }, plaintext)).rejects.toThrow();
        expect(heard).toEqual([]);
        clock.advance(3_600_000);
        expect(heard).toEqual([TENANT]);
      });
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

    describe('changing the root key', () => {
      const FORMER = Buffer.alloc(32, 1);
      const NEW = Buffer.alloc(32, 2);
      const formerKey = () => new Secret(FORMER);
      const newKey = () => new Secret(NEW);
      let envelope: Buffer;
      beforeEach(async () => {
        await kms.checkRootKey();
        envelope = await kms.seal(place, plaintext);
      });

      /** A process that is killed before one of its commits. */
      const dyingAfter = (commits: number): Database => ({
        ...db,
        transaction: async (run) => {
          if (commits-- === 0) throw new Error('killed');
          return db.transaction(run);
        },
      });
      const expectWhole = async () => {
        const after = kmsWith(NEW);
        await after.checkRootKey();
        expect(await after.open(place, envelope)).toEqual(plaintext);
        await expect(kmsWith(FORMER).checkRootKey()).rejects.toThrow(RootKeyMismatch);
      };

      it('opens afterwards what was sealed before, with the new key alone', async () => {
        await kms.rotate(TENANT);
        const sealedByTwo = await kms.seal(place, plaintext);
        expect(await kmsWith(NEW).changeRootKey(formerKey())).toEqual({ rewrapped: 2, unreadable: [] });
        await expectWhole();
        expect(await kmsWith(NEW).open(place, sealedByTwo)).toEqual(plaintext);
      });

      it('reaches every key of every tenant, in batches, and leaves the bytes of envelopes alone', async () => {
        const tenants = Array.from(
          { length: 230 },
          (_, index) => `bbbbbbbb-0000-4000-8000-${String(index).padStart(12, '0')}` as TenantId,
        );
        for (const tenantId of tenants) await addTenant(kms, tenantId);
        const change = await kmsWith(NEW).changeRootKey(formerKey());
        expect(change).toEqual({ rewrapped: 231, unreadable: [] });
        const after = kmsWith(NEW);
        for (const tenantId of tenants) await after.seal({ ...place, tenantId }, plaintext);
        expect(await after.open(place, envelope)).toEqual(plaintext);
      });

      it('is done once, and says so', async () => {
        await kmsWith(NEW).changeRootKey(formerKey());
        expect(await kmsWith(NEW).changeRootKey(formerKey())).toBeNull();
        await expectWhole();
      });

      it('killed before any of its commits and started again ends whole', async () => {
        await kms.rotate(TENANT);
        let killed = 0;
        for (let commits = 0; ; commits++) {
          const done = await kmsWith(NEW, dyingAfter(commits))
            .changeRootKey(formerKey())
            .then(
              () => true,
              (error) => {
                expect(error.message).toBe('killed');
                return false;
              },
            );
          if (done) break;
          killed++;
          // With one key alone it would run into rows of the other.
          if (commits > 0) {
            await expect(kmsWith(NEW).checkRootKey()).rejects.toThrow('has begun and not finished');
            await expect(kmsWith(FORMER).checkRootKey()).rejects.toThrow('has begun and not finished');
          }
        }
        expect(killed).toBeGreaterThan(3);
        await expectWhole();
      });

      it('killed on its way can be taken back', async () => {
        await addTenant(kms, OTHER);
        for (const commits of [1, 2, 3, 4]) {
          await expect(kmsWith(NEW, dyingAfter(commits)).changeRootKey(formerKey())).rejects.toThrow(
            'killed',
          );
          await kmsWith(FORMER).changeRootKey(newKey());
          const back = kmsWith(FORMER);
          await back.checkRootKey();
          expect(await back.open(place, envelope)).toEqual(plaintext);
          await expect(kmsWith(NEW).checkRootKey()).rejects.toThrow(RootKeyMismatch);
        }
      });

      it('under way refuses a third key', async () => {
        await expect(kmsWith(NEW, dyingAfter(1)).changeRootKey(formerKey())).rejects.toThrow('killed');
        const third = Buffer.alloc(32, 3);
        await expect(kmsWith(third).changeRootKey(newKey())).rejects.toThrow('has begun and not finished');
        await expect(kmsWith(third).changeRootKey(formerKey())).rejects.toThrow('has begun and not finished');
        await expect(kmsWith(NEW).changeRootKey(new Secret(third))).rejects.toThrow(
          'has begun and not finished',
        );
        await kmsWith(NEW).changeRootKey(formerKey());
        await expectWhole();
      });

      it('refuses a former key that it was not, and the same key twice', async () => {
        const wrong = new Secret(Buffer.alloc(32, 9));
        await expect(kmsWith(NEW).changeRootKey(wrong)).rejects.toThrow(RootKeyMismatch);
        await expect(kmsWith(FORMER).changeRootKey(formerKey())).rejects.toThrow('is the root key in use');
        await kms.checkRootKey();
      });

      it('in an empty database changes nothing', async () => {
        await db.view(kmsTables).system('root_key').deleteFrom('root_key_checks').execute();
        expect(await kmsWith(NEW).changeRootKey(formerKey())).toBeNull();
      });

      it('keeps the texts of the installation, of which the first stands', async () => {
        expect(await kms.installationText('id', () => 'first')).toBe('first');
        await kmsWith(NEW).changeRootKey(formerKey());
        expect(await kmsWith(NEW).installationText('id', () => 'second')).toBe('first');
      });

      it('names what neither key opens, and changes the rest', async () => {
        await addTenant(kms, OTHER);
        await db
          .view(kmsTables)
          .scoped({ tenantId: OTHER })
          .updateTable('tenant_master_keys')
          .set({ wrapped: Buffer.alloc(60) })
          .execute();
        expect(await kmsWith(NEW).changeRootKey(formerKey())).toEqual({
          rewrapped: 1,
          unreadable: [`master key 1 of tenant ${OTHER}`],
        });
        await expectWhole();
      });

      it('two processes at once end whole', async () => {
        for (let index = 0; index < 5; index++) await kms.rotate(TENANT);
        await Promise.all([kmsWith(NEW).changeRootKey(formerKey()), kmsWith(NEW).changeRootKey(formerKey())]);
        await expectWhole();
      });

      describe('leaves a process with the former key', () => {
        it('that refuses, and writes nothing under it', async () => {
          const prepared = await kms.prepare(OTHER);
          await kmsWith(NEW).changeRootKey(formerKey());
          const sealed = { type: 'tenant_sealed', detail: expect.stringContaining('root key') };
          await expect(kms.prepare(OTHER)).rejects.toMatchObject(sealed);
          await expect(db.transaction((tx) => kms.createFor(tx, OTHER, prepared))).rejects.toMatchObject(
            sealed,
          );
          await expect(kms.rotate(TENANT)).rejects.toMatchObject(sealed);
          await expect(kms.checkRootKey()).rejects.toThrow(RootKeyMismatch);
          await expect(kmsWith(FORMER).open(place, envelope)).rejects.toMatchObject(sealed);
          await expect(kmsWith(NEW).seal({ ...place, tenantId: OTHER }, plaintext)).rejects.toMatchObject({
            detail: 'the tenant has no active master key',
          });
        });

        const whoseTransactionCrosses = async () => {
          const prepared = await kms.prepare(OTHER);
          let runs = 0;
          const created = db.transaction(async (tx) => {
            runs++;
            await kms.createFor(tx, OTHER, prepared);
            if (runs === 1) await kmsWith(NEW).changeRootKey(formerKey());
          });
          await expect(created).rejects.toMatchObject({ type: 'tenant_sealed' });
          expect(runs).toBe(2);
          await expectWhole();
        };
        // One writer cannot have two transactions open.
        if (name === 'postgres')
          it('whose open transaction crosses the change loses it', whoseTransactionCrosses);
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
