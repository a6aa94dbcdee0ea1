import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { PublicJwk } from '../../platform/crypto/jwk.js';
import { systemIds } from '../../platform/crypto/random.js';
import { UniqueViolation } from '../../platform/storage/database.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { type Account, type AccountStore, createAccountStore, type ExternalKey } from './account-store.js';
import { type Authorization, type Challenge, createOrderStore, type OrderStore } from './order-store.js';
import { migrations } from './tables.js';

const LIVE: Scope = { tenantId: 't1' as TenantId, sandbox: false };
/** Other tenant, other mode: nothing of the first shows. */
const OTHERS: readonly Scope[] = [
  { ...LIVE, sandbox: true },
  { tenantId: 't2' as TenantId, sandbox: false },
];
const JWK: PublicJwk = { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' };
const PROBLEM = { type: 'urn:ietf:params:acme:error:dns', detail: 'x' };

export function acmeStoreContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let accounts: AccountStore;
  let orders: OrderStore;
  let roleId: string;
  beforeAll(async () => {
    db = await open(migrations);
    accounts = createAccountStore(db);
    orders = createOrderStore(db);
  });
  afterAll(() => db.cleanup());
  beforeEach(() => {
    roleId = systemIds.uuid();
  });

  async function account(changes: Partial<Account> = {}): Promise<Account> {
    const id = systemIds.uuid();
    const made: Account = {
      id,
      rootId: 'root',
      roleId,
      status: 'valid',
      jwk: JWK,
      thumbprint: id,
      contacts: ['mailto:a@example.com'],
      termsAgreed: true,
      externalBinding: null,
      createdAtMs: 1_000,
      ...changes,
    };
    await db.transaction((tx) => accounts.insertAccount(tx, LIVE, made));
    return made;
  }

  async function key(): Promise<ExternalKey> {
    const made: ExternalKey = {
      id: systemIds.uuid(),
      roleId,
      label: null,
      keyEnvelope: Buffer.from('sealed'),
      accountId: null,
      boundAtMs: null,
      createdAtMs: 1_000,
    };
    await db.transaction((tx) => accounts.insertKey(tx, LIVE, made));
    return made;
  }

  async function order(
    accountId: string,
    names: readonly string[],
    createdAtMs = 1_000,
    expiresAtMs = 9_000,
  ) {
    const id = systemIds.uuid();
    const authorizations = names.map(
      (name): Authorization => ({
        id: systemIds.uuid(),
        accountId,
        orderId: id,
        name: name.replace('*.', ''),
        isWildcard: name.startsWith('*.'),
        status: 'pending',
        expiresAtMs,
      }),
    );
    const challenges = authorizations.map(
      (one): Challenge => ({
        id: systemIds.uuid(),
        authorizationId: one.id,
        type: 'dns-01',
        token: 'token',
        status: 'pending',
        error: null,
        validatedAtMs: null,
      }),
    );
    await db.transaction((tx) =>
      orders.insertOrder(
        tx,
        LIVE,
        { id, accountId, names, createdAtMs, expiresAtMs },
        authorizations,
        challenges,
      ),
    );
    return { id, authorizations, challenges };
  }

  it('lets a nonce in once, of those that come at once too', async () => {
    const spent = await Promise.all(
      Array.from({ length: 8 }, () => accounts.spendNonce(LIVE, roleId, 2_000)),
    );
    expect(spent.filter((isFirst) => isFirst)).toHaveLength(1);
    for (const scope of OTHERS) expect(await accounts.spendNonce(scope, roleId, 2_000)).toBe(true);
    expect(await accounts.removeNonces(1_999, 100)).toBe(0);
    for (let i = 0; i < 3; i++) await accounts.spendNonce(LIVE, `${roleId} ${i}`, 2_000);
    expect(await accounts.removeNonces(2_000, 2)).toBe(2);
    await accounts.removeNonces(2_000, 100);
    expect(await accounts.removeNonces(2_000, 100)).toBe(0);
    expect(await accounts.spendNonce(LIVE, roleId, 3_000)).toBe(true);
  });

  it('keeps accounts of a role apart by their keys', async () => {
    const made = await account({ externalBinding: { protected: 'x' } });
    expect(await accounts.findAccount(LIVE, made.id)).toEqual(made);
    expect(await accounts.findByKey(LIVE, roleId, made.thumbprint)).toEqual(made);
    await expect(account({ thumbprint: made.thumbprint })).rejects.toThrow(UniqueViolation);
    await account({ thumbprint: made.thumbprint, roleId: systemIds.uuid() });
    expect(await accounts.countStrangers(LIVE, roleId)).toBe(0);
    await account();
    expect(await accounts.countStrangers(LIVE, roleId)).toBe(1);
    for (const scope of OTHERS) {
      expect(await accounts.findAccount(scope, made.id)).toBeUndefined();
      expect(await accounts.findByKey(scope, roleId, made.thumbprint)).toBeUndefined();
      expect(await accounts.countStrangers(scope, roleId)).toBe(0);
    }
  });

  it('changes the key of an account from the one that was named, and of nobody who has ended', async () => {
    const [made, other] = [await account(), await account()];
    const replace = (from: Account, thumbprint: string, scope = LIVE) =>
      db.transaction((tx) => accounts.replaceKey(tx, scope, from, { jwk: JWK, thumbprint }));
    await expect(replace(made, other.thumbprint)).rejects.toThrow(UniqueViolation);
    for (const scope of OTHERS) expect(await replace(made, 'next', scope)).toBe(false);
    expect(await replace(made, `${made.id}-next`)).toBe(true);
    expect(await replace(made, `${made.id}-again`)).toBe(false);
    const end = () => db.transaction((tx) => accounts.endAccount(tx, LIVE, made.id, 'deactivated', 5_000));
    expect([await end(), await end()]).toEqual([true, false]);
    const ended = { ...made, thumbprint: `${made.id}-next` };
    expect(await replace(ended, 'x')).toBe(false);
    expect(await accounts.findAccount(LIVE, made.id)).toEqual({ ...ended, status: 'deactivated' });
    expect(await accounts.removeEnded(4_999, 100)).toBe(0);
    expect(await accounts.removeEnded(5_000, 100)).toBe(1);
    expect(await accounts.findAccount(LIVE, made.id)).toBeUndefined();
    expect(await accounts.findAccount(LIVE, other.id)).toBeDefined();
  });

  it('gives a key to one account', async () => {
    const made = await key();
    expect(await accounts.findKey(LIVE, roleId, made.id)).toEqual(made);
    expect(await accounts.findKey(LIVE, 'another role', made.id)).toBeUndefined();
    const bind = (accountId: string, scope = LIVE) =>
      db.transaction((tx) => accounts.bindKey(tx, scope, made.id, accountId, 2_000));
    for (const scope of OTHERS) {
      expect(await accounts.findKey(scope, roleId, made.id)).toBeUndefined();
      expect(await bind('a', scope)).toBe(false);
      await db.transaction((tx) => accounts.deleteKey(tx, scope, made.id));
    }
    const bound = await Promise.all(['a', 'b', 'c'].map((id) => bind(id)));
    expect(bound.filter((isFirst) => isFirst)).toHaveLength(1);
    const [listed, ...more] = await accounts.listKeys(LIVE, roleId);
    expect([listed!.boundAtMs, more]).toEqual([2_000, []]);
    expect(await db.transaction((tx) => accounts.countKeys(LIVE, roleId, tx))).toBe(1);
    await db.transaction((tx) => accounts.deleteKey(tx, LIVE, made.id));
    expect(await accounts.listKeys(LIVE, roleId)).toEqual([]);
  });

  it('keeps an order with its authorizations and challenges, to its tenant and mode', async () => {
    const made = await order('account', ['*.example.com', 'example.com']);
    expect(await orders.findOrder(LIVE, made.id)).toEqual({
      id: made.id,
      accountId: 'account',
      status: 'pending',
      names: ['*.example.com', 'example.com'],
      csr: null,
      error: null,
      serial: null,
      createdAtMs: 1_000,
      expiresAtMs: 9_000,
    });
    const [plain, wildcard] = await orders.authorizationsOf(LIVE, made.id);
    expect([plain!.isWildcard, wildcard!.isWildcard]).toEqual([false, true]);
    expect(await orders.challengesOf(LIVE, made.authorizations[0]!.id)).toEqual([made.challenges[0]]);
    for (const scope of OTHERS) {
      expect(await orders.findOrder(scope, made.id)).toBeUndefined();
      expect(await orders.authorizationsOf(scope, made.id)).toEqual([]);
      expect(await orders.findAuthorization(scope, plain!.id)).toBeUndefined();
      expect(await orders.findChallenge(scope, made.challenges[0]!.id)).toBeUndefined();
      expect(await orders.certificateOf(scope, made.id)).toBeUndefined();
    }
  });

  it('lets each status be left once', async () => {
    const made = await order('account', ['example.com']);
    const tries = await Promise.all(
      Array.from({ length: 4 }, () =>
        db.transaction((tx) => orders.advanceOrder(tx, LIVE, made.id, ['pending'], 'processing')),
      ),
    );
    expect(tries.filter((isFirst) => isFirst)).toHaveLength(1);
    const done = { serial: 'ab', certificate: 'PEM' };
    await db.transaction((tx) => orders.advanceOrder(tx, LIVE, made.id, ['processing'], 'valid', done));
    expect(await orders.findOrder(LIVE, made.id)).toMatchObject({ status: 'valid', serial: 'ab' });
    expect(await orders.certificateOf(LIVE, made.id)).toBe('PEM');
    const [authorization, challenge] = [made.authorizations[0]!, made.challenges[0]!];
    const fail = () =>
      db.transaction((tx) =>
        orders.advanceChallenge(tx, LIVE, challenge.id, 'pending', 'invalid', { error: PROBLEM }),
      );
    expect([await fail(), await fail()]).toEqual([true, false]);
    expect(await orders.findChallenge(LIVE, challenge.id)).toMatchObject({
      status: 'invalid',
      error: PROBLEM,
    });
    const pass = () =>
      db.transaction((tx) =>
        orders.advanceAuthorization(tx, LIVE, authorization.id, ['pending'], 'valid', 20_000),
      );
    expect([await pass(), await pass()]).toEqual([true, false]);
    expect(await orders.findAuthorization(LIVE, authorization.id)).toMatchObject({ expiresAtMs: 20_000 });
  });

  it('says which names an account holds', async () => {
    const id = systemIds.uuid();
    const made = await order(id, ['*.example.com', 'example.com', 'a.example.com']);
    const held = (nowMs = 5_000) =>
      orders.namesHeld(LIVE, id, ['*.example.com', 'example.com', 'a.example.com'], nowMs);
    expect(await held()).toEqual([]);
    for (const one of made.authorizations.slice(0, 2))
      await db.transaction((tx) => orders.advanceAuthorization(tx, LIVE, one.id, ['pending'], 'valid'));
    expect((await held()).sort()).toEqual(['*.example.com', 'example.com']);
    expect(await held(9_000)).toEqual([]);
    for (const scope of OTHERS) expect(await orders.namesHeld(scope, id, ['example.com'], 5_000)).toEqual([]);
    await db.transaction((tx) => orders.endOf(tx, LIVE, id, PROBLEM));
    expect(await held()).toEqual([]);
    expect(await orders.findOrder(LIVE, made.id)).toMatchObject({ status: 'invalid', error: PROBLEM });
  });

  it('counts and lists the orders of an account', async () => {
    const id = systemIds.uuid();
    const made = [];
    for (const at of [1_000, 2_000, 2_000, 3_000]) made.push(await order(id, ['example.com'], at));
    const count = (nowMs: number, scope = LIVE) =>
      db.transaction((tx) => orders.countOpenOrders(scope, id, nowMs, tx));
    expect([await count(5_000), await count(9_000)]).toEqual([4, 0]);
    for (const scope of OTHERS) expect(await count(5_000, scope)).toBe(0);
    const newest = await db.transaction((tx) => orders.newestOrders(LIVE, id, 1_000, 2, tx));
    expect(newest).toEqual([3_000, 2_000]);
    const pages: string[] = [];
    for (let last = null; ; ) {
      const page = await orders.listOrders(LIVE, id, last, 1);
      if (page.length === 0) break;
      pages.push(page[0]!.id);
      last = page[0]!;
    }
    expect(pages).toHaveLength(4);
    expect(new Set(pages)).toEqual(new Set(made.map((one) => one.id)));
    expect([pages[0], pages[3]]).toEqual([made[3]!.id, made[0]!.id]);
  });

  it('counts what is begun in a role, in a window that ends, also of those that come at once', async () => {
    const begin = (names: number, nowMs: number, scope = LIVE) =>
      db.transaction((tx) => orders.countInRole(tx, scope, roleId, names, { nowMs, endsAtMs: nowMs + 100 }));
    await Promise.all(Array.from({ length: 8 }, () => begin(2, 1_000)));
    expect(await begin(3, 1_099)).toEqual({ endsAtMs: 1_100, orders: 9, names: 19 });
    for (const scope of OTHERS)
      expect(await begin(1, 1_050, scope)).toEqual({ endsAtMs: 1_150, orders: 1, names: 1 });
    expect(await orders.removeWindows(1_099, 100)).toBe(0);
    expect(await begin(4, 1_100)).toEqual({ endsAtMs: 1_200, orders: 1, names: 4 });
    expect(await orders.removeWindows(1_150, 100)).toBe(2);
    expect(await begin(1, 1_199)).toMatchObject({ orders: 2 });
    expect(await orders.removeWindows(1_200, 100)).toBe(1);
    expect(await begin(1, 1_200)).toMatchObject({ orders: 1 });
    await orders.removeWindows(9_000, 100);
  });

  it('removes orders that ended, with all that belongs to them, in batches', async () => {
    await db.transaction((tx) => orders.removeEnded(tx, 100_000, 1_000));
    const [first, second] = [
      await order('account', ['example.com'], 1_000, 2_000),
      await order('account', ['example.com'], 1_000, 3_000),
    ];
    const remove = (beforeMs: number, most: number) =>
      db.transaction((tx) => orders.removeEnded(tx, beforeMs, most));
    expect(await remove(1_999, 10)).toBe(0);
    expect(await remove(3_000, 1)).toBe(1);
    expect(await orders.findOrder(LIVE, first.id)).toBeUndefined();
    expect(await orders.findAuthorization(LIVE, first.authorizations[0]!.id)).toBeUndefined();
    expect(await orders.findChallenge(LIVE, first.challenges[0]!.id)).toBeUndefined();
    expect(await orders.findChallenge(LIVE, second.challenges[0]!.id)).toBeDefined();
    expect(await remove(3_000, 10)).toBe(1);
  });
}
