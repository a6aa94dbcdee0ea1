import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrations as accountMigrations } from '../../packages/server/src/capabilities/accounts/index.js';
import {
  createKms,
  migrations,
  OperatorKmsRefused,
} from '../../packages/server/src/capabilities/kms/index.js';
import { kmsProviderContract } from '../../packages/server/src/capabilities/kms/providers/contract.js';
import type { TenantId } from '../../packages/server/src/kernel/ids.js';
import { Secret } from '../../packages/server/src/kernel/secret.js';
import {
  createGenerations,
  migrations as generationMigrations,
} from '../../packages/server/src/platform/cache/generations.js';
import { systemRandom } from '../../packages/server/src/platform/crypto/random.js';
import { type CloudRig, startCloudRig } from '../../packages/server/src/testing/cloud-kms/rig.js';
import { openTestSqlite } from '../../packages/server/src/testing/databases.js';
import { MOTO_ACCOUNT, type Moto, startMoto } from './moto.js';

let rig: CloudRig<Moto>;
let moto: Moto;
const providerOf = (key: Moto['key']) => rig.providers(key, 'customer_kms');

beforeAll(async () => {
  rig = await startCloudRig((ca) => startMoto(process.env['TEST_INTEROP_PYTHON']!, ca));
  moto = rig.emulator;
});
afterAll(() => rig?.close());

describe('AWS as moto serves it', () => {
  kmsProviderContract(
    () => providerOf(moto.key),
    () => providerOf(moto.otherKey),
  );

  it('finds the account of its own identity', async () => {
    expect(await rig.clouds.ownIdentity('aws')).toBe(MOTO_ACCOUNT);
  });

  it('opens by the key what was wrapped by its alias', async () => {
    const context = { tenantId: 'b4f9a6be-7d0c-4f8e-9d3c-0a3f4a0e6c11', version: 1 } as never;
    const wrapped = await providerOf(moto.aliasKey).wrap(Buffer.alloc(32, 7), context);
    expect(await providerOf(moto.key).unwrap(wrapped, context)).toEqual(Buffer.alloc(32, 7));
  });

  it('takes a key that is not there for one that is not usable', async () => {
    const keyRef = moto.key.keyRef.replace(/key\/.*$/, 'key/00000000-0000-4000-8000-000000000000');
    await expect(providerOf(moto.keyOf({ keyRef })).probe()).rejects.toMatchObject({
      reason: 'key_unusable',
      stage: 'key',
      code: 'NotFoundException',
    });
  });

  describe('with IAM', () => {
    let encryptOnly: Moto['key'];
    let decryptOnly: Moto['key'];
    let openRole: Moto['key'];

    beforeAll(async () => {
      encryptOnly = moto.keyOf({ roleArn: await moto.role('encrypt-only', ['kms:Encrypt']) });
      decryptOnly = moto.keyOf({ roleArn: await moto.role('decrypt-only', ['kms:Decrypt']) });
      const acts = ['kms:Encrypt', 'kms:Decrypt'];
      openRole = moto.keyOf({ roleArn: await moto.role('open', acts, false) });
      await moto.enforce();
    });

    it('signs as the server, then as the role, and is let at the key', async () => {
      await expect(providerOf(moto.key).probe()).resolves.toBeUndefined();
    });

    // moto does not miss an external id that is left out, so only the role that asks for none can be told by it.
    it('is let without an external id at a role that does not ask for it', async () => {
      expect(await rig.clouds.mayAssumeWithoutExternalId(openRole)).toBe(true);
    });

    it('is told that the external id is wrong by nothing but a refusal', async () => {
      const { config } = moto.key;
      const key = { ...moto.key, config: { ...config, externalId: 'of-somebody-else' } };
      await expect(providerOf(key).probe()).rejects.toMatchObject({
        reason: 'access_denied',
        stage: 'identity',
      });
    });

    it('takes the master keys of a tenant over from the root key, and opens them in another process', async () => {
      const db = await openTestSqlite([...generationMigrations, ...accountMigrations, ...migrations]);
      const tenantId = 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId;
      const place = {
        tenantId,
        mode: 'live',
        table: 'secrets',
        rowId: 'row-1',
        column: 'value_envelope',
      } as const;
      const kmsWith = (operatorKey: Moto['key'] | null) =>
        createKms({
          db,
          clock: rig.clock,
          random: systemRandom,
          generations: createGenerations({ db, clock: rig.clock }),
          outbox: { publish: () => Promise.reject(new Error('nothing is published')) },
          logger: { info() {}, warn() {} },
          rootKey: new Secret(Buffer.alloc(32, 1)),
          cloudProviders: rig.providers,
          operatorKey,
          envelopeColumns: [{ table: 'secrets', idColumn: 'id', column: 'value_envelope', mode: 'row' }],
        });
      try {
        const before = kmsWith(null);
        const prepared = await before.prepare(tenantId);
        await db.transaction((tx) => before.createFor(tx, tenantId, prepared));
        const envelope = await before.seal(place, Buffer.from('a very secret thing'));
        await expect(kmsWith(encryptOnly).useOperatorKms()).rejects.toThrow(OperatorKmsRefused);
        expect(await kmsWith(moto.key).useOperatorKms()).toMatchObject({ rewrapped: 1, failure: null });
        expect((await kmsWith(moto.key).open(place, envelope)).toString()).toBe('a very secret thing');
      } finally {
        await db.cleanup();
      }
    });

    it.each([
      ['encrypt', () => encryptOnly],
      ['decrypt', () => decryptOnly],
    ])('fails its probe where the role may only %s', async (_act, key) => {
      await expect(providerOf(key()).probe()).rejects.toMatchObject({
        reason: 'access_denied',
        stage: 'key',
        // moto says this one in XML, which is not KMS's way.
        code: 'http_403',
      });
    });
  });
});
