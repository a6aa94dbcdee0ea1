import { beforeEach, describe, expect, it } from 'vitest';
import type { DbConnectionId, DbRoleId, Scope, TenantId } from '../../../kernel/ids.js';
import type { Database } from '../../../platform/storage/database.js';
import { createLeaseClaims, type LeaseClaims } from './claims.js';
import { ENDED, LISTED } from './lease.js';
import { createLeaseStore, type LeaseStore, type NewLease } from './store.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };
const OTHERS: readonly Scope[] = [
  { ...LIVE, sandbox: true },
  { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false },
];
const CONNECTION = 'bbbbbbbb-0000-4000-8000-000000000001' as DbConnectionId;
const PLACE = { scope: LIVE, connectionId: CONNECTION };
const ROLE = 'cccccccc-0000-4000-8000-000000000001' as DbRoleId;
const PAGE = { limit: 100, offset: 0 };

function newLease(n: number, more: Partial<NewLease> = {}): NewLease {
  return {
    connectionId: CONNECTION,
    connectionName: 'orders',
    roleId: ROLE,
    roleName: 'reader',
    engine: 'postgres',
    username: `kc_user_${n}`,
    statements: { creation: 'c', revocation: 'r', group: null },
    actor: 'tk_live_abc',
    ttlSeconds: 60,
    issuedAtMs: 1_000 + n,
    expiresAtMs: 2_000 + n,
    maxExpiresAtMs: 9_000,
    endCause: null,
    claim: { owner: `mint-${n}`, untilMs: 1_500 },
    ...more,
  };
}

