import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { createSecretEnvironments } from './service.js';
import { createSecretStore, type SecretStore } from './store.js';
import { migrations } from './tables.js';
import type { StoredSecret } from './types.js';
import { createSecretValueStore, type SecretValueStore, type StoredValue } from './value-store.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };
const OTHERS: readonly Scope[] = [
  { ...LIVE, sandbox: true },
  { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false },
];
const uuid = (n: number) => `bbbbbbbb-0000-4000-8000-${String(n).padStart(12, '0')}`;

const secret = (n: number, more: Partial<StoredSecret> = {}): StoredSecret => ({
  id: uuid(n),
  scope: LIVE,
  name: `Name_${n}`,
  type: 'string',
  baseEnvironment: 'production',
  description: 'd',
  collectionId: uuid(99),
  expiresAtMs: 5,
  isExpiryStrict: true,
  allowedHosts: ['a.example.com', '*.example.org'],
  createdBy: 'who',
  createdAtMs: n,
  updatedAtMs: n,
  ...more,
});

const value = (n: number, environment: string, more: Partial<StoredValue> = {}): StoredValue => ({
  id: uuid(n),
  envelope: Buffer.from(`envelope ${n}`),
  environment,
  version: 1,
  expiresAtOverrideMs: null,
  certificate: null,
  createdAtMs: n,
  updatedAtMs: n,
  ...more,
});

