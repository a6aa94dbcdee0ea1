import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createGenerations } from '../../platform/cache/generations.js';
import { forEachDatabase, type OpenTestDatabase, type TestDatabase } from '../../testing/databases.js';
import { createVaultHarness, holding, type VaultHarness } from '../../testing/vault-harness.js';
import { createCryptoKeys, cryptoKeyTables } from '../crypto-keys/index.js';
import { createVaults } from './index.js';

const CANARY = 'canary-51c0de-value';
const SETTLED_MS = 1_000;

forEachDatabase((name, open) => {
  describe('key versions of vaults', () => {
    let db: TestDatabase;
    let harness: VaultHarness;
    let key: string;
    const opening: OpenTestDatabase = async (...args) => {
      db = await open(...args);
      return db;
    };
    beforeEach(async () => {
      harness = await createVaultHarness(opening);
      key = await createVault('cards');
    });
    afterEach(() => harness.close());

    const call = (method: string, path: string, body?: unknown, as = harness.tenant.live) =>
      harness.call(method, path, { key: as, ...(body === undefined ? {} : { body }) });
    async function createVault(name: string): Promise<string> {
      const { status, json } = await call('POST', '/v1/vaults', { name });
      expect(status).toBe(201);
      return `/v1/crypto/keys/${json['data'].crypto_key_id}`;
    }
    async function tokenize(value = CANARY): Promise<string> {
      return (await call('POST', '/v1/vaults/cards/tokens', { value })).json['data'].token;
    }
    const detokenize = (token: string) => call('GET', `/v1/vaults/cards/tokens/${token}`);
    const rotate = (path = '/v1/vaults/cards/rotate') => call('POST', path, {});
    const allow = (deletion_allowed = true) => call('PATCH', key, { deletion_allowed });
    const destroy = (version: number) => call('DELETE', `${key}/versions/${version}`);
    async function rotateAndSettle(): Promise<void> {
      expect((await rotate()).status).toBe(200);
      await harness.advance(SETTLED_MS);
    }
    /** A further process on the same database: with caches of its own that it keeps up to date. */
    async function anotherProcess() {
      const generations = createGenerations(harness);
      await generations.start();
      const cryptoKeys = createCryptoKeys({ ...harness, generations, tenantKeys: harness.kms });
      return { generations, vaults: createVaults({ ...harness, generations, cryptoKeys }) };
    }

    it('encrypts new tokens under a new version, and former ones still open', async () => {
      const before = await tokenize('before');
      expect(await rotate()).toMatchObject({ status: 200, json: { data: { new_version: 2 } } });
      const after = await tokenize('after');
      expect((await detokenize(before)).json['data']).toMatchObject({
        value: 'before',
        crypto_key_version: 1,
      });
      expect((await detokenize(after)).json['data']).toMatchObject({ value: 'after', crypto_key_version: 2 });
      const [entry] = (await call('GET', '/v1/audit-logs?action=vault.rotate')).json['data'];
      expect(entry).toMatchObject({ resource_type: 'vault', details: { vault: 'cards', new_version: 2 } });
    });

    it('gives rotations at once distinct versions', async () => {
      const answers = await Promise.all(Array.from({ length: 5 }, () => rotate()));
      expect(answers.map(({ json }) => json['data'].new_version).sort()).toEqual([2, 3, 4, 5, 6]);
      const token = await tokenize();
      expect((await detokenize(token)).json['data'].crypto_key_version).toBe(6);
    });

    it('is learned of by other processes', async () => {
      const live = harness.callerOf(harness.tenant, 'live');
      const { vaults, generations } = await anotherProcess();
      const keyVersion = async () => {
        const { token } = await vaults.tokenize(live, 'cards', holding(CANARY));
        return (await vaults.detokenize(live, 'cards', token)).keyVersion;
      };
      expect(await keyVersion()).toBe(1);
      await rotate();
      expect(await generations.refresh()).toBe(true);
      expect(await keyVersion()).toBe(2);
      await generations.stop();
    });

    it('rotates and destroys for nobody else, and not what is not there', async () => {
      await rotateAndSettle();
      const missing = { status: 404, json: { error: { type: 'not_found' } } };
      for (const as of [harness.tenant.test, harness.other.live]) {
        expect(await call('POST', '/v1/vaults/cards/rotate', {}, as)).toMatchObject(missing);
        expect(await call('PATCH', key, { deletion_allowed: true }, as)).toMatchObject(missing);
        expect(await call('DELETE', `${key}/versions/1`, undefined, as)).toMatchObject(missing);
      }
      await allow();
      expect(await destroy(9)).toMatchObject(missing);
      expect(await call('DELETE', '/v1/crypto/keys/cards/versions/1')).toMatchObject(missing);
      expect(await call('POST', '/v1/vaults/none/rotate', {})).toMatchObject(missing);
    });

    it('refuses what is no version, and changes that are none', async () => {
      const refused = { status: 400, json: { error: { type: 'validation_error' } } };
      for (const version of ['0', '01', 'x', '-1', '1.5', '9999999999']) {
        const answer = await call('DELETE', `${key}/versions/${version}`);
        expect(answer, version).toMatchObject(refused);
        expect(answer.json['fields'], version).toHaveProperty('n');
      }
      for (const body of [{}, { deletion_allowed: 'yes' }, { deletion_allowed: true, name: 'x' }])
        expect(await call('PATCH', key, body), JSON.stringify(body)).toMatchObject(refused);
    });

    it('destroys only when the latch is up, and never the active version', async () => {
      await rotateAndSettle();
      const token = await tokenize();
      expect(await destroy(1)).toMatchObject({
        status: 409,
        json: { error: { type: 'deletion_not_allowed' } },
      });
      const id = key.split('/').at(-1);
      expect((await allow()).json['data']).toEqual({ name: id, deletion_allowed: true });
      expect(await destroy(2)).toMatchObject({ status: 409, json: { error: { type: 'version_active' } } });
      expect((await detokenize(token)).status).toBe(200);
      expect(await destroy(1)).toMatchObject({ status: 200, json: { data: { destroyed: 1 } } });
      await allow(false);
      expect(await destroy(1)).toMatchObject({ status: 200, json: { data: { destroyed: 1 } } });
      const entries = (await call('GET', '/v1/audit-logs?action=crypto.destroy')).json['data'];
      expect(entries).toMatchObject([
        { resource_type: 'crypto_key', resource_id: id, details: { version: 1 } },
      ]);
    });

    it('makes its tokens unreadable: 410 here, 404 through the proxy, in every process at once', async () => {
      const live = harness.callerOf(harness.tenant, 'live');
      const erased = await tokenize();
      await rotateAndSettle();
      const kept = await tokenize('kept');
      const { vaults, generations } = await anotherProcess();
      expect((await vaults.detokenize(live, 'cards', erased)).value.reveal()).toBe(CANARY);
      await allow();
      await destroy(1);
      expect(await detokenize(erased)).toMatchObject({
        status: 410,
        json: { error: { type: 'token_erased' } },
      });
      const forProxy = harness.vaults.detokenizeForProxy(live, [{ vault: 'cards', token: erased }]);
      await expect(forProxy).rejects.toMatchObject({ type: 'token_not_found' });
      const check = harness.vaults.checkForProxy(live, [{ vault: 'cards', token: erased }]);
      await expect(check).rejects.toMatchObject({ type: 'token_not_found' });
      expect(await generations.refresh()).toBe(true);
      await expect(vaults.detokenize(live, 'cards', erased)).rejects.toMatchObject({ type: 'token_erased' });
      expect((await detokenize(kept)).json['data'].value).toBe('kept');
      // The row remains, and can be listed and deleted.
      expect((await call('GET', '/v1/vaults/cards/tokens')).json['meta'].total).toBe(2);
      expect((await call('DELETE', `/v1/vaults/cards/tokens/${erased}`)).status).toBe(200);
      await generations.stop();
    });

    it('zeroes the opened key in a process that nobody asks for it', async () => {
      const live = harness.callerOf(harness.tenant, 'live');
      await tokenize();
      await rotateAndSettle();
      const generations = createGenerations(harness);
      await generations.start();
      const cryptoKeys = createCryptoKeys({ ...harness, generations, tenantKeys: harness.kms });
      const { scope } = live.principal;
      const { id } = (await cryptoKeys.find(scope, key.split('/').at(-1) ?? ''))!;
      const lent = await cryptoKeys.use(scope, id, 1, (opened) => opened);
      expect(lent.equals(Buffer.alloc(32))).toBe(false);
      await allow();
      await destroy(1);
      await generations.refresh();
      await new Promise<void>((resolve) => setImmediate(resolve));
      expect(lent).toEqual(Buffer.alloc(32));
      await generations.stop();
    });

    it('waits with a version that was active a moment ago: another process may be using it', async () => {
      await allow();
      await rotate();
      let isDone = false;
      const destroying = destroy(1).then((answer) => {
        isDone = true;
        return answer;
      });
      await harness.advance(SETTLED_MS - 1);
      expect(isDone).toBe(false);
      await harness.advance(1);
      expect((await destroying).status).toBe(200);
    });

    it('is for who may', async () => {
      const { json } = await call('POST', '/v1/api-keys', {
        name: 'narrow',
        grants: [{ permission: 'vaults:read' }, { permission: 'crypto:read' }],
      });
      const narrow = json['data'].api_key as string;
      for (const [method, path, body, permission] of [
        ['POST', '/v1/vaults/cards/rotate', {}, 'vaults:write'],
        ['PATCH', key, { deletion_allowed: true }, 'crypto:write'],
        ['DELETE', `${key}/versions/1`, undefined, 'crypto:destroy'],
      ] as const) {
        const answer = await harness.call(method, path, { key: narrow, ...(body && { body }) });
        expect(answer).toMatchObject({ status: 403, json: { error: { type: 'forbidden' } } });
        expect(answer.json['error'].message).toContain(permission);
        expect((await harness.call(method, path, { ...(body && { body }) })).status).toBe(401);
      }
    });

    it.runIf(name === 'sqlite')('leaves the wrapped key in no file of the data directory', async () => {
      const token = await tokenize();
      await rotateAndSettle();
      // So that pages split and rows move while the key still stands among them.
      for (let i = 0; i < 60; i += 1) await rotate();
      await harness.advance(SETTLED_MS);
      const envelopes = async () =>
        (
          await db
            .view(cryptoKeyTables)
            .scoped({ tenantId: harness.tenant.id, sandbox: false })
            .selectFrom('crypto_key_versions')
            .select(['version', 'key_envelope'])
            .execute()
        ).sort((a, b) => a.version - b.version);
      const before = await envelopes();
      const wrapped = before[0]!.key_envelope;
      const holds = (bytes: Buffer) => {
        const dir = dirname((db.storage as { path: string }).path);
        return readdirSync(dir).filter((file) => readFileSync(join(dir, file)).includes(bytes));
      };
      // Behind the header, which all envelopes share.
      const secretPart = wrapped.subarray(9);
      expect(holds(secretPart)).not.toEqual([]);
      await allow();
      expect((await destroy(1)).status).toBe(200);
      expect(holds(secretPart)).toEqual([]);
      for (let at = 9; at + 12 <= wrapped.length; at += 1)
        expect(holds(wrapped.subarray(at, at + 12))).toEqual([]);
      const after = await envelopes();
      expect(after[0]!.key_envelope).toEqual(Buffer.alloc(wrapped.length));
      expect(after.slice(1)).toEqual(before.slice(1));
      // With the root key and the files as they are: the ciphertext is there, and no key for it.
      const { vaults, generations } = await anotherProcess();
      const live = harness.callerOf(harness.tenant, 'live');
      await expect(vaults.detokenize(live, 'cards', token)).rejects.toMatchObject({ type: 'token_erased' });
      await generations.stop();
    });
  });
});
