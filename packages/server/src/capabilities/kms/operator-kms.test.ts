import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import { createGenerations, migrations as generationMigrations } from '../../platform/cache/generations.js';
import type { EnvelopePlace } from '../../platform/crypto/envelope-cipher.js';
import { systemRandom } from '../../platform/crypto/random.js';
import { startAwsEmulator } from '../../testing/cloud-kms/aws-emulator.js';
import { type AzureEmulator, startAzureEmulator } from '../../testing/cloud-kms/azure-emulator.js';
import type { CloudEmulator } from '../../testing/cloud-kms/emulator.js';
import { type CloudRig, startCloudRig } from '../../testing/cloud-kms/rig.js';
import {
  forEachDatabase,
  type OpenTestDatabase,
  openTestSqlite,
  type TestDatabase,
} from '../../testing/databases.js';
import { ROOT_KEY_ONLY } from '../../testing/kms-settings.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { migrations as accountMigrations } from '../accounts/index.js';
import type { OperatorKey } from './cloud-key.js';
import { cloudKeyText } from './cloud-key-text.js';
import { createKms, type Kms, migrations, OperatorKmsRefused, RootKeyMismatch } from './index.js';
import { createKmsStore, type KmsStore } from './store.js';

const TENANT = 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId;
const COLUMN = { table: 'secrets', idColumn: 'id', column: 'value_envelope', mode: 'row' } as const;
const place: EnvelopePlace = {
  tenantId: TENANT,
  mode: 'live',
  table: 'secrets',
  rowId: 'row-1',
  column: 'value_envelope',
};
const plaintext = Buffer.from('a very secret thing');

let rig: CloudRig<CloudEmulator>;
let db: TestDatabase;
let clock: ManualClock;
let store: KmsStore;

const kmsWith = (operatorKey: OperatorKey, rootKeyByte = 1): Kms =>
  createKms({
    db,
    clock,
    random: systemRandom,
    generations: createGenerations({ db, clock }),
    outbox: ROOT_KEY_ONLY.outbox,
    logger: ROOT_KEY_ONLY.logger,
    rootKey: new Secret(Buffer.alloc(32, rootKeyByte)),
    cloudProviders: rig.providers,
    operatorKey,
    envelopeColumns: [COLUMN],
  });
const addTenant = async (kms: Kms, tenantId: TenantId) => {
  const prepared = await kms.prepare(tenantId);
  await db.transaction((tx) => kms.createFor(tx, tenantId, prepared));
};
const keyCalls = () => rig.emulator.calls.filter((call) => call !== 'identity');
const forgetCalls = () => (rig.emulator.calls as string[]).splice(0);

async function begin(open: OpenTestDatabase): Promise<void> {
  db = await open([...generationMigrations, ...accountMigrations, ...migrations]);
  clock = createManualClock();
  store = createKmsStore(db);
}
afterEach(async () => {
  await rig?.close();
  await db.cleanup();
});

