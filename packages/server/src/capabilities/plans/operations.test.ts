import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAppError } from '../../kernel/errors.js';
import type { TenantId } from '../../kernel/ids.js';
import { systemIds } from '../../platform/crypto/random.js';
import type { Database } from '../../platform/storage/database.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { createOperationCounters, type OperationCounters } from './operations.js';
import { createPlansStore, type PlansStore } from './store.js';
import { migrations } from './tables.js';

const ACME = 'acme' as TenantId;

forEachDatabase((_name, open) => {
  describe('operations of a month', () => {
    let clock: ManualClock;
    let db: TestDatabase;
    let store: PlansStore;
    beforeEach(async () => {
      clock = createManualClock(Date.UTC(2026, 0, 31, 23, 59, 50));
      db = await open(migrations, { clock });
      store = createPlansStore(db);
    });
    afterEach(() => db.cleanup());

    function start(over: { db?: Database; store?: PlansStore } = {}): OperationCounters {
      return createOperationCounters({ db, store, clock, ids: systemIds, logger: { warn() {} }, ...over });
    }

    function countMany(counters: OperationCounters, count: number, limit: number | null = null): void {
      for (let i = 0; i < count; i++) counters.of(ACME).count(limit);
    }

    it('survive a restart', async () => {
      const before = start();
      countMany(before, 5);
      expect(await store.operations(ACME, 202601)).toBe(0);
      await before.stop();
      const after = start();
      countMany(after, 2);
      expect(await after.used(ACME)).toBe(7);
    });

    it('are written a second after the first, many in one go', async () => {
      const counters = start();
      countMany(counters, 1_000);
      clock.advance(1_000);
      await counters.used(ACME);
      expect(await store.operations(ACME, 202601)).toBe(1_000);
      // What a crash would lose now: only what came since.
      countMany(counters, 3);
      expect(await start().used(ACME)).toBe(1_000);
    });

    it('of a tenant that never pauses are written once a second all the same', async () => {
      let writes = 0;
      const watched: Database = {
        ...db,
        transaction(run) {
          writes += 1;
          // A call during every write: the next write would find it.
          countMany(counters, 1);
          return db.transaction(run);
        },
      };
      const counters = start({ db: watched });
      countMany(counters, 1);
      for (let second = 1; second <= 3; second++) {
        clock.advance(1_000);
        expect(await counters.used(ACME)).toBe(second + 1);
        expect(writes).toBe(second);
      }
      expect(await store.operations(ACME, 202601)).toBe(3);
    });

    it('are one sum over two processes', async () => {
      const [one, two] = [start(), start()];
      countMany(one, 3);
      countMany(two, 4);
      await Promise.all([one.stop(), two.stop()]);
      expect([await one.used(ACME), await two.used(ACME)]).toEqual([7, 7]);
    });

    it('end at the limit, with what other processes have written', async () => {
      const [one, two] = [start(), start()];
      await one.of(ACME).assertRoom(5);
      countMany(one, 4, 5);
      await one.stop();
      await two.of(ACME).assertRoom(5);
      countMany(two, 1, 5);
      const refused = await refusal(() => two.of(ACME).assertRoom(5));
      expect(isAppError(refused, 'plan_limit')).toBe(true);
      expect(isAppError(await refusal(() => two.of(ACME).count(5)), 'plan_limit')).toBe(true);
    });

    it('begin anew with the month of UTC, and count the former to its end', async () => {
      const counters = start();
      countMany(counters, 3);
      clock.advance(10_000);
      countMany(counters, 2);
      await counters.stop();
      expect(await store.operations(ACME, 202601)).toBe(3);
      expect(await store.operations(ACME, 202602)).toBe(2);
      expect(await counters.used(ACME)).toBe(2);
    });

    it.each(['before', 'after'])(
      'are counted once when the answer to a write is lost %s its commit',
      async (when) => {
        let losses = 1;
        const losing: Database = {
          ...db,
          async transaction(run) {
            if (when === 'before' && losses-- > 0) throw new Error('connection lost');
            const value = await db.transaction(run);
            if (when === 'after' && losses-- > 0) throw new Error('connection lost');
            return value;
          },
        };
        const counters = start({ db: losing });
        countMany(counters, 4);
        await counters.stop();
        countMany(counters, 1);
        expect(await counters.used(ACME)).toBeGreaterThanOrEqual(5);
        await counters.stop();
        expect(await store.operations(ACME, 202601)).toBe(5);
        expect(await counters.used(ACME)).toBe(5);
      },
    );
  });
});

async function refusal(work: () => unknown): Promise<unknown> {
  try {
    await work();
    return null;
  } catch (error) {
    return error;
  }
}
