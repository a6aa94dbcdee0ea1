import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { createGenerations, migrations } from './generations.js';

export function generationsContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await open(migrations);
  });
  afterAll(() => db.cleanup());

  it('is seen here at the commit and elsewhere at the next poll', async () => {
    const clock = createManualClock();
    const here = createGenerations({ db, clock });
    const elsewhere = createGenerations({ db, clock });
    await here.start();
    await elsewhere.start();
    await db.transaction(async (tx) => {
      await here.bump(tx, 'rules:a');
      expect(here.current('rules:a')).toBe(0);
    });
    await db.transaction((tx) => here.bump(tx, 'rules:a'));
    expect([here.current('rules:a'), elsewhere.current('rules:a')]).toEqual([2, 0]);
    clock.advance(500);
    await elsewhere.stop();
    expect(elsewhere.current('rules:a')).toBe(2);
    await here.stop();
    const later = createGenerations({ db, clock });
    await later.start();
    expect(later.current('rules:a')).toBe(2);
    await later.stop();
  });

  it('is seen by processes whose clocks are ahead and behind', async () => {
    const isShared = db.dialect === 'postgres';
    // By the time of the database: far behind it, every clock looks back far enough.
    const nowMs = (isShared ? systemClock : createManualClock()).nowMs();
    const at = (ms: number) => {
      const clock = createManualClock(nowMs + ms);
      return { clock, generations: createGenerations({ db, clock }) };
    };
    // One process has SQLite to itself, and its clock: there none is ahead of another.
    const spread = isShared ? 90_000 : 0;
    const all = [at(-spread), at(0), at(spread)];
    for (const { generations } of all) await generations.start();
    for (const [index, { generations }] of all.entries()) {
      await db.transaction((tx) => generations.bump(tx, `clocks:${index}`));
      for (const other of all) {
        expect(await other.generations.refresh()).toBe(true);
        expect(other.generations.current(`clocks:${index}`)).toBe(1);
      }
    }
    for (const { generations } of all) await generations.stop();
  });

  it('forgets a bump that was rolled back', async () => {
    const generations = createGenerations({ db, clock: createManualClock() });
    const change = db.transaction(async (tx) => {
      await generations.bump(tx, 'rules:b');
      throw new Error('no');
    });
    await expect(change).rejects.toThrow('no');
    await generations.start();
    expect(generations.current('rules:b')).toBe(0);
    await generations.stop();
  });

  it('learns what changed while it could not read for longer than it looks back', async () => {
    const clock = createManualClock();
    const here = createGenerations({ db, clock });
    let isCutOff = false;
    const cutOff = readThrough(db, (rows) => (isCutOff ? Promise.reject(new Error('cut off')) : rows()));
    const elsewhere = createGenerations({ db: cutOff, clock });
    await elsewhere.start();
    isCutOff = true;
    await db.transaction((tx) => here.bump(tx, 'rules:c'));
    clock.advance(500);
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(120_000);
    await new Promise((resolve) => setImmediate(resolve));
    isCutOff = false;
    clock.advance(500);
    await elsewhere.stop();
    expect(elsewhere.current('rules:c')).toBe(1);
  });

  it('is not fresh before it has read, nor when it could not read for 1 s', async () => {
    const clock = createManualClock();
    const generations = createGenerations({ db, clock });
    expect(generations.isFresh()).toBe(false);
    await generations.start();
    expect(generations.isFresh()).toBe(true);
    await generations.stop();
    clock.advance(1_000);
    expect(generations.isFresh()).toBe(false);
  });

  it('reads on request what it missed', async () => {
    const clock = createManualClock();
    const here = createGenerations({ db, clock });
    const cutOff = createGenerations({ db, clock });
    await cutOff.start();
    await cutOff.stop();
    clock.advance(10_000);
    await db.transaction((tx) => here.bump(tx, 'rules:d'));
    clock.advance(600_000);
    expect(await cutOff.refresh()).toBe(true);
    expect([cutOff.current('rules:d'), cutOff.isFresh()]).toEqual([1, true]);
  });

  it('is not made fresh by a read that took 1 s', async () => {
    const clock = createManualClock();
    let isSlow = false;
    const slow = readThrough(db, async (rows) => {
      const found = await rows();
      if (isSlow) clock.advance(1_000);
      return found;
    });
    const generations = createGenerations({ db: slow, clock });
    expect(await generations.refresh()).toBe(true);
    isSlow = true;
    expect(await generations.refresh()).toBe(false);
    isSlow = false;
    expect(await generations.refresh()).toBe(true);
  });
}

/** The same database, each read of its defined queries in the hands of `read`. */
function readThrough(
  db: TestDatabase,
  read: <Rows>(rows: () => Promise<Rows>) => Promise<Rows>,
): TestDatabase {
  const view: TestDatabase['view'] = (tables) => {
    const real = db.view(tables);
    return {
      ...real,
      defineSystem: (...args) => {
        const query = real.defineSystem(...args);
        return { ...query, all: (...given) => read(async () => query.all(...given)) };
      },
    } as typeof real;
  };
  return Object.assign(Object.create(db), { view });
}