export function leaseStoreContract(open: () => Promise<Database>): void {
  let db: Database;
  let leases: LeaseStore;
  let claims: LeaseClaims;
  const pending = (n: number, more: Partial<NewLease> = {}, scope = LIVE) =>
    db.transaction((tx) => leases.insertPending(tx, scope, newLease(n, more)));
  async function active(n: number, more: Partial<NewLease> = {}, scope = LIVE): Promise<number> {
    const id = await pending(n, more, scope);
    await db.transaction((tx) => claims.activate(tx, scope, `mint-${n}`, id, newLease(n, more).expiresAtMs));
    return id;
  }
  const end = (owner: string, ids: readonly number[], cause: 'expired' | 'revoked' = 'expired') =>
    db.transaction((tx) =>
      claims.end(
        tx,
        LIVE,
        owner,
        ids.map((id) => ({ id, cause })),
        5_000,
      ),
    );
  const claimDue = (owner: string, nowMs: number, limit = 10) =>
    claims.claimDue(PLACE, { owner, untilMs: nowMs + 100 }, nowMs, limit);
  const idsOf = (rows: readonly { id: number }[]) => rows.map(({ id }) => id).sort((a, b) => a - b);

  beforeEach(async () => {
    db = await open();
    leases = createLeaseStore(db);
    claims = createLeaseClaims(db);
  });

  describe('a lease', () => {
    it('is pending until it is activated by who inserted it', async () => {
      const id = await pending(1);
      expect(await leases.find(LIVE, id)).toMatchObject({ id, status: 'pending', nextAttemptAtMs: 1_500 });
      const activate = (owner: string) => db.transaction((tx) => claims.activate(tx, LIVE, owner, id, 2_001));
      expect(await activate('another')).toBe(false);
      expect(await activate('mint-1')).toBe(true);
      expect(await activate('mint-1')).toBe(false);
      expect(await leases.find(LIVE, id)).toMatchObject({
        scope: LIVE,
        status: 'active',
        username: 'kc_user_1',
        nextAttemptAtMs: 2_001,
        statements: { creation: 'c', revocation: 'r', group: null },
      });
      for (const scope of OTHERS) expect(await leases.find(scope, id)).toBeUndefined();
    });

    it('that is to end is not activated any more', async () => {
      const id = await pending(1);
      await db.transaction((tx) => leases.askToEnd(tx, LIVE, { ids: [id] }, 'revoked', 1_100, 10));
      expect(await db.transaction((tx) => claims.activate(tx, LIVE, 'mint-1', id, 2_001))).toBe(false);
    });

    it('ends once, and then nobody has it at hand', async () => {
      const id = await active(1);
      expect(idsOf(await claimDue('a', 3_000))).toEqual([id]);
      expect(await end('b', [id])).toEqual(new Set());
      expect(await end('a', [id])).toEqual(new Set([id]));
      expect(await end('a', [id], 'revoked')).toEqual(new Set());
      expect(await leases.find(LIVE, id)).toMatchObject({
        status: 'expired',
        endCause: 'expired',
        nextAttemptAtMs: null,
      });
      expect(await claimDue('c', 9_999)).toEqual([]);
      expect(
        await db.transaction((tx) => claims.take(tx, LIVE, id, { owner: 'd', untilMs: 1 }, {})),
      ).toBeUndefined();
    });

    it('can be taken from who has it, who then writes nothing', async () => {
      const id = await active(1);
      await claimDue('a', 3_000);
      const take = { endCause: 'revoked', nextAttemptAtMs: 3_000 } as const;
      expect(
        await db.transaction((tx) => claims.take(tx, LIVE, id, { owner: 'b', untilMs: 4_000 }, take)),
      ).toMatchObject({ id, endCause: 'revoked' });
      const failure = { ids: [id], attempts: 1, nextAttemptAtMs: 9_000, lastError: 'away' };
      expect(await db.transaction((tx) => claims.fail(tx, LIVE, 'a', failure))).toEqual(new Set());
      expect(await end('a', [id])).toEqual(new Set());
      expect(await end('b', [id], 'revoked')).toEqual(new Set([id]));
    });
  });

  describe('a claim', () => {
    it('takes what is due, the longest waiting first, at most so many, and from nobody', async () => {
      const [late, later, latest] = [await active(3), await active(1), await active(2)];
      await active(900);
      for (const scope of OTHERS) await active(1, {}, scope);
      await active(1, { connectionId: 'bbbbbbbb-0000-4000-8000-000000000002' as DbConnectionId });
      expect(idsOf(await claimDue('a', 2_500, 2))).toEqual([later, latest].sort((a, b) => a - b));
      expect(idsOf(await claimDue('b', 2_500, 2))).toEqual([late]);
      expect(await claimDue('c', 2_500)).toEqual([]);
      // Those of a process that died.
      expect(idsOf(await claimDue('d', 2_601))).toEqual(idsOf([late, later, latest].map((id) => ({ id }))));
      await claims.giveBack(PLACE, 'd');
      expect(await claimDue('e', 2_601)).toHaveLength(3);
    });

    it("finds later what was put off: what is due there and at nobody's hand, and that has not failed", async () => {
      const [due, notYet] = [await active(1), await active(900)];
      const foreign = [await active(1, {}, OTHERS[0]), await active(1, {}, OTHERS[1])];
      const [held] = await claimDue('a', 2_001, 1);
      expect(held?.id).toBe(due);
      const next = await active(2);
      await claims.putOff(PLACE, 2_050, 2_700);
      const at = async (id: number, scope = LIVE) => {
        const lease = await leases.find(scope, id);
        return [lease?.nextAttemptAtMs, lease?.attempts];
      };
      expect([await at(due), await at(next), await at(notYet)]).toEqual([
        [2_001, 0],
        [2_700, 0],
        [2_900, 0],
      ]);
      for (const [index, id] of foreign.entries()) expect(await at(id, OTHERS[index])).toEqual([2_001, 0]);
    });

    it('of two at once is of one', async () => {
      const ids = new Set<number>();
      for (let n = 0; n < 20; n += 1) ids.add(await active(n));
      const taken = await Promise.all(['a', 'b', 'c'].map((owner) => claimDue(owner, 3_000, 20)));
      const all = idsOf(taken.flat());
      expect(all.length).toBe(new Set(all).size);
      expect(all.every((id) => ids.has(id))).toBe(true);
    });

    it('that failed waits for its next attempt', async () => {
      const id = await active(1);
      await claimDue('a', 3_000);
      const failure = {
        ids: [id],
        attempts: 5,
        status: 'errored' as const,
        nextAttemptAtMs: 8_000,
        lastError: 'away',
      };
      expect(await db.transaction((tx) => claims.fail(tx, LIVE, 'a', failure))).toEqual(new Set([id]));
      expect(await leases.find(LIVE, id)).toMatchObject({
        status: 'errored',
        attempts: 5,
        lastError: 'away',
      });
      expect(await claimDue('b', 7_999)).toEqual([]);
      expect(await claimDue('b', 8_000)).toHaveLength(1);
    });
  });

  describe('what is due', () => {
    it('is known by connection, and when the next will be', async () => {
      await active(1);
      await active(2);
      await active(500);
      await active(1, {}, OTHERS[0]!);
      const places = await claims.dueConnections(2_100, 10);
      expect(places).toHaveLength(2);
      expect(places).toEqual(expect.arrayContaining([PLACE, { ...PLACE, scope: OTHERS[0] }]));
      expect(await claims.nextDueAtMs(2_100)).toBe(2_500);
      expect(await claims.nextDueAtMs(2_500)).toBeNull();
      await claimDue('a', 2_100);
      expect(await claims.dueConnections(2_100, 10)).toEqual([{ ...PLACE, scope: OTHERS[0] }]);
      expect(await claims.counts(2_100, 2_001)).toEqual({ live: 4, errored: 0, due: 3, late: 2 });
    });

    it('is what failed, as soon as the connection has changed', async () => {
      const [failed, other] = [await active(1), await active(600)];
      await claimDue('a', 2_100);
      const failure = { ids: [failed], attempts: 1, nextAttemptAtMs: 99_000, lastError: 'away' };
      await db.transaction((tx) => claims.fail(tx, LIVE, 'a', failure));
      await db.transaction((tx) => leases.retryAtOnce(tx, LIVE, CONNECTION, 2_200));
      expect(idsOf(await claimDue('b', 2_200))).toEqual([failed]);
      expect(await leases.find(LIVE, other)).toMatchObject({ nextAttemptAtMs: 2_600 });
      const unborn = await pending(700);
      const waiting = { ids: [unborn], attempts: 1, nextAttemptAtMs: 99_000, lastError: 'away' };
      await db.transaction((tx) => claims.fail(tx, LIVE, 'mint-700', waiting));
      await db.transaction((tx) => leases.retryAtOnce(tx, LIVE, CONNECTION, 2_300));
      expect(idsOf(await claimDue('c', 2_300))).toEqual([failed, unborn].sort((a, b) => a - b));
    });
  });

  describe('lists', () => {
    it('have what lives and is known, the newest first, by connection, role, actor and state', async () => {
      const [first, second] = [
        await active(1),
        await active(2, { actor: 'tk_live_def', roleName: 'writer' }),
      ];
      const third = await active(2, { connectionName: 'stock' });
      await pending(4);
      const ended = await active(5);
      await claims.claimDue(PLACE, { owner: 'e', untilMs: 9_000 }, 2_005, 1);
      await db.transaction((tx) => claims.forget(tx, LIVE, [ended], 'forgotten', 5_000));
      for (const scope of OTHERS) await active(9, {}, scope);
      const list = async (filter: object, page = PAGE) => {
        const found = await leases.list(LIVE, { statuses: LISTED, ...filter }, page);
        return [found.leases.map(({ id }) => id), found.total];
      };
      expect(await list({})).toEqual([[third, second, first], 3]);
      expect(await list({}, { limit: 1, offset: 1 })).toEqual([[second], 3]);
      expect(await list({ connection: 'stock' })).toEqual([[third], 1]);
      expect(await list({ connection: 'Stock' })).toEqual([[], 0]);
      expect(await list({ role: 'writer' })).toEqual([[second], 1]);
      expect(await list({ actor: 'tk_live_abc' })).toEqual([[third, first], 2]);
      expect(await list({ statuses: ['revoked'] })).toEqual([[ended], 1]);
      expect(await list({ statuses: [...LISTED, ...ENDED] })).toEqual([[ended, third, second, first], 4]);
    });

    it('are counted with the pending ones where a connection or a role is to go', async () => {
      await active(1);
      await pending(2);
      await active(3, { roleId: 'cccccccc-0000-4000-8000-000000000002' as DbRoleId });
      const count = (roleId: DbRoleId | null, scope = LIVE) =>
        db.transaction((tx) => leases.countLive(scope, CONNECTION, roleId, tx));
      expect([await count(null), await count(ROLE), await count(null, OTHERS[0])]).toEqual([3, 2, 0]);
      const live = await db.transaction((tx) => leases.liveOf(LIVE, CONNECTION, ROLE, 10, tx));
      expect(live.map(({ username }) => username).sort()).toEqual(['kc_user_1', 'kc_user_2']);
    });
  });

  it('many are asked to end at once, those that are on their way not again', async () => {
    const [first, second, third] = [
      await active(1),
      await active(2),
      await active(3, { roleName: 'writer' }),
    ];
    await active(4, { connectionName: 'stock' });
    const ask = (choice: object, limit = 10) =>
      db.transaction((tx) => leases.askToEnd(tx, LIVE, choice, 'revoked', 1_200, limit));
    expect(await ask({ connection: 'orders', role: 'reader' }, 1)).toBe(1);
    expect(await ask({ connection: 'orders', role: 'reader' })).toBe(1);
    expect(await ask({ connection: 'orders', role: 'reader' })).toBe(0);
    expect(await ask({ ids: [third, 999_999] })).toBe(1);
    expect(idsOf(await claimDue('a', 1_200))).toEqual([first, second, third].sort((a, b) => a - b));
  });

  it('names of users are known to be of live leases, whoever has them', async () => {
    await active(1);
    await active(2, {}, OTHERS[1]!);
    const gone = await active(3);
    await db.transaction((tx) => claims.forget(tx, LIVE, [gone], 'forgotten', 5_000));
    const names = ['kc_user_1', 'kc_user_2', 'kc_user_3', 'kc_user_4'];
    expect(await leases.liveUsernames(names)).toEqual(new Set(['kc_user_1', 'kc_user_2']));
    expect(await leases.liveUsernames([])).toEqual(new Set());
  });
}
