import { expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { forEachDatabase, onPostgres } from '../../testing/databases.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { generationsContract } from './generations.contract.js';
import { createGenerations, migrations } from './generations.js';

forEachDatabase((_name, open) => generationsContract(open));

// SQLite has one transaction at a time.
onPostgres((open) => {
  it.each([
    ['an equal', 0],
    ['a slow', -90_000],
    ['a fast', 90_000],
  ])(
    'is seen by %s clock where it was stamped before a change already read, and committed after',
    async (_, ms) => {
      const db = await open(migrations);
      // By the time of the database: far behind it, every clock looks back far enough.
      const clock = createManualClock(systemClock.nowMs());
      const here = createGenerations({ db, clock });
      const elsewhere = createGenerations({ db, clock: createManualClock(clock.nowMs() + ms) });
      await elsewhere.refresh();
      await db.transaction(async (tx) => {
        await here.bump(tx, 'rules:long');
        await db.transaction((other) => here.bump(other, 'rules:short'));
        await elsewhere.refresh();
        expect([elsewhere.current('rules:short'), elsewhere.current('rules:long')]).toEqual([1, 0]);
      });
      expect(await elsewhere.refresh()).toBe(true);
      expect(elsewhere.current('rules:long')).toBe(1);
      await db.cleanup();
    },
  );
});
