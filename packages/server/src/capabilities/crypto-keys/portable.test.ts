import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Mode } from '../../kernel/ids.js';
import { forEachDatabase } from '../../testing/databases.js';
import type { TestTenant } from '../../testing/tenants.js';
import { createVaultHarness, restricted, type VaultHarness } from '../../testing/vault-harness.js';
import { createPortableCipher, type PortableCipher, parsePortable, sealPortable } from './index.js';

const FAILED = { type: 'decryption_failed', status: 400 };

forEachDatabase((_name, open) => {
  describe('portable cipher', () => {
    let harness: VaultHarness;
    let portable: PortableCipher;
    beforeEach(async () => {
      harness = await createVaultHarness(open);
      portable = createPortableCipher(harness);
    });
    afterEach(() => harness.close());

    const callerOf = (tenant: TestTenant = harness.tenant, mode: Mode = 'live') =>
      harness.callerOf(tenant, mode);
    const seal = async (text: string) => (await portable.sealForProxy(callerOf(), [text]))[0]!.reveal();
    const opening = (text: string, caller = callerOf()) =>
      portable.openForProxy(caller, [parsePortable(text)!]);
    const opened = async (text: string) => (await opening(text))[0]!.reveal();
    const defaultKey = async () => (await harness.cryptoKeys.find(callerOf().principal.scope, 'kc-default'))!;
    const entries = async (action: string) =>
      (await harness.call('GET', `/v1/audit-logs?action=${action}`, { key: harness.tenant.live })).json[
        'data'
      ];

    it('opens what it has sealed, and audits both with the key and never the text', async () => {
      const sealed = await seal('{"canary":"ż"}');
      expect(sealed).toMatch(/^kc:1:j:/);
      expect(sealed).not.toContain('canary');
      expect(await opened(sealed)).toBe('{"canary":"ż"}');
      for (const action of ['crypto.encrypt', 'crypto.decrypt']) {
        const [entry, ...more] = await entries(action);
        expect(more).toEqual([]);
        expect(entry).toMatchObject({
          resource_type: 'crypto_key',
          resource_id: (await defaultKey()).id,
          details: { key: 'kc-default', version: 1, via: 'ephemeral_proxy' },
        });
        expect(JSON.stringify(entry)).not.toContain('canary');
      }
    });

    it('makes one key of several first uses', async () => {
      const sealed = await Promise.all(Array.from({ length: 5 }, (_, i) => seal(`${i}`)));
      expect(new Set(sealed.map((text) => parsePortable(text)?.keyRef.keyId)).size).toBe(1);
      expect(await Promise.all(sealed.map(opened))).toEqual(['0', '1', '2', '3', '4']);
    });

    it('is checked without opening, and without an audit row', async () => {
      const portables = [parsePortable(await seal('1'))!];
      expect(await portable.checkForProxy(callerOf(), portables)).toBeUndefined();
      for (const caller of [callerOf(harness.other), callerOf(harness.tenant, 'test')]) {
        await expect(portable.checkForProxy(caller, portables)).rejects.toMatchObject(FAILED);
      }
      const restrictedCaller = restricted(callerOf(), (permission) => permission !== 'crypto:decrypt');
      await expect(portable.checkForProxy(restrictedCaller, portables)).rejects.toMatchObject({
        type: 'forbidden',
      });
      expect(await entries('crypto.decrypt')).toEqual([]);
    });

    it('needs crypto:decrypt', async () => {
      const sealed = await seal('1');
      const caller = restricted(callerOf(), (permission) => permission !== 'crypto:decrypt');
      await expect(opening(sealed, caller)).rejects.toMatchObject({ type: 'forbidden' });
      expect(await entries('crypto.decrypt')).toEqual([]);
    });

    it('opens nothing of another tenant or mode, of an unknown version, or that was changed', async () => {
      const sealed = await seal('1');
      await expect(opening(sealed, callerOf(harness.other))).rejects.toMatchObject(FAILED);
      await expect(opening(sealed, callerOf(harness.tenant, 'test'))).rejects.toMatchObject(FAILED);
      const parts = sealed.split(':');
      const other = (await seal('2')).split(':');
      const with_ = (at: number, part: string) => parts.map((own, i) => (i === at ? part : own)).join(':');
      const { id } = await defaultKey();
      const ref = (text: string) => Buffer.from(text).toString('base64url');
      for (const changed of [
        with_(2, 's'),
        with_(3, ref(`${harness.tenant.id}:${id}:2`)),
        with_(3, ref(`${harness.tenant.id}:bbbbbbbb-0000-4000-8000-000000000001:1`)),
        with_(4, other[4]!),
        with_(5, other[5]!),
        with_(6, other[6]!),
      ])
        await expect(opening(changed)).rejects.toMatchObject(FAILED);
      expect(await entries('crypto.decrypt')).toEqual([]);
    });

    it('does not open what a vault has made: that is detokenize', async () => {
      const call = (path: string, body: object) =>
        harness.call('POST', path, { key: harness.tenant.live, body });
      await call('/v1/vaults', { name: 'held', custody_mode: 'dual' });
      const { json } = await call('/v1/vaults/held/tokens', { value: 'canary' });
      await expect(opening(json['data'].token)).rejects.toMatchObject(FAILED);
    });

    it('gives every datatype as JSON, and refuses a number that is none', async () => {
      await seal('1');
      const { id } = await defaultKey();
      const { scope } = callerOf().principal;
      const made = (datatype: 's' | 'n' | 'b' | 'j' | 'x', text: string) =>
        harness.cryptoKeys.use(scope, id, 1, (key) =>
          sealPortable(harness.random, key, {
            keyRef: { tenantId: scope.tenantId, keyId: id, version: 1 },
            datatype,
            plaintext: Buffer.from(text),
            role: '',
          }),
        );
      expect(await opened(await made('s', 'a"b'))).toBe('"a\\"b"');
      expect(await opened(await made('n', '0.10'))).toBe('0.10');
      expect(await opened(await made('b', 'true'))).toBe('true');
      expect(await opened(await made('x', 'ab'))).toBe('"YWI="');
      await expect(opening(await made('n', '1,"injected":2'))).rejects.toMatchObject(FAILED);
    });

    it('is 410 once the version is destroyed', async () => {
      const sealed = await seal('1');
      const { id } = await defaultKey();
      const prepared = await harness.cryptoKeys.prepareVersion(callerOf().principal.scope, id);
      await harness.db.transaction((tx) => harness.cryptoKeys.addVersion(tx, prepared));
      await harness.advance(1_000);
      const key = harness.tenant.live;
      await harness.call('PATCH', '/v1/crypto/keys/kc-default', { key, body: { deletion_allowed: true } });
      expect((await harness.call('DELETE', '/v1/crypto/keys/kc-default/versions/1', { key })).status).toBe(
        200,
      );
      const destroyed = { type: 'key_version_destroyed', status: 410 };
      await expect(opening(sealed)).rejects.toMatchObject(destroyed);
      const check = portable.checkForProxy(callerOf(), [parsePortable(sealed)!]);
      await expect(check).rejects.toMatchObject(destroyed);
      expect(parsePortable(await seal('2'))?.keyRef.version).toBe(2);
    });
  });
});
