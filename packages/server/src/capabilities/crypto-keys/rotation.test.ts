import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../app/migrations.js';
import type { RequestId, Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Caller } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import { systemIds } from '../../platform/crypto/random.js';
import { createLogger } from '../../platform/log/logger.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { createTestServices, stopServices, type TestServices } from '../../testing/services.js';
import { createTestTenant, type TestTenant } from '../../testing/tenants.js';
import { cryptoKeyTables } from './index.js';

const ROTATIONS = 50;

forEachDatabase((_name, open) => {
  describe('keys of two processes', () => {
    let db: TestDatabase;
    let clock: ManualClock;
    let here: TestServices;
    let there: TestServices;
    let tenant: TestTenant;
    let scope: Scope;
    let caller: Caller;
    const logLines: string[] = [];

    beforeEach(async () => {
      clock = createManualClock();
      db = await open(MIGRATIONS, { clock });
      const logger = createLogger('warn', { write: (line: string) => logLines.push(line) });
      [here, there] = [createTestServices({ db, clock, logger }), createTestServices({ db, clock, logger })];
      for (const one of [here, there]) await one.generations.start();
      tenant = await createTestTenant({ ...here, db, ids: systemIds }, 'acme');
      scope = { tenantId: tenant.id, sandbox: false };
      caller = callerOf();
      await create('pii');
    });
    afterEach(async () => {
      for (const one of [here, there]) await stopServices(one);
      await db.cleanup();
    });

    const callerOf = (): Caller => ({
      principal: {
        kind: 'user',
        scope,
        tenantSlug: 'acme',
        apiKeyId: null,
        keyId: null,
        userId: systemIds.uuid() as never,
        sessionId: systemIds.uuid() as never,
        role: 'owner',
        rateLimit: null,
        grants: [],
        may: () => true,
      },
      requestId: systemIds.uuid() as RequestId,
      ip: null,
    });
    const create = (name: string, keyType: 'aes256-gcm' | 'rsa-2048' = 'aes256-gcm') =>
      here.cryptoRecords.create(caller, { name, keyType, mode: 'cloud-only', description: null });
    const holding = (text: string) => () => new Secret(Buffer.from(text));
    const encrypt = (at: TestServices, name = 'pii') => at.transit.encrypt(caller, name, holding('x'));
    const versionsOf = async (name: string) => {
      const { id } = await here.cryptoKeys.getNamed(scope, name);
      return here.cryptoKeys.listUsable(scope, id, 2 * ROTATIONS);
    };
    const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);
    const settled = async (done: () => Promise<boolean>) => {
      while (!(await done())) await new Promise((resolve) => setImmediate(resolve));
    };

    it(`give ${ROTATIONS} rotations at once as many versions, of which one is active`, async () => {
      const rotated = await Promise.all(
        range(1, ROTATIONS).map((n) => (n % 2 ? here : there).cryptoRecords.rotate(caller, 'pii')),
      );
      expect(rotated.sort((a, b) => a - b)).toEqual(range(2, ROTATIONS + 1));
      const versions = await versionsOf('pii');
      expect(versions).toEqual(range(1, ROTATIONS + 1).reverse());
      expect((await here.cryptoKeys.getNamed(scope, 'pii')).currentVersion).toBe(ROTATIONS + 1);
      for (const at of [here, there]) expect((await encrypt(at)).keyVersion).toBe(ROTATIONS + 1);
    });

    it('make one key of a name that both create at once', async () => {
      const made = await Promise.allSettled(
        [here, there].map((at) =>
          at.cryptoRecords.create(caller, {
            name: 'both',
            keyType: 'aes256-gcm',
            mode: 'cloud-only',
            description: null,
          }),
        ),
      );
      expect(made.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      const [refused] = made.filter((one) => one.status === 'rejected');
      expect(refused).toMatchObject({ reason: { type: 'conflict' } });
    });

    it('encrypt with no version that was retired before, without a poll between', async () => {
      for (const at of [here, there]) await encrypt(at);
      for (const [rotating, encrypting] of [
        [here, there],
        [there, here],
        [here, here],
      ] as const) {
        const version = await rotating.cryptoRecords.rotate(caller, 'pii');
        expect((await encrypt(encrypting)).keyVersion).toBe(version);
      }
    });

    it('encrypt while one rotates with the version of then or a later one, and all of it opens', async () => {
      let retired = 1;
      let isOver = false;
      const rotations = (async () => {
        for (let n = 0; n < 20; n++) {
          const version = await here.cryptoRecords.rotate(caller, 'pii');
          // Committed: what is asked for from now on may not use a former one.
          retired = version;
        }
        isOver = true;
      })();
      const made: string[] = [];
      const encryptions = [here, there, there].map(async (at) => {
        while (!isOver) {
          const from = retired;
          const { ciphertext, keyVersion } = await encrypt(at);
          expect(keyVersion).toBeGreaterThanOrEqual(from);
          made.push(ciphertext);
        }
      });
      await Promise.all([rotations, ...encryptions]);
      expect(made.length).toBeGreaterThan(3);
      for (const ciphertext of made.slice(-100)) {
        const { plaintext } = await there.transit.decrypt(caller, 'pii', ciphertext, 'no');
        expect(plaintext.reveal().toString()).toBe('x');
      }
    });

    it('make the RSA keys of rotations at once outside of the transaction', async () => {
      await create('rsa', 'rsa-2048');
      const rotated = await Promise.all(
        [here, there, here].map((at) => at.cryptoRecords.rotate(caller, 'rsa')),
      );
      expect(rotated.sort()).toEqual([2, 3, 4]);
      expect((await encrypt(there, 'rsa')).keyVersion).toBe(4);
    });

    it('leave no plaintext in memory that was encrypted, alone or among others', async () => {
      const texts = ['one', 'two', 'three'].map((text) => Buffer.from(text));
      const reads = texts.map((text) => () => new Secret(text));
      await here.transit.encrypt(caller, 'pii', reads[0]!);
      await here.transit.encryptBatch(caller, 'pii', reads.slice(1));
      expect(texts.every((text) => text.every((byte) => byte === 0))).toBe(true);
    });

    const uses = () => db.view(cryptoKeyTables).scoped(scope);

    it('are refused a version beyond the last that a key may have, before it is made', async () => {
      await create('rsa', 'rsa-2048');
      const most = { current_version: LIMITS.cryptoKeyVersionsMax };
      await uses().updateTable('crypto_keys').set(most).execute();
      const refused = { type: 'conflict', message: expect.stringContaining('10000 versions') };
      const asked = ['pii', 'rsa', 'rsa'].map((name) =>
        expect(here.cryptoRecords.rotate(caller, name)).rejects.toMatchObject(refused),
      );
      await Promise.all(asked);
      const { id } = await here.cryptoKeys.getNamed(scope, 'pii');
      const prepared = here.cryptoKeys.prepareVersion(scope, id);
      await expect(prepared).rejects.toMatchObject(refused);
    });

    it('are at most 10,000 of a tenant and mode; what is one too many is not made', async () => {
      const [row] = await uses().selectFrom('crypto_keys').selectAll().execute();
      for (let from = 1; from < LIMITS.cryptoKeysMax; from += 500) {
        const numbers = range(from, Math.min(from + 499, LIMITS.cryptoKeysMax - 1));
        const rows = numbers.map((n) => ({ ...row!, id: systemIds.uuid(), name: `key-${n}` }));
        await uses().insertInto('crypto_keys').values(rows).execute();
      }
      await expect(create('rsa', 'rsa-2048')).rejects.toMatchObject({
        type: 'conflict',
        message: expect.stringContaining('There are 10000 crypto keys'),
      });
    });

    const countOf = async (version: number) => {
      const row = await uses()
        .selectFrom('crypto_key_uses')
        .select('encryptions')
        .where('version', '=', version)
        .executeTakeFirst();
      return row?.encryptions ?? 0;
    };
    const setCount = (encryptions: number) =>
      uses().updateTable('crypto_key_uses').set({ encryptions }).execute();

    it('count the encryptions of a version in slices of their own', async () => {
      await encrypt(here);
      const slice = await countOf(1);
      expect(slice).toBeGreaterThan(1);
      for (let n = 0; n < 10; n++) await encrypt(here);
      expect(await countOf(1)).toBe(slice);
      await Promise.all(range(1, 10).map(() => encrypt(there)));
      expect(await countOf(1)).toBe(2 * slice);
    });

    it('rotate a version that has encrypted 2^31 times, once, and say so', async () => {
      await encrypt(here);
      await setCount(LIMITS.encryptionsOfVersionMax - 1);
      logLines.length = 0;
      // Each finds a slice of its own above the bound, and still encrypts.
      await stopServices(here);
      here = createTestServices({
        db,
        clock,
        logger: createLogger('warn', { write: (line) => logLines.push(line) }),
      });
      const [one, other] = await Promise.all([encrypt(here), encrypt(there)]);
      for (const { keyVersion } of [one, other]) expect([1, 2]).toContain(keyVersion);
      await settled(async () => (await versionsOf('pii')).length > 1);
      expect((await encrypt(there)).keyVersion).toBe(2);
      expect(logLines.join()).toContain('is rotated');
      const { rows } = await here.auditLogs.list(tenant.id, {
        page: 1,
        perPage: 10,
        order: 'desc',
        action: { column: 'action', anyOf: ['crypto.rotate'] },
      });
      expect(rows.map(({ details }) => details)).toEqual([
        { key: 'pii', new_version: 2, reason: 'encryptions', sandbox: false },
      ]);
    });

    it('refuse to encrypt with a version that has encrypted 2^32 times', async () => {
      await encrypt(here);
      await setCount(2 ** 32);
      await expect(encrypt(there)).rejects.toMatchObject({ type: 'conflict' });
      await there.cryptoRecords.rotate(caller, 'pii');
      expect((await encrypt(there)).keyVersion).toBe(2);
    });
  });
});
