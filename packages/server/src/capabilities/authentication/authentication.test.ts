import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { createGenerations } from '../../platform/cache/generations.js';
import type { Transaction } from '../../platform/storage/database.js';
import type { TestCall } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { credentialGeneration, type SubscriptionStatus, systemActor } from '../accounts/index.js';
import type { TokenSource } from '../oauth/index.js';
import { rolesTables } from '../permissions/tables.js';
import { createAuthentication } from './index.js';

let harness: Harness;
beforeAll(async () => {
  harness = await createHarness();
});
afterAll(() => harness.close());

async function outcome(call: TestCall): Promise<[number, unknown]> {
  const answer = await harness.call('GET', '/v1/api-keys', call);
  return [answer.status, answer.json['error']?.['type']];
}

function setStatus(id: TenantId, subscriptionStatus: SubscriptionStatus) {
  return harness.db.transaction((tx) => harness.accounts.changeTenant(tx, id, { subscriptionStatus }));
}

const liveKey = () => harness.tenant.live.apiKey;
const testKey = () => harness.tenant.test.apiKey;

describe('200', () => {
  it.each([
    ['Bearer', () => ({ authorization: `Bearer ${liveKey()}` })],
    ['bEARER and spaces', () => ({ authorization: `bEARER   ${liveKey()} ` })],
    ['x-api-key', () => ({ 'x-api-key': liveKey() })],
    ['the same key twice', () => ({ authorization: `Bearer ${liveKey()}`, 'x-api-key': liveKey() })],
    ['a foreign scheme beside x-api-key', () => ({ authorization: 'Basic abc', 'x-api-key': liveKey() })],
  ])('%s', async (_, headers) => {
    expect(await outcome({ headers: headers() })).toEqual([200, undefined]);
  });

  it.each([
    ['live key on the live host', 'api.localhost', liveKey],
    ['test key on the sandbox host', 'sandbox.localhost', testKey],
    ['live key on its tenant host', 'acme.localhost', liveKey],
    ['test key on its sandbox tenant host', 'Sandbox-Acme.localhost:8787', testKey],
    ['live key on a plain address', '127.0.0.1', liveKey],
    ['test key on a plain address', 'localhost', testKey],
  ])('%s', async (_, host, key) => {
    expect(await outcome({ key: key(), host })).toEqual([200, undefined]);
  });
});

describe('400', () => {
  it('two different credentials', async () => {
    const headers = { authorization: `Bearer ${liveKey()}`, 'x-api-key': testKey() };
    expect(await outcome({ headers })).toEqual([400, 'validation_error']);
  });
});

describe('401', () => {
  it.each([
    ['nothing', {}],
    ['an empty Bearer', { authorization: 'Bearer' }],
    ['an empty x-api-key', { 'x-api-key': '' }],
    ['Basic only', { authorization: 'Basic abc' }],
  ])('%s is authentication_required', async (_, headers) => {
    expect(await outcome({ headers })).toEqual([401, 'authentication_required']);
  });

  it.each([
    ['an unknown key', () => `tk_live_${'a'.repeat(12)}_${'B'.repeat(40)}`],
    ['the id of a key alone', () => harness.tenant.live.keyId],
    ['a right id with a wrong secret', () => `${harness.tenant.live.keyId}_${'B'.repeat(40)}`],
    ['a key with a character more', () => `${liveKey()}x`],
    ['an unknown access key', () => `AKE${'a'.repeat(13)}_${'B'.repeat(40)}`],
    ['something endless', () => 'x'.repeat(10_000)],
  ])('%s is invalid_api_key', async (_, key) => {
    expect(await outcome({ key: key() })).toEqual([401, 'invalid_api_key']);
  });

  it.each([
    ['an access token', { authorization: 'Bearer kc_live_abc' }],
    ['an access token as x-api-key', { 'x-api-key': 'kc_test_abc' }],
    ['a bound token', { authorization: 'DPoP kc_live_abc' }],
  ])('%s is invalid_token', async (_, headers) => {
    expect(await outcome({ headers })).toEqual([401, 'invalid_token']);
  });

  it("another tenant's key on a tenant host", async () => {
    expect(await outcome({ key: harness.other.live, host: 'acme.localhost' })).toEqual([
      401,
      'invalid_api_key',
    ]);
  });
});

describe('403', () => {
  it.each([
    ['test key on the live host', 'api.localhost', testKey],
    ['live key on the sandbox host', 'sandbox.localhost', liveKey],
    ['test key on a tenant host', 'acme.localhost', testKey],
    ['live key on a sandbox tenant host', 'sandbox-acme.localhost', liveKey],
  ])('%s is wrong_key_type', async (_, host, key) => {
    expect(await outcome({ key: key(), host })).toEqual([403, 'wrong_key_type']);
  });

  it('a paused tenant is refused at its next call, and served again when active', async () => {
    const { id, live } = harness.other;
    expect(await outcome({ key: live })).toEqual([200, undefined]);
    await setStatus(id, 'paused');
    expect(await outcome({ key: live })).toEqual([403, 'subscription_inactive']);
    expect(await outcome({ key: live, host: 'sandbox.localhost' })).toEqual([403, 'wrong_key_type']);
    await setStatus(id, 'past_due');
    expect(await outcome({ key: live })).toEqual([200, undefined]);
  });
});

