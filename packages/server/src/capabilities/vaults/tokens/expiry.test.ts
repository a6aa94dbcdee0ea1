import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../../kernel/principal.js';
import { LeaseLost } from '../../../platform/jobs/definition.js';
import { forEachDatabase } from '../../../testing/databases.js';
import { createVaultHarness, holding, type VaultHarness } from '../../../testing/vault-harness.js';
import { vaultTables } from '../tables.js';
import { createReaperStore } from './reaper-store.js';

const newVault = {
  tokenFormat: 'generic',
  description: null,
  metadata: null,
  echoGuard: true,
  defaultTtlSeconds: null,
} as const;
const aRun = (batchMax: number) => ({
  batchMax,
  fence: async () => {},
  isStopping: () => false,
  signal: new AbortController().signal,
});

forEachDatabase((_name, open) => {
  describe('tokens that expire', () => {
    let harness: VaultHarness;
    let live: Caller;
    beforeEach(async () => {
      harness = await createVaultHarness(open);
      live = harness.callerOf(harness.tenant, 'live');
    });
    afterEach(() => harness.close());

    const create = (name: string, caller = live, more = {}) =>
      harness.vaults.create(caller, { ...newVault, name, ...more });
    const tokenize = (name: string, ttlSeconds: number | null = null, caller = live) =>
      harness.vaults.tokenize(caller, name, { ...holding('canary'), ttlSeconds });
    const fill = async (name: string, count: number, ttlSeconds: number, caller = live) => {
      await Promise.all(Array.from({ length: count }, () => tokenize(name, ttlSeconds, caller)));
    };
    const countRows = async (caller: Caller) => {
      const rows = await harness.db
        .view(vaultTables)
        .scoped(caller.principal.scope)
        .selectFrom('vault_tokens')
        .select('id')
        .execute();
      return rows.length;
    };
    const removals = async (tenant = harness.tenant) => {
      const action = { column: 'action', anyOf: ['vault.token.delete'] } as const;
      const filter = { page: 1, perPage: 100, order: 'asc', action } as const;
      return (await harness.auditLogs.list(tenant.id, filter)).rows;
    };

    it('are not there any more from that millisecond on, for anybody', async () => {
      await create('cards');
      const token = await tokenize('cards', 60);
      const startMs = harness.clock.nowMs();
      expect(token.expiresAtMs).toBe(startMs + 60_000);
      await harness.advance(59_999);
      expect((await harness.vaults.detokenize(live, 'cards', token.token)).expiresAtMs).toBe(
        startMs + 60_000,
      );
      expect(
        await harness.vaults.detokenizeForProxy(live, [{ vault: null, token: token.token }]),
      ).toHaveLength(1);
      await harness.advance(1);
      for (const reference of [token.token, token.id]) {
        for (const act of [harness.vaults.detokenize, harness.vaults.deleteToken]) {
          await expect(act(live, 'cards', reference)).rejects.toMatchObject({
            type: 'not_found',
            publicMessage: 'Token not found',
          });
        }
        for (const vault of ['cards', null]) {
          const refused = harness.vaults.detokenizeForProxy(live, [{ vault, token: reference }]);
          await expect(refused).rejects.toMatchObject({ type: 'token_not_found' });
        }
      }
      const options = { page: 1, perPage: 20, sort: 'created_at', order: 'desc' } as const;
      expect(await harness.vaults.listTokens(live, 'cards', options)).toMatchObject({ rows: [], total: 0 });
    });

    it('take the time of the call, else that of the vault as it is now, else none', async () => {
      await create('cards', live, { defaultTtlSeconds: 100 });
      const nowMs = harness.clock.nowMs();
      expect((await tokenize('cards')).expiresAtMs).toBe(nowMs + 100_000);
      expect((await tokenize('cards', 5)).expiresAtMs).toBe(nowMs + 5_000);
      await harness.vaults.update(live, 'cards', { defaultTtlSeconds: null });
      expect((await tokenize('cards')).expiresAtMs).toBeNull();
      await harness.vaults.update(live, 'cards', { defaultTtlSeconds: 7 });
      expect((await tokenize('cards')).expiresAtMs).toBe(nowMs + 7_000);
      expect((await harness.vaults.get(live, 'cards')).defaultTtlSeconds).toBe(7);
    });

    it('are counted apart', async () => {
      await create('cards');
      await fill('cards', 2, 60);
      await fill('cards', 3, 24 * 3_600);
      await fill('cards', 4, 48 * 3_600);
      await tokenize('cards');
      const counts = async () => (await harness.vaults.get(live, 'cards')).counts;
      expect(await counts()).toEqual({ tokens: 10, expired: 0, expiringInDay: 5 });
      await harness.advance(60_000);
      expect(await counts()).toEqual({ tokens: 10, expired: 2, expiringInDay: 3 });
    });

    it('do not keep a vault from being deleted', async () => {
      await create('cards');
      await tokenize('cards', 60);
      const refused = harness.vaults.delete(live, 'cards', { force: false });
      await expect(refused).rejects.toMatchObject({ type: 'conflict' });
      await harness.advance(60_000);
      await harness.vaults.delete(live, 'cards', { force: false });
      expect(await countRows(live)).toBe(0);
    });

    describe('are removed', () => {
      it('by turns, so that nobody waits for a vault that has many, in every tenant and mode', async () => {
        const test = harness.callerOf(harness.tenant, 'test');
        const foreign = harness.callerOf(harness.other, 'live');
        const many = await create('many');
        await create('cards', test);
        await create('cards', foreign);
        await create('idle');
        await fill('many', 30, 60);
        await fill('cards', 2, 60, test);
        await fill('cards', 3, 60, foreign);
        await fill('idle', 1, 61);
        await tokenize('idle');
        await harness.advance(60_000);

        expect(await harness.vaults.removeExpired(aRun(9))).toEqual({ rows: 8, againInMs: 0 });
        expect([await countRows(live), await countRows(test), await countRows(foreign)]).toEqual([29, 0, 0]);
        expect(await removals(harness.other)).toMatchObject([
          {
            ipAddress: null,
            resourceType: 'vault',
            details: { vault: 'cards', tokens_deleted: 3, reason: 'expired', sandbox: false },
          },
        ]);
        const rest = [];
        let isOver = false;
        while (!isOver) {
          const report = await harness.vaults.removeExpired(aRun(9));
          rest.push(report.rows);
          isOver = report.againInMs === undefined;
        }
        expect(rest).toEqual([9, 9, 9, 0]);
        expect(await countRows(live)).toBe(2);
        const deleted = (await removals()).filter(({ resourceId }) => resourceId === many.id);
        expect(deleted.map(({ details }) => details['tokens_deleted'])).toEqual([3, 9, 9, 9]);
        expect(await harness.vaults.removeExpired(aRun(9))).toEqual({ rows: 0 });
      });

      it('one of each when more vaults are due than a batch has rows', async () => {
        for (const name of ['a', 'b', 'c']) {
          await create(name);
          await fill(name, 2, 60);
        }
        await harness.advance(60_000);
        expect(await harness.vaults.removeExpired(aRun(2))).toEqual({ rows: 3, againInMs: 0 });
        const left = await Promise.all(['a', 'b', 'c'].map((name) => harness.vaults.get(live, name)));
        expect(left.map(({ counts }) => counts.tokens)).toEqual([1, 1, 1]);
      });

      it('not at all by a run that has lost its lease, and no further once it is to stop', async () => {
        for (const name of ['a', 'b']) {
          await create(name);
          await fill(name, 2, 60);
        }
        await harness.advance(60_000);
        const fence = async () => {
          throw new LeaseLost('vault_token_expiry');
        };
        const lost = harness.vaults.removeExpired({ ...aRun(9), fence });
        await expect(lost).rejects.toThrow(LeaseLost);
        expect([await countRows(live), await removals()]).toEqual([4, []]);
        let asked = 0;
        const isStopping = () => ++asked > 1;
        const stopped = await harness.vaults.removeExpired({ ...aRun(9), isStopping });
        expect(stopped).toEqual({ rows: 2, againInMs: 0 });
      });

      it('in a round that goes over all vaults, page by page', async () => {
        const store = createReaperStore(harness.db);
        for (const name of ['a', 'b', 'c']) await create(name);
        await create('x', harness.callerOf(harness.other, 'test'));
        const seen = [];
        let page = await store.vaultsAfter(null, 0, 3);
        while (page.length > 0) {
          seen.push(...page);
          page = await store.vaultsAfter(page.at(-1) ?? null, 0, 3);
        }
        expect(seen.map(({ name }) => name).sort()).toEqual(['a', 'b', 'c', 'x']);
        expect(new Set(seen.map(({ id }) => id)).size).toBe(4);
      });
    });
  });
});
