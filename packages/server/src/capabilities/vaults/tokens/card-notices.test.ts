import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../../kernel/principal.js';
import { type JobContext, LeaseLost } from '../../../platform/jobs/definition.js';
import type { OutboxEvent } from '../../../platform/outbox/store.js';
import { forEachDatabase } from '../../../testing/databases.js';
import { createVaultHarness, holding, type VaultHarness } from '../../../testing/vault-harness.js';

const CARD = '4111111111111111';
/** The harness begins on 2026-01-15: a card that is good in May ends on 2026-05-31. */
const MAY = { month: 5, year: 2026 };
const DAY_MS = 24 * 3_600_000;

const aRun: JobContext = {
  id: 1,
  payload: {},
  attempt: 1,
  batchMax: 100,
  signal: new AbortController().signal,
  isStopping: () => false,
  fence: async () => {},
};

forEachDatabase((_name, open) => {
  describe('cards that are about to end', () => {
    let harness: VaultHarness;
    let live: Caller;
    let delivered: OutboxEvent[];
    beforeEach(async () => {
      harness = await createVaultHarness(open);
      live = harness.callerOf(harness.tenant, 'live');
      delivered = [];
      harness.outbox.listen({
        name: 'probe',
        wants: (type) => type === 'vault.token.expiring',
        handle: async (event) => void delivered.push(event),
      });
      for (const caller of [live, harness.callerOf(harness.other, 'test')]) {
        await harness.vaults.create(caller, {
          name: 'cards',
          tokenFormat: 'pan',
          description: null,
          metadata: null,
          echoGuard: true,
          defaultTtlSeconds: null,
        });
      }
    });
    afterEach(() => harness.close());

    const tokenize = (more = {}, caller = live) =>
      harness.vaults.tokenize(caller, 'cards', { ...holding(CARD), cardExpiry: MAY, ...more });
    const goTo = async (iso: string) => {
      harness.clock.advance(Date.parse(iso) - harness.clock.nowMs());
      await harness.advance(0);
    };
    const tell = (more: Partial<JobContext> = {}, vaults = harness.vaults) =>
      vaults.tellOfCards({ ...aRun, ...more });
    const deliver = async () => {
      const dispatcher = harness.outbox.definitions().find(({ kind }) => kind === 'outbox_probe')!;
      await dispatcher.run(aRun);
      return delivered.splice(0);
    };

    it('are told of 60 and 30 days before, each once', async () => {
      const token = await tokenize();
      expect(token.cardExpiresOn).toBe('2026-05-31');
      await goTo('2026-03-31T23:59:59.999Z');
      expect(await tell()).toEqual({ rows: 0 });
      const told = [];
      for (const day of ['2026-04-01', '2026-04-15', '2026-05-01', '2026-05-02', '2026-06-15']) {
        await goTo(`${day}T00:00:00.000Z`);
        expect((await tell()).rows).toBe(['2026-04-01', '2026-05-01'].includes(day) ? 1 : 0);
        expect(await tell()).toEqual({ rows: 0 });
        told.push(...(await deliver()));
      }
      const vault = await harness.vaults.get(live, 'cards');
      const data = {
        vault_id: vault.id,
        vault_name: 'cards',
        token_id: token.id,
        card_expires_on: '2026-05-31',
      };
      expect(told.map(({ scope, type, key, payload }) => ({ scope, type, key, payload }))).toEqual(
        [60, 30].map((days_before) => ({
          scope: live.principal.scope,
          type: 'vault.token.expiring',
          key: token.id,
          payload: { ...data, days_before },
        })),
      );
      expect(JSON.stringify(told)).not.toContain(token.token);
      expect(JSON.stringify(told)).not.toContain(CARD);
    });

    it('are told of late by a server that was away, in order, in every tenant and mode', async () => {
      await tokenize();
      await tokenize({}, harness.callerOf(harness.other, 'test'));
      await goTo('2026-06-10T00:00:00.000Z');
      expect((await tell()).rows).toBe(2);
      expect((await tell()).rows).toBe(2);
      expect((await tell()).rows).toBe(0);
      const told = await deliver();
      const daysOf = (tenantId: string) =>
        told
          .filter(({ scope }) => scope.tenantId === tenantId)
          .map(({ scope, payload }) => [scope.sandbox, payload['days_before']]);
      expect(daysOf(harness.tenant.id)).toEqual([
        [false, 60],
        [false, 30],
      ]);
      expect(daysOf(harness.other.id)).toEqual([
        [true, 60],
        [true, 30],
      ]);
    });

    it('are told of no more when the token is deleted or expired, and not at all without a date', async () => {
      const deleted = await tokenize();
      await tokenize({ cardExpiry: null });
      await tokenize({ ttlSeconds: (30 * DAY_MS) / 1_000 });
      await harness.vaults.deleteToken(live, 'cards', deleted.id);
      await goTo('2026-04-02T00:00:00.000Z');
      await tell();
      expect(await deliver()).toEqual([]);
      expect(await tell()).toEqual({ rows: 0 });
    });

    it('are told of in batches, at once again while there are more', async () => {
      for (let n = 0; n < 5; n += 1) await tokenize();
      await goTo('2026-04-02T00:00:00.000Z');
      expect(await tell({ batchMax: 2 })).toEqual({ rows: 2, againInMs: 0 });
      expect(await tell({ batchMax: 2 })).toEqual({ rows: 2, againInMs: 0 });
      expect(await tell({ batchMax: 2 })).toEqual({ rows: 1 });
      const told = await deliver();
      expect(new Set(told.map(({ key }) => key)).size).toBe(5);
    });

    it('are told of once, although a run dies in the middle or loses its lease', async () => {
      for (let n = 0; n < 3; n += 1) await tokenize();
      await goTo('2026-04-02T00:00:00.000Z');
      let published = 0;
      const dying = await harness.createVaultsElsewhere({
        outbox: {
          async publish(tx, event) {
            if (++published === 3) throw new Error('the process dies');
            return harness.outbox.publish(tx, event);
          },
        },
      });
      await expect(tell({}, dying)).rejects.toThrow('the process dies');
      const fence = async () => {
        throw new LeaseLost('vault_card_notices');
      };
      await expect(tell({ fence })).rejects.toThrow(LeaseLost);
      expect(await deliver()).toEqual([]);
      expect((await tell()).rows).toBe(3);
      expect((await deliver()).map(({ payload }) => payload['days_before'])).toEqual([60, 60, 60]);
    });
  });
});
