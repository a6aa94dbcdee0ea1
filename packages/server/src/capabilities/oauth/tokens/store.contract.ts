import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type {
  ApiKeyId,
  OAuthClientId,
  OAuthFamilyId,
  OAuthTokenId,
  Scope,
  TenantId,
  UserId,
} from '../../../kernel/ids.js';
import type { OpenTestDatabase, TestDatabase } from '../../../testing/databases.js';
import { migrations, oauthTables } from '../tables.js';
import { createFamilyStore, type Family, type FamilyStore } from './family-store.js';
import { createTokenStore, keyText, type TokenStore } from './store.js';

export function tokenStoreContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let tokens: TokenStore;
  let families: FamilyStore;
  beforeAll(async () => {
    db = await open(migrations);
    tokens = createTokenStore(db);
    families = createFamilyStore(db);
  });
  afterAll(() => db.cleanup());

  const scope: Scope = { tenantId: 'tenant-a' as TenantId, sandbox: false };
  const otherMode: Scope = { ...scope, sandbox: true };
  const FAMILY: Omit<Family, 'id' | 'scope'> = {
    source: { kind: 'user', userId: 'u' as UserId, oauthClientId: 'c' as OAuthClientId, epoch: 2 },
    grantType: 'authorization_code',
    permissions: new Set(['log:list']),
    jkt: null,
    refreshes: 0,
    createdAtMs: 1,
    idleExpiresAtMs: 1_000,
    expiresAtMs: 2_000,
    revokedAtMs: null,
    revokedReason: null,
  };
  let made = 0;
  beforeEach(() => {
    made += 1;
  });
  const hashOf = (name: string) => Buffer.from(`${made} ${name}`.padEnd(32));
  const keyOf = (name: string) => ({ hash: hashOf(name), time: '0192f0a1b2c3' });

  function row(name: string, more: Partial<Parameters<TokenStore['insertion']>[1]> = {}) {
    return {
      id: `${made} ${name}` as OAuthTokenId,
      token_hash: keyText(keyOf(name)),
      api_key_id: 'key' as ApiKeyId,
      oauth_client_id: null,
      user_id: null,
      binding_id: null,
      source_epoch: 0,
      grant_type: 'client_credentials',
      scopes: 'log:list',
      cnf_jkt: null,
      family_id: null,
      parent_token_id: null,
      ip_address: null,
      issued_at: 1,
      expires_at: 3_600_001,
      revoked_at: null,
      ...more,
    };
  }
  const insert = (name: string, more: Parameters<typeof row>[1] = {}, where = scope) =>
    db.transaction((tx) => tokens.insert(tx, where, row(name, more)));
  const openFamily = (name: string, more: Partial<Family> = {}) => {
    const id = `${made} ${name}` as OAuthFamilyId;
    return db.transaction(async (tx) => {
      await families.insert(tx, { ...FAMILY, id, scope, ...more });
      await families.insertRefreshToken(tx, scope, { hash: hashOf(name), familyId: id, issuedAtMs: 1 });
      return id;
    });
  };

  it('finds a token by its hash, and by its id in its own tenant and mode', async () => {
    await insert('one');
    await db.commitInserts([tokens.insertion(otherMode, row('two', { scopes: '*' }))]);
    expect(await tokens.findByKey(keyOf('one'))).toMatchObject({
      scope,
      source: { kind: 'api_key', apiKeyId: 'key' },
      permissions: new Set(['log:list']),
      revokedAtMs: null,
    });
    const two = await tokens.findByKey(keyOf('two'));
    expect(two?.scope).toEqual(otherMode);
    expect(two?.permissions.has('vaults:detokenize')).toBe(true);
    expect(await tokens.findByKey(keyOf('three'))).toBeUndefined();
    expect(await tokens.find(scope, two!.id)).toBeUndefined();
    expect((await tokens.find(otherMode, two!.id))?.id).toBe(two!.id);
  });

  it('finds a token of an earlier version, which stands under its hash alone', async () => {
    await insert('old', { token_hash: hashOf('old').toString('base64url') });
    expect((await tokens.findByKey(keyOf('old')))?.hash).toEqual(hashOf('old'));
  });

  it('reads every kind of source back', async () => {
    await insert('client', { api_key_id: null, oauth_client_id: 'c' as never, source_epoch: 3 });
    await insert('user', {
      api_key_id: null,
      oauth_client_id: 'c' as never,
      user_id: 'u' as never,
      source_epoch: 3,
    });
    await insert('binding', { api_key_id: null, binding_id: 'b' as never });
    const sourceOf = async (name: string) => (await tokens.findByKey(keyOf(name)))?.source;
    expect(await sourceOf('client')).toEqual({ kind: 'client', oauthClientId: 'c', epoch: 3 });
    expect(await sourceOf('user')).toEqual({ kind: 'user', userId: 'u', oauthClientId: 'c', epoch: 3 });
    expect(await sourceOf('binding')).toEqual({ kind: 'binding', bindingId: 'b' });
  });

  it('a token is revoked once, and by its family', async () => {
    const familyId = await openFamily('family');
    await insert('alone');
    await insert('member', { family_id: familyId });
    const revoke = () => db.transaction((tx) => tokens.revoke(tx, scope, `${made} alone` as OAuthTokenId, 7));
    expect([await revoke(), await revoke()]).toEqual([true, false]);
    expect((await tokens.findByKey(keyOf('alone')))?.revokedAtMs).toBe(7);
    expect((await tokens.findByKey(keyOf('member')))?.revokedAtMs).toBeNull();
    const end = () => db.transaction((tx) => families.revoke(tx, scope, familyId, 'asked', 8));
    expect([await end(), await end()]).toEqual([true, false]);
    expect((await tokens.findByKey(keyOf('member')))?.revokedAtMs).toBe(8);
    expect(await tokens.listOfFamily(scope, familyId, 10)).toHaveLength(1);
  });

  it('a refresh token is used once, also by several at the same time', async () => {
    await openFamily('used');
    const use = () =>
      db.transaction((tx) => families.use(tx, scope, hashOf('used'), { nowMs: 5, ip: '::1' }));
    const uses = await Promise.all([use(), use(), use()]);
    expect(uses.filter(Boolean)).toHaveLength(1);
    const found = await families.findByHash(hashOf('used'));
    expect([found?.usedAtMs, found?.family.source]).toEqual([5, FAMILY.source]);
  });

  it('a token is revoked with all that was got for it, of its own tenant and mode, and is live until then', async () => {
    const idOf = (name: string) => `${made} ${name}` as OAuthTokenId;
    const isLive = (name: string, nowMs = 7) =>
      db.transaction((tx) => tokens.isLive(tx, scope, idOf(name), nowMs));
    await insert('first');
    await insert('aside');
    await insert('elsewhere', { parent_token_id: idOf('first') }, otherMode);
    // More than one statement asks for.
    await db.transaction(async (tx) => {
      for (let n = 0; n <= 500; n++)
        await tokens.insert(tx, scope, row(`second ${n}`, { parent_token_id: idOf('first') }));
    });
    for (const n of [0, 500]) await insert(`third ${n}`, { parent_token_id: idOf(`second ${n}`) });
    const names = ['first', 'second 0', 'second 500', 'third 0', 'third 500'];
    expect(await Promise.all(names.map((name) => isLive(name)))).toEqual([true, true, true, true, true]);
    expect(await isLive('first', 3_600_001)).toBe(false);
    expect(await db.transaction((tx) => tokens.revoke(tx, otherMode, idOf('first'), 7))).toBe(false);
    expect(await db.transaction((tx) => tokens.revoke(tx, scope, idOf('first'), 7))).toBe(true);
    for (const name of names)
      expect([await isLive(name), (await tokens.findByKey(keyOf(name)))?.revokedAtMs]).toEqual([false, 7]);
    expect(await isLive('aside')).toBe(true);
    expect((await tokens.findByKey(keyOf('elsewhere')))?.revokedAtMs).toBeNull();
  });

  it('a family that was revoked, or refreshed too often, is refreshed no more', async () => {
    const touch = (id: OAuthFamilyId) => db.transaction((tx) => families.touch(tx, scope, id, 1_500));
    const good = await openFamily('good');
    expect(await touch(good)).toBe(true);
    expect(await families.find(scope, good)).toMatchObject({ refreshes: 1, idleExpiresAtMs: 1_500 });
    expect(await touch(await openFamily('revoked', { revokedAtMs: 3 }))).toBe(false);
    expect(await touch(await openFamily('worn', { refreshes: 10_000 }))).toBe(false);
  });

  it('removes ended tokens, the oldest first and no more than asked for', async () => {
    await db.transaction((tx) => tokens.removeEnded(tx, 1_000_000, 1_000));
    for (const [name, expires_at] of [
      ['a', 30],
      ['b', 10],
      ['c', 20],
      ['d', 100],
    ] as const)
      await insert(name, { expires_at });
    const remove = (rowsMax: number) => db.transaction((tx) => tokens.removeEnded(tx, 50, rowsMax));
    expect(await remove(2)).toBe(2);
    const left = await Promise.all(['a', 'b', 'c', 'd'].map((name) => tokens.findByKey(keyOf(name))));
    expect(left.map((token) => token !== undefined)).toEqual([true, false, false, true]);
    expect([await remove(2), await remove(2)]).toEqual([1, 0]);
  });

  it('removes ended families with their refresh tokens, in parts where they have many; used ones stay until then', async () => {
    await db.transaction((tx) => families.removeEnded(tx, 1_000_000, 100_000));
    const id = await openFamily('long', { idleExpiresAtMs: 40 });
    await db.transaction(async (tx) => {
      for (let n = 0; n < 5; n++)
        await families.insertRefreshToken(tx, scope, {
          hash: hashOf(`long ${n}`),
          familyId: id,
          issuedAtMs: n,
        });
    });
    const alive = await openFamily('alive', { idleExpiresAtMs: 60 });
    const remove = (rowsMax: number) => db.transaction((tx) => families.removeEnded(tx, 50, rowsMax));
    expect(await remove(4)).toBe(4);
    expect(await families.find(scope, id)).toBeDefined();
    expect(await remove(4)).toBe(3);
    expect(await families.find(scope, id)).toBeUndefined();
    expect(await remove(4)).toBe(0);
    expect((await families.findByHash(hashOf('alive')))?.family.id).toBe(alive);
    const rows = await db
      .view(oauthTables)
      .scoped(scope)
      .selectFrom('oauth_refresh_tokens')
      .select('token_hash')
      .where('family_id', '=', id)
      .execute();
    expect(rows).toEqual([]);
  });
}
