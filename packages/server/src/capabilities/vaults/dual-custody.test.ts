import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forEachDatabase } from '../../testing/databases.js';
import { createVaultHarness, type VaultHarness } from '../../testing/vault-harness.js';
import { vaultTables } from './tables.js';

const CANARY = 'canary-d0a1 ż💳';
const MISSING = { status: 404, json: { error: { type: 'not_found' } } };

forEachDatabase((_name, open) => {
  describe('vaults of custody mode dual', () => {
    let harness: VaultHarness;
    let vault: Record<string, string>;
    beforeEach(async () => {
      harness = await createVaultHarness(open);
      vault = await create('held');
    });
    afterEach(() => harness.close());

    const call = (method: string, path: string, body?: unknown, as = harness.tenant.live) =>
      harness.call(method, path, { key: as, ...(body === undefined ? {} : { body }) });
    async function create(name: string, as = harness.tenant.live): Promise<Record<string, string>> {
      const { status, json } = await call('POST', '/v1/vaults', { name, custody_mode: 'dual' }, as);
      expect(status).toBe(201);
      return json['data'];
    }
    const tokenize = async (value = CANARY, name = 'held') =>
      (await call('POST', `/v1/vaults/${name}/tokens`, { value })).json['data'].token as string;
    const detokenize = (token: string, name = 'held', as = harness.tenant.live) =>
      call('GET', `/v1/vaults/${name}/tokens/${encodeURIComponent(token)}`, undefined, as);
    const forProxy = (token: string, vaultName: string | null = 'held') =>
      harness.vaults.detokenizeForProxy(harness.callerOf(harness.tenant, 'live'), [
        { vault: vaultName, token },
      ]);

    it('answers a ciphertext that stands for the value, and stores nothing', async () => {
      expect(vault).toMatchObject({ custody_mode: 'dual', name: 'held' });
      const { status, json } = await call('POST', '/v1/vaults/held/tokens', { value: CANARY });
      expect(status).toBe(201);
      const { token, id } = json['data'];
      expect(token).toMatch(/^kc:1:s:[\w-]+:[\w-]{87}:[\w-]{16}:[\w-]+:\$$/);
      expect(Buffer.from(token.split(':')[3], 'base64url').toString()).toBe(
        `${harness.tenant.id}:${vault['crypto_key_id']}:1`,
      );
      expect(await detokenize(token)).toMatchObject({
        status: 200,
        json: {
          data: { id, token, value: CANARY, created_at: null, metadata: null, crypto_key_version: 1 },
        },
      });
      const [value] = await forProxy(token);
      expect(value?.value.reveal()).toBe(CANARY);
      const [unqualified] = await forProxy(token, null);
      expect(unqualified?.value.reveal()).toBe(CANARY);
      const rows = await harness.db
        .view(vaultTables)
        .scoped({ tenantId: harness.tenant.id, sandbox: false })
        .selectFrom('vault_tokens')
        .select('id')
        .execute();
      expect(rows).toEqual([]);
      for (const action of ['vault.tokenize', 'vault.detokenize']) {
        const [entry] = (await call('GET', `/v1/audit-logs?action=${action}`)).json['data'];
        expect(entry).toMatchObject({ resource_id: vault['id'], details: { token_id: id } });
      }
      expect(await tokenize()).not.toBe(token);
    });

    it('is checked for a proxied call by what its ciphertext names, without opening it', async () => {
      const token = await tokenize();
      await create('elsewhere');
      const check = (text: string, vaultName: string | null) =>
        harness.vaults.checkForProxy(harness.callerOf(harness.tenant, 'live'), [
          { vault: vaultName, token: text },
        ]);
      for (const vaultName of ['held', null]) expect(await check(token, vaultName)).toHaveLength(1);
      const unknown = { type: 'token_not_found', status: 404 };
      await expect(check(token, 'elsewhere')).rejects.toMatchObject(unknown);
      await expect(check('tok_none', 'held')).rejects.toMatchObject(unknown);
      expect((await call('GET', '/v1/audit-logs?action=vault.detokenize')).json['data']).toEqual([]);
    });

    it('reads a value of some thousand bytes from the path, and every value for the proxy', async () => {
      const long = 'x'.repeat(8_000);
      expect((await detokenize(await tokenize(long))).json['data'].value).toBe(long);
      const longest = 'x'.repeat(65_536);
      const [value] = await forProxy(await tokenize(longest));
      expect(value?.value.reveal()).toBe(longest);
    });

    it('makes up to 100 at once, in their order, or none', async () => {
      const bulk = (values: object[]) => call('POST', '/v1/vaults/held/tokens/bulk', { values });
      const { json } = await bulk([{ value: 'a' }, { value: 'b' }]);
      const values = json['data'].tokens.map(
        async ({ token }: { token: string }) => (await detokenize(token)).json['data'].value,
      );
      expect(await Promise.all(values)).toEqual(['a', 'b']);
      expect(await bulk([{ value: 'a' }, { value: 'b', metadata: {} }])).toMatchObject({
        status: 400,
        json: { fields: { 'values[1].metadata': [expect.any(String)] } },
      });
    });

    it('is opened by its own vault, tenant and mode alone', async () => {
      const token = await tokenize();
      await create('second');
      await create('held', harness.tenant.test);
      await create('held', harness.other.live);
      expect(await detokenize(token, 'second')).toMatchObject(MISSING);
      expect(await detokenize(token, 'held', harness.tenant.test)).toMatchObject(MISSING);
      expect(await detokenize(token, 'held', harness.other.live)).toMatchObject(MISSING);
      await call('POST', '/v1/vaults', { name: 'managed' });
      expect(await detokenize(token, 'managed')).toMatchObject(MISSING);
      await expect(forProxy(token, 'second')).rejects.toMatchObject({ type: 'token_not_found' });
    });

    it('opens nothing that was changed', async () => {
      const token = await tokenize();
      const parts = token.split(':');
      const foreign = (await tokenize('other')).split(':');
      const changed = [
        ...[2, 4, 5, 6].map((at) =>
          parts.map((part, i) => (i === at ? (at === 2 ? 'j' : foreign[i]) : part)).join(':'),
        ),
        token.replace(
          parts[3]!,
          Buffer.from(`${harness.tenant.id}:${vault['crypto_key_id']}:2`).toString('base64url'),
        ),
        token.slice(0, -2),
        `${token}x`,
        'kc:1:s:',
        'tok_unknown',
      ];
      for (const one of changed) {
        expect(await detokenize(one)).toMatchObject(MISSING);
        await expect(forProxy(one)).rejects.toMatchObject({ type: 'token_not_found' });
      }
    });

    it('is erased by the key version alone', async () => {
      const erased = await tokenize();
      await call('POST', '/v1/vaults/held/rotate', {});
      await harness.advance(1_000);
      const kept = await tokenize('kept');
      const key = `/v1/crypto/keys/${vault['crypto_key_id']}`;
      await call('PATCH', key, { deletion_allowed: true });
      expect((await call('DELETE', `${key}/versions/1`)).status).toBe(200);
      expect(await detokenize(erased)).toMatchObject({
        status: 410,
        json: { error: { type: 'token_erased' } },
      });
      await expect(forProxy(erased)).rejects.toMatchObject({ type: 'token_not_found' });
      expect((await detokenize(kept)).json['data']).toMatchObject({ value: 'kept', crypto_key_version: 2 });
    });

    it('has no row to list, to delete or to keep metadata in', async () => {
      const token = await tokenize();
      expect((await call('GET', '/v1/vaults/held/tokens')).json).toMatchObject({
        data: [],
        meta: { total: 0 },
      });
      expect(await call('DELETE', `/v1/vaults/held/tokens/${encodeURIComponent(token)}`)).toMatchObject({
        status: 409,
        json: { error: { type: 'conflict' } },
      });
      expect(
        await call('PATCH', `/v1/vaults/held/tokens/${encodeURIComponent(token)}`, { metadata: {} }),
      ).toMatchObject({ status: 409, json: { error: { type: 'conflict' } } });
      for (const [field, more] of [
        ['ttl_seconds', { ttl_seconds: 60 }],
        ['card_exp_month', { card_exp_month: 1, card_exp_year: 2030 }],
      ] as const)
        expect(await call('POST', '/v1/vaults/held/tokens', { value: 'v', ...more })).toMatchObject({
          status: 400,
          json: { fields: { [field]: [expect.any(String)] } },
        });
      expect(await call('PATCH', '/v1/vaults/held', { default_ttl_seconds: 60 })).toMatchObject({
        status: 400,
        json: { fields: { default_ttl_seconds: [expect.any(String)] } },
      });
      const refused = await call('POST', '/v1/vaults/held/tokens', { value: 'v', metadata: { a: 1 } });
      expect(refused).toMatchObject({ status: 400, json: { fields: { metadata: [expect.any(String)] } } });
      expect((await call('DELETE', '/v1/vaults/held')).json['data']).toEqual({ deleted: true });
      expect(await detokenize(token)).toMatchObject(MISSING);
    });

    it('is refused while the vault is disabled, and to who may not', async () => {
      const token = await tokenize();
      await call('PATCH', '/v1/vaults/held', { enabled: false });
      for (const answer of [
        await detokenize(token),
        await call('POST', '/v1/vaults/held/tokens', { value: 'v' }),
      ])
        expect(answer).toMatchObject({ status: 409, json: { error: { type: 'vault_disabled' } } });
      await expect(forProxy(token, null)).rejects.toMatchObject({ type: 'vault_disabled' });
      await call('PATCH', '/v1/vaults/held', { enabled: true });
      const grants = [{ permission: 'vaults:detokenize', resource: 'elsewhere' }];
      const { json } = await call('POST', '/v1/api-keys', { name: 'narrow', grants });
      const path = `/v1/vaults/held/tokens/${encodeURIComponent(token)}`;
      expect(await harness.call('GET', path, { key: json['data'].api_key })).toMatchObject({ status: 403 });
    });

    it('cannot become another custody mode, and is none that is unknown', async () => {
      for (const [method, path, body] of [
        ['PATCH', '/v1/vaults/held', { custody_mode: 'managed' }],
        ['POST', '/v1/vaults', { name: 'v', custody_mode: 'customer' }],
      ] as const)
        expect(await call(method, path, body)).toMatchObject({
          status: 400,
          json: { fields: { custody_mode: [expect.any(String)] } },
        });
    });
  });
});