export function describeSecretStore(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let store: SecretStore;
  let values: SecretValueStore;
  beforeEach(async () => {
    db = await open(migrations);
    store = createSecretStore(db);
    values = createSecretValueStore(db);
  });
  afterEach(() => db.cleanup());

  const add = (one: StoredSecret, ...its: StoredValue[]) =>
    db.transaction(async (tx) => {
      await store.insert(tx, one);
      for (const each of its) await values.insert(tx, one.scope, one.id, each);
    });
  const byName = (text: string, environment: string | null = null, scope = LIVE) =>
    values.inUse(scope, { by: 'name', text }, environment);

  describe('secrets', () => {
    it('come back as they were stored, in their tenant and mode alone', async () => {
      const stored = secret(1);
      const bare = secret(2, {
        description: null,
        collectionId: null,
        expiresAtMs: null,
        isExpiryStrict: false,
        allowedHosts: null,
        createdBy: null,
      });
      await add(stored);
      await add(bare);
      expect([await store.find(LIVE, stored.id), await store.find(LIVE, bare.id)]).toEqual([stored, bare]);
      for (const scope of OTHERS) {
        expect(await store.find(scope, stored.id)).toBeUndefined();
        expect(await store.findByName(scope, stored.name)).toBeUndefined();
        expect([await store.count(scope), await store.names(scope)]).toEqual([0, []]);
      }
    });

    it('have a name once in a tenant and mode, whatever its case', async () => {
      await add(secret(1, { name: 'Straße' }));
      const clash = expect.objectContaining({ type: 'conflict' });
      await expect(add(secret(2, { name: 'sTRAßE' }))).rejects.toEqual(clash);
      await add(secret(3));
      await expect(db.transaction((tx) => store.update(tx, secret(3, { name: 'STRAßE' })))).rejects.toEqual(
        clash,
      );
      for (const scope of OTHERS) await add(secret(2, { scope, name: 'Straße' }));
      expect((await store.findByName(LIVE, 'STRAßE'))?.id).toBe(uuid(1));
    });

    it('are listed by page and order, with how many environments they have', async () => {
      await add(secret(1), value(11, 'production'), value(12, 'staging'));
      await add(secret(2), value(13, 'production'));
      await add(secret(3));
      const page = { page: 1, perPage: 2, order: 'asc', sort: 'name' } as const;
      const rows = await store.list(LIVE, page);
      expect(rows.map(({ id, environmentCount }) => [id, environmentCount])).toEqual([
        [uuid(1), 2],
        [uuid(2), 1],
      ]);
      const last = await store.list(LIVE, { ...page, page: 2, sort: 'created_at' });
      expect(last.map(({ environmentCount }) => environmentCount)).toEqual([0]);
      for (const scope of OTHERS) expect(await store.list(scope, page)).toEqual([]);
    });

    it('change and go within their tenant and mode, with their values', async () => {
      await add(secret(1), value(11, 'production'));
      for (const scope of OTHERS) await add(secret(1, { scope }), value(11, 'production'));
      await db.transaction((tx) => store.update(tx, secret(1, { name: 'Next', allowedHosts: null })));
      expect(await store.find(LIVE, uuid(1))).toMatchObject({ name: 'Next', allowedHosts: null });
      await db.transaction((tx) => store.delete(tx, LIVE, uuid(1)));
      expect([await store.count(LIVE), await byName('Next')]).toEqual([0, undefined]);
      for (const scope of OTHERS) {
        expect((await store.find(scope, uuid(1)))?.name).toBe('Name_1');
        expect((await byName('Name_1', null, scope))?.value?.id).toBe(uuid(11));
      }
    });
  });

  describe('values', () => {
    const leaf = {
      subject: 'CN=a',
      issuer: 'CN=b',
      serialNumber: '01',
      sha256Fingerprint: 'f'.repeat(64),
      notBeforeMs: 1,
      notAfterMs: 2,
    };

    it('are those of the environment, else of the base', async () => {
      const one = secret(1);
      const certificate = { leaf, hasPrivateKey: true, certificates: 2 };
      const ofBase = value(11, 'production', { certificate });
      const ofStaging = value(12, 'staging', { version: 4, expiresAtOverrideMs: 7 });
      await add(one, ofBase, ofStaging);
      expect(await byName('name_1')).toEqual({ secret: one, value: ofBase });
      expect(await byName('NAME 1', 'staging')).toEqual({ secret: one, value: ofStaging });
      expect(await byName('name_1', 'elsewhere')).toEqual({ secret: one, value: ofBase });
      const byId = await values.inUse(LIVE, { by: 'id', text: one.id.toUpperCase() }, 'staging');
      expect(byId).toEqual({ secret: one, value: ofStaging });
      for (const scope of OTHERS) {
        expect(await byName('name_1', null, scope)).toBeUndefined();
        expect(await values.heads(scope, one.id)).toEqual([]);
      }
    });

    it('are none of a secret that keeps them elsewhere', async () => {
      await add(secret(1, { type: 'oauth2' }));
      expect(await byName('name_1', 'staging')).toMatchObject({ value: null, secret: { type: 'oauth2' } });
    });

    it('are replaced in place, under an id of their own', async () => {
      await add(secret(1), value(11, 'production'), value(12, 'staging'));
      const next = value(13, 'production', { version: 2, createdAtMs: 11, updatedAtMs: 20 });
      await db.transaction((tx) => values.replace(tx, LIVE, uuid(1), next));
      expect((await byName('name_1'))?.value).toEqual(next);
      expect(
        (await values.heads(LIVE, uuid(1))).map(({ environment, version }) => [environment, version]),
      ).toEqual([
        ['production', 2],
        ['staging', 1],
      ]);
    });

    it('follow the name of their environment, and end with it', async () => {
      await add(secret(1), value(11, 'production'), value(12, 'staging'));
      for (const scope of OTHERS)
        await add(secret(1, { scope }), value(11, 'production'), value(12, 'staging'));
      const holder = createSecretEnvironments(db, { bump: async () => {} });
      expect(await db.transaction((tx) => holder.neededBy(tx, LIVE, 'production'))).toBe('a secret');
      expect(await db.transaction((tx) => holder.neededBy(tx, LIVE, 'staging'))).toBeNull();
      await db.transaction(async (tx) => {
        await holder.rename(tx, LIVE, 'production', 'main');
        await holder.rename(tx, LIVE, 'staging', 'next');
      });
      expect((await store.find(LIVE, uuid(1)))?.baseEnvironment).toBe('main');
      expect((await byName('name_1', 'next'))?.value?.id).toBe(uuid(12));
      expect(await db.transaction((tx) => holder.remove(tx, LIVE, 'next'))).toEqual({
        secret_values_deleted: 1,
      });
      expect((await byName('name_1', 'next'))?.value?.id).toBe(uuid(11));
      for (const scope of OTHERS)
        expect((await byName('name_1', 'staging', scope))?.value?.id).toBe(uuid(12));
    });
  });
}
