import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../../app/migrations.js';
import type { RequestId, TenantId } from '../../../kernel/ids.js';
import type { Caller } from '../../../kernel/principal.js';
import { systemIds } from '../../../platform/crypto/random.js';
import { createLogger } from '../../../platform/log/logger.js';
import { forEachDatabase, type TestDatabase } from '../../../testing/databases.js';
import { createManualClock, type ManualClock } from '../../../testing/manual-clock.js';
import { createMemoryClouds, type MemoryClouds } from '../../../testing/memory-clouds.js';
import { createTestServices, stopServices, type TestServices } from '../../../testing/services.js';
import { createTestTenant } from '../../../testing/tenants.js';

const LEARNED_MS = 500;

forEachDatabase((_name, open) => {
  describe("two processes with one tenant's key", () => {
    let db: TestDatabase;
    let clock: ManualClock;
    let clouds: MemoryClouds;
    let here: TestServices;
    let there: TestServices;
    let tenantId: TenantId;
    let otherId: TenantId;

    beforeEach(async () => {
      clock = createManualClock();
      clouds = createMemoryClouds();
      db = await open(MIGRATIONS, { clock });
      const logger = createLogger('fatal' as never, { write: () => true });
      const process = () => createTestServices({ db, clock, logger, clouds });
      [here, there] = [process(), process()];
      for (const one of [here, there]) await one.generations.start();
      tenantId = (await createTestTenant({ ...here, db, ids: systemIds }, 'acme')).id;
      otherId = (await createTestTenant({ ...here, db, ids: systemIds }, 'globex')).id;
    });
    afterEach(async () => {
      for (const one of [here, there]) await stopServices(one);
      await db.cleanup();
    });

    const callerOf = (id: TenantId): Caller => ({
      principal: {
        kind: 'user',
        scope: { tenantId: id, sandbox: false },
        tenantSlug: id === tenantId ? 'acme' : 'globex',
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
    const keyOf = (name: string) => ({
      provider: 'aws',
      kmsKeyRef: `arn:aws:kms:eu-central-1:111122223333:key/${name}`,
      config: { region: 'eu-central-1', role_arn: `arn:aws:iam::111122223333:role/${name}` },
    });
    const onboard = (process: TestServices, id: TenantId, name: string) =>
      process.tenantKms.onboard(callerOf(id), keyOf(name));
    const statuses = async (id = tenantId) =>
      (await here.kms.parts.configs.listVersions(id)).map(({ version, status }) => [version, status]);
    const place = () =>
      ({ tenantId, mode: 'live', table: 'crypto_key_versions', rowId: 'r', column: 'key_envelope' }) as const;

    it('give onboardings at once one number after the other, and one configuration', async () => {
      const onboarded = await Promise.all([
        onboard(here, tenantId, 'one'),
        onboard(there, tenantId, 'two'),
        onboard(here, tenantId, 'three'),
      ]);
      expect(onboarded.map(({ version }) => version).sort()).toEqual([2, 3, 4]);
      expect(await statuses()).toEqual([
        [4, 'active'],
        [3, 'retired'],
        [2, 'retired'],
        [1, 'retired'],
      ]);
      const last = onboarded.find(({ version }) => version === 4)!;
      const { config } = await here.tenantKms.get(callerOf(tenantId));
      expect(config.kmsKey).toContain(last.keyRef);
      const active = await here.kms.parts.store.findKey(tenantId, 4);
      expect(active?.kmsKey).toBe(config.kmsKey);
    });

    it('let one of two tenants have a key that both name at once', async () => {
      const outcomes = await Promise.allSettled([
        onboard(here, tenantId, 'same'),
        onboard(there, otherId, 'same'),
      ]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      const refused = outcomes.find((one) => one.status === 'rejected') as PromiseRejectedResult;
      expect(refused.reason).toMatchObject({ type: 'conflict' });
    });

    it('rotate at once to N+1 and N+2, and leave a giving up and a rotation at once whole', async () => {
      await onboard(here, tenantId, 'one');
      const rotated = await Promise.all([
        here.tenantKms.rotate(callerOf(tenantId)),
        there.tenantKms.rotate(callerOf(tenantId)),
      ]);
      expect(rotated.map(({ version }) => version).sort()).toEqual([3, 4]);
      await Promise.allSettled([
        here.tenantKms.delete(callerOf(tenantId)),
        there.tenantKms.rotate(callerOf(tenantId)),
      ]);
      const [newest] = await here.kms.parts.configs.listVersions(tenantId);
      expect(newest).toMatchObject({ wrapMethod: 'global', status: 'active' });
      await expect(here.tenantKms.get(callerOf(tenantId))).rejects.toMatchObject({ type: 'no_kms_config' });
    });

    it('seal once, and forget each other’s keys within a second of a change', async () => {
      await onboard(here, tenantId, 'one');
      const envelope = await here.kms.seal(place(), Buffer.from('canary'));
      expect(await there.kms.open(place(), envelope)).toEqual(Buffer.from('canary'));
      clock.advance(300_000);
      clouds.failure = 'access_denied';
      const opened = await Promise.allSettled([here, there].map((one) => one.kms.open(place(), envelope)));
      for (const one of opened) expect(one).toMatchObject({ reason: { type: 'tenant_sealed' } });
      const before = await here.tenantKms.get(callerOf(tenantId));
      expect(before.config.sealedSinceMs).toBe(clock.nowMs());
      clouds.failure = null;
      const unsealed = await Promise.allSettled(
        [here, there].map((one) => one.kmsVerification.retrySealed(10)),
      );
      expect(unsealed.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
      expect(await there.kms.open(place(), envelope)).toEqual(Buffer.from('canary'));

      const forgotten: TenantId[] = [];
      there.kms.onForget((id) => forgotten.push(id));
      await here.tenantKms.rotate(callerOf(tenantId));
      clock.advance(LEARNED_MS);
      await there.generations.refresh();
      expect(forgotten).toEqual([tenantId]);
    });

    it('keep nothing beyond five minutes that a version from before the onboarding has opened', async () => {
      const scope = { tenantId, sandbox: false };
      const key = await here.cryptoKeys.prepare(scope);
      await db.transaction((tx) => here.cryptoKeys.createFor(tx, key));
      await onboard(here, tenantId, 'one');
      clock.advance(LEARNED_MS);
      await there.generations.refresh();
      // Through version 1, which the root key wraps; then a pass of the other process brings it under the tenant's.
      const used = async () => there.cryptoKeys.use(scope, key.id, 1, (bytes) => bytes.length);
      expect(await used()).toBe(32);
      const { leaseId } = (await here.rewraps.progress(tenantId))!;
      const [pass] = here.rewraps.jobs();
      const context = {
        id: leaseId,
        payload: { tenant_id: tenantId },
        attempt: 1,
        batchMax: 100,
        signal: new AbortController().signal,
        isStopping: () => false,
        fence: async () => {},
      };
      await pass!.run(context);
      expect(await here.rewraps.references(tenantId, 1)).toBe(0);
      clouds.failure = 'access_denied';
      clock.advance(300_000);
      await expect(used()).rejects.toMatchObject({ type: 'tenant_sealed' });
    });

    it('lists a tenant of no other as sealed or due', async () => {
      await onboard(here, tenantId, 'one');
      const { configs } = here.kms.parts;
      await db.transaction((tx) => configs.setSealed(tx, tenantId, 'why', clock.nowMs()));
      expect((await configs.listSealed(10)).map((one) => one.tenantId)).toEqual([tenantId]);
      expect(await configs.countSealed()).toBe(1);
      expect(await configs.find(otherId)).toBeUndefined();
      expect(await configs.listDue(clock.nowMs(), 10)).toEqual([]);
      await db.transaction((tx) => configs.setVerified(tx, tenantId, null, clock.nowMs()));
      expect((await configs.listDue(clock.nowMs(), 10)).map((one) => one.tenantId)).toEqual([tenantId]);
      expect(await configs.listDue(clock.nowMs() - 1, 10)).toEqual([]);
      await db.transaction((tx) => configs.delete(tx, otherId));
      expect(await configs.find(tenantId)).toBeDefined();
    });
  });
});
