import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SessionId, TenantId, UserId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import { systemIds } from '../../../platform/crypto/random.js';
import type { OpenTestDatabase, TestDatabase } from '../../../testing/databases.js';
import { createAccountsStore } from '../store.js';
import { accountsTables, migrations } from '../tables.js';
import { createSessionStore, type Session, type SessionStore } from './store.js';

const NOW = 1_000_000;

export function sessionStoreContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let store: SessionStore;
  let userId: UserId;
  beforeAll(async () => {
    db = await open(migrations);
    store = createSessionStore(db);
    userId = await makeUser('ada@acme.example', ['acme', 'globex']);
  });
  afterAll(() => db.cleanup());

  async function makeUser(email: string, slugs: readonly string[]): Promise<UserId> {
    const accounts = createAccountsStore(db);
    const id = systemIds.uuid() as UserId;
    await db.transaction(async (tx) => {
      await accounts.insertUser(tx, { id, email, passwordHash: 'hash', createdAtMs: 1 });
      for (const [at, slug] of slugs.entries()) {
        const tenantId = systemIds.uuid() as TenantId;
        await accounts.insertTenant(tx, {
          id: tenantId,
          slug,
          name: slug,
          plan: 'free',
          subscriptionStatus: 'active',
          ephemeralEnabled: null,
          region: null,
          createdAtMs: 1,
        });
        await accounts.insertMembership(tx, tenantId, { userId: id, role: 'viewer', createdAtMs: at });
      }
    });
    return id;
  }

  async function insert(of: UserId, fields: Partial<Session> = {}): Promise<Session> {
    const session: Session = {
      id: systemIds.uuid() as SessionId,
      userId: of,
      amr: ['pwd'],
      ip: '192.0.2.1',
      userAgent: null,
      createdAtMs: NOW,
      lastUsedAtMs: NOW,
      idleExpiresAtMs: NOW + 100,
      expiresAtMs: NOW + 200,
      ...fields,
    };
    await db.transaction((tx) => store.insert(tx, session));
    return session;
  }

  const revoke = (id: SessionId, owner: UserId | null, at = NOW) =>
    db.transaction((tx) => store.revoke(tx, id, owner, at));

  it('finds a user by address, and by id with all its memberships, and one without any', async () => {
    const ada = { user: { id: userId, email: 'ada@acme.example' }, passwordHash: 'hash' };
    expect(await store.findCredentials('ada@acme.example')).toMatchObject(ada);
    const found = await store.findUser(userId);
    expect(found).toMatchObject(ada);
    expect(found?.memberships.map(({ slug, role }) => [slug, role])).toEqual([
      ['acme', 'viewer'],
      ['globex', 'viewer'],
    ]);
    const alone = await makeUser('alone@acme.example', []);
    expect((await store.findUser(alone))?.memberships).toEqual([]);
    expect((await store.findCredentials('alone@acme.example'))?.user.id).toBe(alone);
    expect(await store.findCredentials('nobody@acme.example')).toBeUndefined();
  });

  it('finds the user of a session until it is revoked, idle or over', async () => {
    const session = await insert(userId);
    const found = await store.findUserOfSession(session.id, NOW + 99);
    expect([found?.user.id, found?.memberships.length]).toEqual([userId, 2]);
    expect(await store.findUserOfSession(session.id, NOW + 100)).toBeUndefined();
    const long = await insert(userId, { idleExpiresAtMs: NOW + 500 });
    expect(await store.findUserOfSession(long.id, NOW + 200)).toBeUndefined();
    expect(await revoke(session.id, userId)).toBe(userId);
    expect(await store.findUserOfSession(session.id, NOW)).toBeUndefined();
  });

  it('revokes once, and never what is of another user or over', async () => {
    const other = await makeUser('other@acme.example', []);
    const session = await insert(userId);
    expect(await revoke(session.id, other)).toBeUndefined();
    expect(await revoke(session.id, userId, NOW + 100)).toBeUndefined();
    const ends = await Promise.all([revoke(session.id, userId), revoke(session.id, null)]);
    expect(ends.filter(Boolean)).toEqual([userId]);
  });

  it('lists the active ones, newest first, and the oldest beyond a number', async () => {
    const id = await makeUser('lists@acme.example', []);
    const sessions = [];
    for (const at of [1, 2, 3]) sessions.push(await insert(id, { createdAtMs: NOW + at }));
    await insert(id, { idleExpiresAtMs: NOW });
    const [oldest, middle, newest] = sessions.map((session) => session.id);
    expect((await store.listActive(id, NOW)).map((session) => session.id)).toEqual([newest, middle, oldest]);
    expect(await db.transaction((tx) => store.listOldest(tx, id, NOW, 1))).toEqual([middle, oldest]);
  });

  it('takes a refresh token once, whoever comes at once', async () => {
    const session = await insert(userId);
    const hash = sha256('token');
    await db.transaction((tx) => store.insertRefreshToken(tx, hash, session.id, NOW));
    const uses = await Promise.all(
      Array.from({ length: 5 }, () => db.transaction((tx) => store.useRefreshToken(tx, hash, NOW))),
    );
    expect(uses.filter(Boolean)).toHaveLength(1);
    expect(await db.transaction((tx) => store.findSessionOfToken(hash, tx))).toBe(session.id);
    expect(await db.transaction((tx) => store.findSessionOfToken(sha256('other'), tx))).toBeUndefined();
  });

  it('moves the idle end of a session, never of one that has ended or was refreshed too often', async () => {
    const use = { ip: '192.0.2.9', userAgent: 'curl', nowMs: NOW + 50, idleExpiresAtMs: NOW + 150 };
    const touch = (id: SessionId) => db.transaction((tx) => store.touch(tx, id, use));
    const session = await insert(userId);
    expect(await touch(session.id)).toEqual({
      ...session,
      ip: '192.0.2.9',
      userAgent: 'curl',
      lastUsedAtMs: NOW + 50,
      idleExpiresAtMs: NOW + 150,
    });
    await revoke(session.id, userId, NOW + 60);
    expect(await touch(session.id)).toBeUndefined();
    const busy = await insert(userId);
    await db
      .view(accountsTables)
      .system('people')
      .updateTable('sessions')
      .set({ refreshes: LIMITS.refreshesPerSessionMax })
      .where('id', '=', busy.id)
      .execute();
    expect(await touch(busy.id)).toBeUndefined();
  });

  it('replaces a password hash only where it is the one that was checked', async () => {
    const id = await makeUser('hash@acme.example', []);
    const replace = (from: string, to: string) =>
      db.transaction((tx) => store.replacePasswordHash(tx, id, from, to));
    await replace('hash', 'newer');
    await replace('hash', 'lost');
    expect((await store.findCredentials('hash@acme.example'))?.passwordHash).toBe('newer');
  });

  it('sets a password hash, and knows whether it still is the one that was checked', async () => {
    const id = await makeUser('set@acme.example', []);
    const other = await makeUser('unset@acme.example', []);
    const has = (user: UserId, hash: string) => db.transaction((tx) => store.hasPasswordHash(tx, user, hash));
    expect(await has(id, 'hash')).toBe(true);
    await db.transaction((tx) => store.setPasswordHash(tx, id, 'newer'));
    expect([await has(id, 'hash'), await has(id, 'newer'), await has(other, 'hash')]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it('ends all sessions of a user that are good, and of nobody else', async () => {
    const id = await makeUser('ended@acme.example', []);
    const other = await makeUser('going@acme.example', []);
    const ended = await insert(id);
    await revoke(ended.id, id, NOW);
    await insert(id);
    await insert(id);
    const kept = await insert(other);
    expect(await db.transaction((tx) => store.revokeAll(tx, id, NOW + 1))).toBe(2);
    expect(await store.listActive(id, NOW + 1)).toEqual([]);
    expect(await store.listActive(other, NOW + 1)).toEqual([kept]);
    expect(await db.transaction((tx) => store.revokeAll(tx, id, NOW + 1))).toBe(0);
  });

  it('removes what is over with its tokens, in batches', async () => {
    const kept = await insert(userId, { idleExpiresAtMs: NOW + 10_000, expiresAtMs: NOW + 10_000 });
    const over = await insert(userId, { idleExpiresAtMs: NOW + 1 });
    for (const name of ['a', 'b', 'c'])
      await db.transaction((tx) => store.insertRefreshToken(tx, sha256(name), over.id, NOW));
    const remove = (rowsMax: number) => db.transaction((tx) => store.removeEnded(tx, NOW + 9_000, rowsMax));
    expect(await remove(2)).toBe(2);
    while ((await remove(2)) > 0);
    expect(await db.transaction((tx) => store.findSessionOfToken(sha256('c'), tx))).toBeUndefined();
    expect(await store.findUserOfSession(kept.id, NOW)).toBeDefined();
  });
}