describe('404', () => {
  it.each([
    ['with a key', () => ({ key: liveKey() })],
    ['without one', () => ({})],
    ['with a bad one', () => ({ key: 'tk_live_x_y' })],
  ])('an unknown tenant host, %s', async (_, call) => {
    expect(await outcome({ ...call(), host: 'nobody.localhost' })).toEqual([404, 'tenant_not_found']);
  });
});

describe('revocations that were not read for 1 s', () => {
  const lateWithItsPoll = async () => {
    const own = await createHarness();
    expect((await own.call('GET', '/v1/api-keys', { key: own.tenant.live })).status).toBe(200);
    await own.generations.stop();
    own.clock.advance(1_000);
    return own;
  };

  it('are read before the answer', async () => {
    const own = await lateWithItsPoll();
    expect((await own.call('GET', '/v1/api-keys', { key: own.tenant.live })).status).toBe(200);
    expect(own.generations.isFresh()).toBe(true);
    await own.close();
  });

  it('and cannot be read are 503, never 401', async () => {
    const own = await lateWithItsPoll();
    await own.db.close();
    const answer = await own.call('GET', '/v1/api-keys', { key: own.tenant.live });
    expect([answer.status, answer.json['error']?.['type']]).toEqual([503, 'dependency_unavailable']);
    expect(answer.json['error']?.['retry_after']).toBe(1);
    await own.close();
  });
});