forEachDatabase((_name, open) => {
  beforeEach(() => begin(open));

  describe("the operator's KMS", () => {
    beforeEach(async () => {
      rig = await startCloudRig(startAwsEmulator);
    });

    it('wraps new keys, and 10,000 uses of one cost one call', async () => {
      const { key } = rig.emulator;
      const kms = kmsWith(key);
      expect(await kms.useOperatorKms()).toEqual({
        wrappedBy: 'operator_kms',
        rewrapped: 0,
        unreadable: [],
        failure: null,
      });
      await addTenant(kms, TENANT);
      expect(await store.findKey(TENANT, 1)).toMatchObject({
        wrapMethod: 'operator_kms',
        kmsKey: cloudKeyText(key),
      });
      const envelope = await kms.seal(place, plaintext);
      forgetCalls();
      const other = kmsWith(key);
      for (let round = 0; round < 100; round++) {
        const opened = await Promise.all(Array.from({ length: 100 }, () => other.open(place, envelope)));
        expect(opened.every((one) => one.equals(plaintext))).toBe(true);
      }
      expect(keyCalls()).toEqual(['decrypt']);
    });

    it('keeps an opened key for an hour', async () => {
      const kms = kmsWith(rig.emulator.key);
      await addTenant(kms, TENANT);
      const envelope = await kms.seal(place, plaintext);
      forgetCalls();
      clock.advance(3_599_999);
      await kms.open(place, envelope);
      expect(keyCalls()).toEqual([]);
      clock.advance(1);
      await kms.open(place, envelope);
      expect(keyCalls()).toEqual(['decrypt']);
    });

    it("keeps one of a tenant's own KMS for five minutes, and is sealed once it is withdrawn", async () => {
      const kms = kmsWith(rig.emulator.key);
      await addTenant(kms, TENANT);
      const key = await store.findKey(TENANT, 1);
      const to = { wrapMethod: 'customer_kms', kmsKey: key!.kmsKey, wrapped: key!.wrapped! } as const;
      const listed = await store.listWrappedMasterKeys(
        ['operator_kms'],
        { tenantId: '' as TenantId, version: 0 },
        1,
      );
      await db.transaction((tx) => store.rewrapMasterKey(tx, listed[0]!, to));
      const envelope = await kms.seal(place, plaintext);
      rig.emulator.state.mayDecrypt = false;
      clock.advance(299_999);
      expect(await kms.open(place, envelope)).toEqual(plaintext);
      clock.advance(1);
      await expect(kms.open(place, envelope)).rejects.toMatchObject({
        type: 'tenant_sealed',
        detail: 'customer_kms does not open master key version 1: access_denied (key: AccessDeniedException)',
      });
      rig.emulator.state.mayDecrypt = true;
      expect(await kms.open(place, envelope)).toEqual(plaintext);
    });

    it('wraps anew at the start what the root key wraps, and leaves envelopes alone', async () => {
      const before = kmsWith(null);
      const tenants = Array.from(
        { length: 130 },
        (_, index) => `bbbbbbbb-0000-4000-8000-${String(index).padStart(12, '0')}` as TenantId,
      );
      for (const tenantId of [TENANT, ...tenants]) await addTenant(before, tenantId);
      const envelope = await before.seal(place, plaintext);
      const kms = kmsWith(rig.emulator.key);
      expect(await kms.useOperatorKms()).toEqual({
        wrappedBy: 'operator_kms',
        rewrapped: 131,
        unreadable: [],
        failure: null,
      });
      expect(await store.hasKeysWrapped('global')).toBe(false);
      expect(await kms.open(place, envelope)).toEqual(plaintext);
      forgetCalls();
      expect(await kmsWith(rig.emulator.key).useOperatorKms()).toMatchObject({ rewrapped: 0 });
      expect(keyCalls()).toEqual(['encrypt', 'decrypt']);
    });

    it('can be another key of the operator later', async () => {
      const former = kmsWith(rig.emulator.key);
      await addTenant(former, TENANT);
      const envelope = await former.seal(place, plaintext);
      const kms = kmsWith(rig.emulator.otherKey);
      expect(await kms.useOperatorKms()).toEqual({
        wrappedBy: 'operator_kms',
        rewrapped: 1,
        unreadable: [],
        failure: null,
      });
      expect((await store.findKey(TENANT, 1))?.kmsKey).toBe(cloudKeyText(rig.emulator.otherKey));
      expect(await kms.open(place, envelope)).toEqual(plaintext);
    });

    it('that does not work from the first is refused, and nothing is wrapped by it', async () => {
      await addTenant(kmsWith(null), TENANT);
      for (const fault of ['mayEncrypt', 'mayDecrypt', 'isEnabled', 'isTrusted'] as const) {
        rig.emulator.state[fault] = false;
        const start = kmsWith(rig.emulator.key).useOperatorKms();
        await expect(start, fault).rejects.toThrow(OperatorKmsRefused);
        await expect(start, fault).rejects.toThrow(
          /^KNOX_KMS_OPERATOR_KEY_REF: .*(access_denied|key_unusable)/,
        );
        expect((await store.findKey(TENANT, 1))?.wrapMethod, fault).toBe('global');
        rig.emulator.state[fault] = true;
      }
    });

    it('that is away for a while does not stop the start, and its tenants are sealed', async () => {
      const kms = kmsWith(rig.emulator.key);
      await addTenant(kms, TENANT);
      const envelope = await kms.seal(place, plaintext);
      rig.emulator.state.answers = 'failing';
      const restarted = kmsWith(rig.emulator.key);
      expect(await restarted.useOperatorKms()).toMatchObject({
        rewrapped: 0,
        failure: { reason: 'unreachable' },
      });
      await expect(restarted.open(place, envelope)).rejects.toMatchObject({
        type: 'tenant_sealed',
        retryAfterSeconds: 30,
      });
      await expect(restarted.rotate(TENANT)).rejects.toMatchObject({ type: 'tenant_sealed' });
      rig.emulator.state.answers = 'as_asked';
      expect(await restarted.open(place, envelope)).toEqual(plaintext);
    });

    it('can be given up: the root key takes over, and is asked for nothing more', async () => {
      const kms = kmsWith(rig.emulator.key);
      const others = Array.from(
        { length: 12 },
        (_, index) => `bbbbbbbb-0000-4000-8000-${String(index).padStart(12, '0')}` as TenantId,
      );
      for (const tenantId of [TENANT, ...others]) await addTenant(kms, tenantId);
      const envelope = await kms.seal(place, plaintext);
      await kms.rotate(TENANT);
      const back = kmsWith('given_up');
      expect(await back.useOperatorKms()).toEqual({
        wrappedBy: 'global',
        rewrapped: 14,
        unreadable: [],
        failure: null,
      });
      expect(await store.hasKeysWrapped('operator_kms')).toBe(false);
      expect(await store.findKey(TENANT, 1)).toMatchObject({ wrapMethod: 'global', kmsKey: null });
      forgetCalls();
      expect(await kmsWith('given_up').useOperatorKms()).toBeNull();
      expect(await kmsWith(null).useOperatorKms()).toBeNull();
      expect(await kmsWith(null).open(place, envelope)).toEqual(plaintext);
      await addTenant(kmsWith('given_up'), 'cccccccc-0000-4000-8000-000000000001' as TenantId);
      expect(keyCalls()).toEqual([]);
    });

    it('that is given up while it does not answer keeps what it has wrapped, until a start that finds it there', async () => {
      const kms = kmsWith(rig.emulator.key);
      await addTenant(kms, TENANT);
      const envelope = await kms.seal(place, plaintext);
      rig.emulator.state.answers = 'failing';
      expect(await kmsWith('given_up').useOperatorKms()).toMatchObject({
        rewrapped: 0,
        unreadable: [`master key 1 of tenant ${TENANT}`],
      });
      rig.emulator.state.answers = 'as_asked';
      expect(await kmsWith('given_up').open(place, envelope)).toEqual(plaintext);
      expect(await kmsWith('given_up').useOperatorKms()).toMatchObject({ rewrapped: 1, unreadable: [] });
    });

    it('that is given up stores nothing once another process has changed the root key', async () => {
      await addTenant(kmsWith(rig.emulator.key), TENANT);
      const stale = kmsWith('given_up');
      await stale.checkRootKey();
      await kmsWith('given_up', 2).changeRootKey(new Secret(Buffer.alloc(32, 1)));
      await expect(stale.useOperatorKms()).rejects.toThrow(RootKeyMismatch);
      expect((await store.findKey(TENANT, 1))?.wrapMethod).toBe('operator_kms');
    });

    it('cannot be left out once it has wrapped', async () => {
      await addTenant(kmsWith(rig.emulator.key), TENANT);
      await expect(kmsWith(null).useOperatorKms()).rejects.toThrow(
        /^KNOX_KMS_OPERATOR_PROVIDER: .* KNOX_KMS_OPERATOR_PROVIDER=none /,
      );
    });

    it("does not open one tenant's key for another", async () => {
      const kms = kmsWith(rig.emulator.key);
      const other = 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId;
      await addTenant(kms, TENANT);
      await addTenant(kms, other);
      const moved = (await store.findKey(TENANT, 1))!;
      const [, theirs] = await store.listWrappedMasterKeys(
        ['operator_kms'],
        { tenantId: '' as TenantId, version: 0 },
        2,
      );
      await db.transaction((tx) =>
        store.rewrapMasterKey(tx, theirs!, { ...theirs!, wrapped: moved.wrapped! }),
      );
      await expect(kms.seal({ ...place, tenantId: other }, plaintext)).rejects.toMatchObject({
        type: 'tenant_sealed',
        detail: expect.stringContaining('bad_ciphertext'),
      });
    });
  });
});

describe('a key of Azure', () => {
  beforeEach(async () => {
    await begin(openTestSqlite);
    rig = await startCloudRig(startAzureEmulator);
  });

  it('is opened by the version that wrapped it after a rotation there', async () => {
    const kms = kmsWith(rig.emulator.key);
    await addTenant(kms, TENANT);
    const envelope = await kms.seal(place, plaintext);
    (rig.emulator as AzureEmulator).rotate();
    expect(await kmsWith(rig.emulator.key).open(place, envelope)).toEqual(plaintext);
  });

  it('says that the variable of its secret is not set', async () => {
    (rig.emulator as AzureEmulator).variables.clear();
    await expect(kmsWith(rig.emulator.key).useOperatorKms()).rejects.toThrow('secret_variable_not_set');
  });
});