describe('the cache', () => {
  const host = { kind: 'plain', mode: null, tenantSlug: null } as const;

  /** What another process on the same database runs. */
  async function anotherProcess() {
    let reads = 0;
    const { db, clock, accounts, permissions, apiKeys, oauth, dpop, origins } = harness;
    const generations = createGenerations({ db, clock });
    await generations.start();
    const authentication = createAuthentication({
      accounts,
      permissions,
      generations,
      clock,
      dpop,
      origins,
      tokens: oauth.tokens,
      apiKeys: {
        recordUse: () => undefined,
        findActiveByHash: (hash) => {
          reads++;
          return apiKeys.findActiveByHash(hash);
        },
      },
    });
    const call = (key: string) => authentication.authenticate(['x-api-key', key], host);
    return { generations, call, reads: () => reads };
  }

  it('asks the database once for a key, each time for an unknown one', async () => {
    const process = await anotherProcess();
    await process.call(liveKey());
    const readsOnce = process.reads();
    await Promise.all(Array.from({ length: 20 }, () => process.call(liveKey())));
    expect(process.reads()).toBe(readsOnce);
    for (const _ of [1, 2]) await expect(process.call('tk_live_x_y')).rejects.toThrow('not valid');
    expect(process.reads()).toBe(readsOnce + 2);
    await process.generations.stop();
  });

  it('gives up a revoked key at once here, within 1 s in another process', async () => {
    const process = await anotherProcess();
    const created = await harness.call('POST', '/v1/api-keys', {
      key: harness.tenant.live,
      body: { name: 'x' },
    });
    const key = String(created.json['data']?.['api_key']);
    expect(await outcome({ key })).toEqual([200, undefined]);
    expect((await process.call(key)).tenantSlug).toBe('acme');
    const path = `/v1/api-keys/${String(created.json['data']?.['id'])}`;
    await harness.call('DELETE', path, { key: harness.tenant.live });
    expect(await outcome({ key })).toEqual([401, 'invalid_api_key']);
    await harness.advance(500);
    await expect.poll(() => process.generations.current(`api_keys:${harness.tenant.id}`)).toBe(1);
    await expect(process.call(key)).rejects.toThrow('not valid');
    await process.generations.stop();
  });

  it('gives up an access token the same way: revoked itself, by its key, by its client', async () => {
    const process = await anotherProcess();
    const ask = (method: string, path: string, call: TestCall) =>
      harness.call(method, path, { key: harness.tenant.live, ...call });
    const { oauth, db, tenant } = harness;
    const scope = { tenantId: tenant.id, sandbox: false };
    const mint = (source: TokenSource) =>
      db.transaction((tx) =>
        oauth.tokens.mintIn(
          tx,
          {
            scope,
            source,
            grantType: 'client_credentials',
            permissions: ['api-keys:read'],
            jkt: null,
            ttlSeconds: 3600,
            familyId: null,
          },
          systemActor(tenant.id),
        ),
      );
    const key = await ask('POST', '/v1/api-keys', { body: { name: 'source' } });
    const body = { name: 'source', allowed_scopes: ['api-keys:read'] };
    const client = await ask('POST', '/v1/oauth-clients', { body });
    const { data: madeKey } = key.json;
    const { data: madeClient } = client.json;
    const ofClient = { kind: 'client', oauthClientId: madeClient.id, epoch: 0 } as const;
    const [alone, byKey, byClient] = [
      await mint({ kind: 'api_key', apiKeyId: tenant.live.id }),
      await mint({ kind: 'api_key', apiKeyId: madeKey.id }),
      await mint(ofClient),
    ];
    const ends: [typeof alone, () => Promise<unknown>][] = [
      [
        alone,
        () => db.transaction((tx) => oauth.tokens.revokeIn(tx, scope, alone.id, systemActor(tenant.id))),
      ],
      [byKey, () => ask('DELETE', `/v1/api-keys/${madeKey.id}`, {})],
      [byClient, () => ask('POST', `/v1/oauth-clients/${madeClient.id}/rotate-secret`, { body: {} })],
    ];
    for (const [minted, end] of ends) {
      const token = minted.accessToken.reveal();
      expect(await outcome({ token })).toEqual([200, undefined]);
      expect((await process.call(token)).kind).toBe('oauth_token');
      await end();
      expect(await outcome({ token })).toEqual([401, 'invalid_token']);
      const generation = harness.generations.current(credentialGeneration(tenant.id));
      await harness.advance(500);
      await expect.poll(() => process.generations.current(credentialGeneration(tenant.id))).toBe(generation);
      await expect(process.call(token)).rejects.toThrow('access token is not valid');
    }
    await process.generations.stop();
  });

  it('tells what the key may do and how often', async () => {
    const process = await anotherProcess();
    const body = {
      name: 'limited',
      grants: [{ permission: 'vaults:detokenize', resource: 'cards' }],
      rate_limit_requests: 5,
      rate_limit_window_sec: 60,
    };
    const created = await harness.call('POST', '/v1/api-keys', { key: harness.tenant.live, body });
    const principal = await process.call(String(created.json['data']?.['api_key']));
    expect(principal.rateLimit).toEqual({ requests: 5, windowSeconds: 60 });
    expect(principal.grants).toEqual(body.grants);
    expect(principal.may('vaults:detokenize')).toBe(true);
    expect(principal.may('vaults:detokenize', 'notes')).toBe(false);
    expect((await process.call(liveKey())).rateLimit).toBeNull();
    await process.generations.stop();
  });

  it('follows a role that is narrowed: here at once, in another process within 1 s', async () => {
    const process = await anotherProcess();
    const { db, tenant, generations, apiKeys, clock } = harness;
    const scope = { tenantId: tenant.id, sandbox: false };
    const roles = (tx?: Transaction) => db.view(rolesTables).scoped(scope, tx);
    const rules = (...actions: string[]) =>
      JSON.stringify([{ resource_type: 'roles', actions, effect: 'allow' }]);
    // A role of the tenant's own, and a key that has it: as a database from before holds them.
    const own = { name: 'Own', description: null, applies_to: '["api_key"]', created_at: 1 };
    await roles()
      .insertInto('roles')
      .values({ ...own, id: 'own', rules: rules('*') })
      .execute();
    const key = apiKeys.prepare('live', 'with the role');
    const access = { full: false, roleIds: ['own'], grants: [] } as const;
    await db.transaction((tx) => apiKeys.createIn(tx, systemActor(tenant.id), { ...key, access }));
    const text = key.apiKey.reveal();
    const readRoles = async () => (await harness.call('GET', '/v1/roles', { key: text })).status;
    expect(await readRoles()).toBe(200);
    expect((await process.call(text)).may('roles:read')).toBe(true);

    await db.transaction(async (tx) => {
      await roles(tx).updateTable('roles').set({ rules: rules() }).where('id', '=', 'own').execute();
      await generations.bump(tx, credentialGeneration(tenant.id));
    });
    expect(await readRoles()).toBe(403);
    const generation = generations.current(credentialGeneration(tenant.id));
    clock.advance(500);
    await expect.poll(() => process.generations.current(credentialGeneration(tenant.id))).toBe(generation);
    expect((await process.call(text)).may('roles:read')).toBe(false);
    await process.generations.stop();
  });

  it('lets no call through that began after the revoke was answered', async () => {
    for (let round = 0; round < 20; round++) {
      const created = await harness.call('POST', '/v1/api-keys', {
        key: harness.tenant.live,
        body: { name: 'r' },
      });
      const key = String(created.json['data']?.['api_key']);
      const during = Array.from({ length: 3 }, () => outcome({ key }));
      await harness.call('DELETE', `/v1/api-keys/${String(created.json['data']?.['id'])}`, {
        key: harness.tenant.live,
      });
      expect(await outcome({ key })).toEqual([401, 'invalid_api_key']);
      for (const [status] of await Promise.all(during)) expect([200, 401]).toContain(status);
    }
  });
});

describe('the log', () => {
  it('names the tenant and the key, and holds no key', async () => {
    await outcome({ key: harness.tenant.live });
    const text = harness.logLines.join('');
    expect(text).toContain(`"key_id":"${harness.tenant.live.keyId}"`);
    expect(text).not.toContain(liveKey());
    expect(text).not.toContain(liveKey().split('_')[3]);
  });
});
