import { inspect } from 'node:util';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { endOf, startSource } from '../../testing/child-process.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { createManualClock } from '../../testing/manual-clock.js';
import {
  LIVE,
  NOTE_MIGRATIONS,
  NOTE_TABLES,
  type NotesDb,
  noteOf,
  OTHER,
  SANDBOX,
} from '../../testing/notes.js';
import { UnbindableValue } from './binding.js';
import { type Transaction, UniqueViolation, type View } from './database.js';
import { StatementFailure } from './engine.js';
import { openDatabase, openDatabaseForReading } from './open-database.js';

/** What every store may rely on, whichever database is below. */
export function databaseContract(open: OpenTestDatabase): void {
  const clock = createManualClock();
  const logged: string[] = [];
  const logger = { warn: () => {}, error: (_fields: object, message: string) => logged.push(message) };
  let db: TestDatabase;
  let view: View<NotesDb>;

  beforeAll(async () => {
    db = await open(NOTE_MIGRATIONS, { clock, logger });
    view = db.view(NOTE_TABLES);
  });
  afterAll(() => db.cleanup());
  beforeEach(async () => {
    for (const table of ['notes', 'folders', 'counters'] as const) {
      await view.system('metrics').deleteFrom(table).execute();
    }
  });

  async function noteIds(): Promise<string[]> {
    const rows = await view.system('metrics').selectFrom('notes').select('id').orderBy('id').execute();
    return rows.map((row) => row.id);
  }

  async function count(tx: Transaction, id: string): Promise<void> {
    const before = await view
      .system('metrics', tx)
      .selectFrom('counters')
      .select('value')
      .where('id', '=', id)
      .execute();
    const value = (before[0]?.value ?? 0) + 1;
    await view.system('metrics', tx).updateTable('counters').set({ value }).where('id', '=', id).execute();
  }

  async function counterOf(id: string): Promise<number | undefined> {
    const rows = await view
      .system('metrics')
      .selectFrom('counters')
      .select('value')
      .where('id', '=', id)
      .execute();
    return rows[0]?.value;
  }

  describe('scope', () => {
    beforeEach(async () => {
      for (const scope of [LIVE, SANDBOX, OTHER]) {
        await view.scoped(scope).insertInto('notes').values(noteOf('same')).execute();
        await view
          .scoped(scope)
          .insertInto('folders')
          .values({ id: 'f', title: 'same' })
          .onConflict((c) => c.doNothing())
          .execute();
      }
    });

    it('reads, changes and deletes the rows of one tenant and mode', async () => {
      await view.scoped(LIVE).updateTable('notes').set({ amount: 2 }).execute();
      await view.scoped(SANDBOX).deleteFrom('notes').execute();
      const rows = await view
        .system('metrics')
        .selectFrom('notes')
        .select(['tenant_id', 'sandbox', 'amount'])
        .orderBy('tenant_id')
        .execute();
      expect(rows).toEqual([
        { tenant_id: 'tenant-a', sandbox: 0, amount: 2 },
        { tenant_id: 'tenant-b', sandbox: 0, amount: 1 },
      ]);
    });

    it('reads aside what is committed, of one tenant and mode, and writes nothing there', async () => {
      await view.scoped(LIVE).insertInto('notes').values(noteOf('fresh')).execute();
      const aside = view.aside(LIVE);
      const rows = await aside
        .selectFrom('notes')
        .select(['tenant_id', 'sandbox', 'id'])
        .orderBy('id')
        .execute();
      expect(rows).toEqual([
        { tenant_id: 'tenant-a', sandbox: 0, id: 'fresh' },
        { tenant_id: 'tenant-a', sandbox: 0, id: 'same' },
      ]);
      expect(await view.aside(SANDBOX).selectFrom('notes').select('id').execute()).toEqual([{ id: 'same' }]);
      const writing = aside as unknown as ReturnType<typeof view.scoped>;
      await expect(writing.deleteFrom('notes').execute()).rejects.toThrow('only reads');
      expect(await noteIds()).toContain('fresh');
    });

    it('scopes each table of a join, and the rows a left join may lack', async () => {
      await view.scoped(OTHER).insertInto('folders').values({ id: 'only-b', title: 'foreign' }).execute();
      await view.scoped(LIVE).insertInto('notes').values(noteOf('only-b')).execute();
      const joined = await view
        .scoped(LIVE)
        .selectFrom('notes as n')
        .leftJoin('folders as f', 'f.id', 'n.id')
        .select(['n.id', 'f.title'])
        .orderBy('n.id')
        .execute();
      expect(joined).toEqual([
        { id: 'only-b', title: null },
        { id: 'same', title: null },
      ]);
      const both = await view
        .scoped(LIVE)
        .selectFrom(['notes', 'folders'])
        .select(['notes.id', 'folders.title'])
        .execute();
      expect(both).toHaveLength(2);
    });

    it('scopes subqueries, unions and an or that would widen it', async () => {
      await view.scoped(OTHER).insertInto('notes').values(noteOf('foreign')).execute();
      const inner = await view
        .scoped(LIVE)
        .selectFrom('folders')
        .select((eb) =>
          eb
            .selectFrom('notes')
            .select((s) => s.fn.countAll<number>().as('n'))
            .as('n'),
        )
        .execute();
      expect(inner).toEqual([{ n: 1 }]);
      const widened = await view
        .scoped(LIVE)
        .selectFrom('notes')
        .select('id')
        .where(sql<boolean>`1 = 1 or 1 = 1`)
        .execute();
      expect(widened).toEqual([{ id: 'same' }]);
      const all = await view
        .scoped(LIVE)
        .selectFrom('notes')
        .select('id')
        .unionAll(view.scoped(OTHER).selectFrom('notes').select('id'))
        .execute();
      expect(all).toEqual([{ id: 'same' }, { id: 'same' }]);
    });

    it('updates on conflict the row of its own scope only', async () => {
      const upsert = (scope: typeof LIVE, amount: number) =>
        view
          .scoped(scope)
          .insertInto('notes')
          .values(noteOf('same', { amount }))
          .onConflict((c) => c.columns(['tenant_id', 'sandbox', 'id']).doUpdateSet({ amount }))
          .execute();
      await upsert(LIVE, 7);
      const rows = await view
        .system('metrics')
        .selectFrom('notes')
        .select(['tenant_id', 'amount'])
        .where('sandbox', '=', 0)
        .orderBy('tenant_id')
        .execute();
      expect(rows).toEqual([
        { tenant_id: 'tenant-a', amount: 7 },
        { tenant_id: 'tenant-b', amount: 1 },
      ]);
    });
  });

  describe('values', () => {
    it('come back as they went', async () => {
      const row = { ...noteOf('v', { amount: -0 }), ratio: 0.1, payload: Buffer.from([0, 1, 255]) };
      await view.scoped(LIVE).insertInto('notes').values(row).execute();
      await db.commitInserts([
        view.insertion('notes', LIVE, { ...row, id: 'w', name: 'w', payload: Buffer.alloc(0), ratio: null }),
      ]);
      const [v, w] = await view.scoped(LIVE).selectFrom('notes').selectAll().orderBy('id').execute();
      expect(v).toEqual({ tenant_id: 'tenant-a', sandbox: 0, ...row, amount: 0 });
      expect(w).toMatchObject({ payload: Buffer.alloc(0), ratio: null });
      expect(Buffer.isBuffer(v?.payload)).toBe(true);
    });

    it('are whole to 2^53 and refuse to be read inexactly beyond', async () => {
      await view
        .scoped(LIVE)
        .insertInto('notes')
        .values(noteOf('a', { amount: BigInt(Number.MAX_SAFE_INTEGER) }))
        .execute();
      await view
        .scoped(LIVE)
        .insertInto('notes')
        .values(noteOf('b', { amount: 2n ** 63n - 1n }))
        .execute();
      const amount = (id: string) =>
        view.scoped(LIVE).selectFrom('notes').select('amount').where('id', '=', id).execute();
      expect(await amount('a')).toEqual([{ amount: Number.MAX_SAFE_INTEGER }]);
      await expect(amount('b')).rejects.toThrow(StatementFailure);
      await expect(
        db.transaction((tx) => view.scoped(LIVE, tx).selectFrom('notes').select('amount').execute()),
      ).rejects.toThrow(StatementFailure);
    });

    it('count, sum and compare to numbers', async () => {
      await view
        .scoped(LIVE)
        .insertInto('notes')
        .values([noteOf('a'), noteOf('b', { amount: 4 })])
        .execute();
      const rows = await view
        .scoped(LIVE)
        .selectFrom('notes')
        .select((eb) => [
          eb.fn.countAll<number>().as('n'),
          eb.fn.sum<number>('amount').as('sum'),
          eb(eb.fn.max('amount'), '>', 3).as('large'),
        ])
        .execute();
      expect(rows).toEqual([{ n: 2, sum: 5, large: 1 }]);
      const updated = await view
        .scoped(LIVE)
        .updateTable('notes')
        .set((eb) => ({ amount: eb('amount', '+', 1) }))
        .execute();
      expect(updated[0]?.numUpdatedRows).toBe(2n);
    });

    it('are numbered by the database', async () => {
      const one = () =>
        view.system('metrics').insertInto('serials').values({ text: 'x' }).returning('position').execute();
      const [first, second] = [await one(), await one()];
      expect(second[0]!.position).toBe(first[0]!.position + 1);
    });

    it('order text by its bytes', async () => {
      const names = ['b', 'B', 'a', 'é', 'z', 'Z', '_', '~', '10', '9', '\u{1d4b3}', '\uffee', 'aa', ''];
      await db.commitInserts(
        names.map((name, index) => view.insertion('notes', LIVE, noteOf(`${index}`, { name }))),
      );
      const rows = await view.scoped(LIVE).selectFrom('notes').select('name').orderBy('name').execute();
      expect(rows.map((row) => row.name)).toEqual(
        [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
    });

    it.each([
      ['NUL', 'a\0b'],
      ['a lone surrogate', 'a\ud800b'],
    ])('refuses %s', async (_kind, name) => {
      await expect(
        view.scoped(LIVE).insertInto('notes').values(noteOf('n', { name })).execute(),
      ).rejects.toThrow(UnbindableValue);
      expect(() => view.insertion('notes', LIVE, noteOf('n', { name }))).toThrow(UnbindableValue);
      expect(await noteIds()).toEqual([]);
    });

    it('that do not fit their column fail without being quoted', async () => {
      const canary = 'canary-4111111111111111';
      const wrong = { ...noteOf('n'), amount: canary as unknown as number };
      const failures = [
        await view
          .scoped(LIVE)
          .insertInto('notes')
          .values(wrong)
          .execute()
          .catch((error: unknown) => error),
        await db.commitInserts([view.insertion('notes', LIVE, wrong)]).catch((error: unknown) => error),
        await db
          .transaction((tx) => view.scoped(LIVE, tx).insertInto('notes').values(wrong).execute())
          .catch((error: unknown) => error),
      ];
      for (const failure of failures) {
        expect(failure).toBeInstanceOf(StatementFailure);
        expect(inspect(failure, { depth: 9 })).not.toContain(canary);
      }
    });
  });

  describe('unique keys', () => {
    it('name the table and the columns', async () => {
      const insert = (id: string, name: string) =>
        view.scoped(LIVE).insertInto('notes').values(noteOf(id, { name })).execute();
      await insert('a', 'x');
      await expect(insert('b', 'x')).rejects.toMatchObject({
        name: 'UniqueViolation',
        table: 'notes',
        columns: ['tenant_id', 'sandbox', 'name'],
      });
      await expect(insert('a', 'y')).rejects.toMatchObject({ columns: ['tenant_id', 'sandbox', 'id'] });
    });
  });

  describe('exclusively', () => {
    it('commits, rolls back, and lets only one in at a time', async () => {
      const insert = (id: string) => (tx: Transaction) =>
        view.scoped(LIVE, tx).insertInto('notes').values(noteOf(id)).execute();
      await db.exclusively('job', insert('a'));
      await expect(
        db.exclusively('job', async (tx) => {
          await insert('b')(tx);
          throw new Error('no');
        }),
      ).rejects.toThrow('no');
      const other = await openDatabase(db.storage, { migrations: NOTE_MIGRATIONS, clock });
      try {
        if (db.dialect === 'postgres') {
          const inner = await db.exclusively('job', async (tx) => {
            await insert('c')(tx);
            return [
              await other.exclusively('job', async () => 1),
              await other.exclusively('else', async () => 2),
            ];
          });
          expect(inner).toEqual([null, 2]);
        }
        expect(await other.exclusively('job', async () => 3)).toBe(3);
      } finally {
        await other.close();
      }
      expect(await noteIds()).toEqual(db.dialect === 'postgres' ? ['a', 'c'] : ['a']);
    });
  });

  describe('opened for reading', () => {
    it('shows what is there, changes nothing, and refuses tables of another version', async () => {
      await view.scoped(LIVE).insertInto('notes').values(noteOf('a')).execute();
      const reading = await openDatabaseForReading(db.storage, { migrations: NOTE_MIGRATIONS, clock });
      try {
        const seen = reading.view(NOTE_TABLES).scoped(LIVE);
        expect(await seen.selectFrom('notes').select('id').execute()).toEqual([{ id: 'a' }]);
        await expect(seen.deleteFrom('notes').execute()).rejects.toThrow('not available');
        await expect(
          reading.commitInserts([reading.view(NOTE_TABLES).insertion('notes', LIVE, noteOf('b'))]),
        ).rejects.toThrow('not available');
      } finally {
        await reading.close();
      }
      await expect(openDatabaseForReading(db.storage, { migrations: [], clock })).rejects.toThrow(
        'another version',
      );
      expect(await noteIds()).toEqual(['a']);
    });
  });

  describe('group commit', () => {
    const add = (...ids: string[]) =>
      db.commitInserts(ids.map((id) => view.insertion('notes', LIVE, noteOf(id))));

    it('fails one write alone', async () => {
      await add('taken');
      const outcomes = await Promise.allSettled([
        add('a'),
        add('taken'),
        add('b', 'taken', 'c'),
        add('a'),
        add('d', 'e'),
      ]);
      expect(outcomes.map((outcome) => outcome.status)).toEqual([
        'fulfilled',
        'rejected',
        'rejected',
        'rejected',
        'fulfilled',
      ]);
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') {
          expect(outcome.reason).toBeInstanceOf(UniqueViolation);
          // Both keys refuse the row, and which is named first is the database's choice.
          expect(outcome.reason).toMatchObject({ table: 'notes' });
        }
      }
      expect(await noteIds()).toEqual(['a', 'd', 'e', 'taken']);
    });

    it('fails one alone among many that go together, and keeps the values of each', async () => {
      await add('07');
      const folder = (id: string) => view.insertion('folders', LIVE, { id, title: id });
      const ids = Array.from({ length: 21 }, (_, n) => String(n).padStart(2, '0'));
      const outcomes = await Promise.allSettled(
        ids.map((id, amount) => {
          const note = view.insertion('notes', LIVE, noteOf(id, { amount }));
          return db.commitInserts(amount === 19 ? [note, folder('f')] : [note]);
        }),
      );
      const refused = outcomes.flatMap(({ status }, n) => (status === 'rejected' ? [ids[n]] : []));
      expect(refused).toEqual(['07']);
      await Promise.all(ids.map((id) => db.commitInserts([folder(id)])));
      const notes = await view.scoped(LIVE).selectFrom('notes').selectAll().orderBy('id').execute();
      expect(notes.map(({ id }) => id)).toEqual(ids);
      for (const { id, name, amount } of notes)
        if (id !== '07') expect({ id, name, amount }).toEqual({ ...noteOf(id), amount: Number(id) });
      const folders = await view.scoped(LIVE).selectFrom('folders').selectAll().orderBy('id').execute();
      expect(folders.map(({ id, title }) => [id, title])).toEqual([...ids.map((id) => [id, id]), ['f', 'f']]);
    });

    it('takes rows of several tables as one write', async () => {
      await view.scoped(LIVE).insertInto('folders').values({ id: 'f', title: 't' }).execute();
      const folder = view.insertion('folders', LIVE, { id: 'f', title: 't' });
      const refused = db.commitInserts([view.insertion('notes', LIVE, noteOf('a')), folder]);
      const accepted = db.commitInserts([
        view.insertion('notes', LIVE, noteOf('b')),
        view.insertion('folders', LIVE, { id: 'g', title: 't' }),
      ]);
      await expect(refused).rejects.toMatchObject({
        name: 'UniqueViolation',
        table: 'folders',
        columns: ['tenant_id', 'id'],
      });
      await accepted;
      expect(await noteIds()).toEqual(['b']);
    });

    it('keeps the order and loses nothing over many batches', async () => {
      await Promise.all(Array.from({ length: 3_000 }, (_, index) => add(`n${index}`)));
      expect(await noteIds()).toHaveLength(3_000);
    });

    it('writes to the log file apart from main', async () => {
      const event = view.insertion('events', LIVE, { id: 'e', created_at: clock.nowMs(), text: null });
      await db.commitInserts([event]);
      await expect(db.commitInserts([event])).rejects.toMatchObject({
        name: 'UniqueViolation',
        table: 'events',
      });
      expect(await view.scoped(LIVE).selectFrom('events').select('id').execute()).toEqual([{ id: 'e' }]);
      expect(await view.scoped(OTHER).selectFrom('events').select('id').execute()).toEqual([]);
      await expect(db.commitInserts([event, view.insertion('notes', LIVE, noteOf('a'))])).rejects.toThrow(
        'one file',
      );
      await expect(
        db.transaction((tx) => view.scoped(LIVE, tx).selectFrom('events').select('id').execute()),
      ).rejects.toThrow('log file');
    });

    it('takes only what a view has made', async () => {
      const row = { ...noteOf('a'), tenant_id: 'tenant-b', sandbox: 0 };
      const columns = Object.keys(row);
      const forged = {
        shape: { table: 'notes', file: 'main', columns, given: columns.length },
        values: Object.values(row),
        isJson: true,
      } as const;
      await expect(db.commitInserts([forged])).rejects.toThrow('made by a view');
      expect(() => view.insertion('notes', LIVE, { ...noteOf('a'), tenant_id: 'tenant-b' })).toThrow(
        'another tenant_id',
      );
      expect(() => view.insertion('notes', LIVE, { ...noteOf('a'), sandbox: 1 })).toThrow('another sandbox');
      expect(() => view.insertion('notes', null, noteOf('a'))).toThrow('needs a scope');
      expect(() => view.insertion('notes', LIVE, { 'id") values (1); --': 'x' })).toThrow(UnbindableValue);
    });

    it('takes rows of one table that name different columns, or the same in another order', async () => {
      const turned = Object.fromEntries(Object.entries(noteOf('turned')).reverse()) as ReturnType<
        typeof noteOf
      >;
      const longer = { ...noteOf('longer'), ratio: 0.5 };
      const rows = [noteOf('first'), longer, turned, noteOf('second')];
      await db.commitInserts(rows.map((row) => view.insertion('notes', LIVE, row)));
      const found = await view.scoped(LIVE).selectFrom('notes').select(['id', 'name', 'ratio']).execute();
      const seen = found.map(({ id, name, ratio }) => `${id} ${name} ${ratio}`).sort();
      expect(seen).toEqual([
        'first first null',
        'longer longer 0.5',
        'second second null',
        'turned turned null',
      ]);
      const missing = { ...noteOf('n'), name: undefined } as unknown as ReturnType<typeof noteOf>;
      expect(() => view.insertion('notes', LIVE, missing)).toThrow(UnbindableValue);
    });

    it('writes each row as it is where most of their values are the same', async () => {
      const rows = Array.from({ length: 50 }, (_, i) => ({
        ...noteOf(`n${String(i).padStart(2, '0')}`),
        amount: i === 49 ? 7 : 2 ** 40,
        ratio: i % 3 === 0 ? null : i / 4,
      }));
      const notes = rows.map((row) => view.insertion('notes', LIVE, row));
      await db.commitInserts(notes.slice(0, 1));
      await Promise.all([
        expect(db.commitInserts(notes.slice(0, 40))).rejects.toThrow(UniqueViolation),
        ...notes.slice(40).map((note) => db.commitInserts([note])),
      ]);
      await db.commitInserts(notes.slice(1, 40));
      const found = await view.scoped(LIVE).selectFrom('notes').selectAll().orderBy('id').execute();
      const seen = found.map(({ id, name, amount, ratio }) => ({ id, name, amount, ratio }));
      expect(seen).toEqual(rows.map(({ id, name, amount, ratio }) => ({ id, name, amount, ratio })));
    });

    it('flush waits for what was accepted', async () => {
      const pending = [add('a'), add('b'), add('a')];
      const refused = expect(pending[2]).rejects.toThrow(UniqueViolation);
      await db.flush();
      expect(await noteIds()).toEqual(['a', 'b']);
      await refused;
      await db.flush();
    });
  });

  describe('the mark of changes', () => {
    it('is another one after each write, none while one is under way, and the same after a group commit', async () => {
      if (db.dialect === 'postgres') return expect(db.changeMark()).toBeNull();
      const first = db.changeMark();
      expect(first).not.toBeNull();
      await db.commitInserts([view.insertion('notes', LIVE, noteOf('a'))]);
      expect(db.changeMark()).toBe(first);

      const marks = [first];
      const writing = view.scoped(LIVE).updateTable('notes').set({ amount: 2 }).execute();
      expect(db.changeMark()).toBeNull();
      await writing;
      marks.push(db.changeMark());
      await db.transaction(async (tx) => {
        expect(db.changeMark()).toBeNull();
        await view.scoped(LIVE, tx).updateTable('notes').set({ amount: 3 }).execute();
      });
      marks.push(db.changeMark());
      const failing = db.exclusively('marks', async () => {
        expect(db.changeMark()).toBeNull();
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
      marks.push(db.changeMark());
      expect(marks).not.toContain(null);
      expect(new Set(marks).size).toBe(marks.length);
    });
  });

  describe('transactions', () => {
    it('see their own changes, and others see them after the commit', async () => {
      const seen: unknown[] = [];
      await db.transaction(async (tx) => {
        await view.scoped(LIVE, tx).insertInto('notes').values(noteOf('a')).execute();
        seen.push(await view.scoped(LIVE, tx).selectFrom('notes').select('id').execute(), await noteIds());
        tx.afterCommit(() => seen.push('committed'));
        expect(tx.isOpen).toBe(true);
      });
      expect(seen).toEqual([[{ id: 'a' }], [], 'committed']);
      expect(await noteIds()).toEqual(['a']);
    });

    it('roll back as a whole', async () => {
      let committed = false;
      const failing = db.transaction(async (tx) => {
        tx.afterCommit(() => (committed = true));
        await view.scoped(LIVE, tx).insertInto('notes').values(noteOf('a')).execute();
        throw new Error('changed my mind');
      });
      await expect(failing).rejects.toThrow('changed my mind');
      expect([await noteIds(), committed]).toEqual([[], false]);
    });

    it('cannot be used after their end', async () => {
      let kept: Transaction | undefined;
      await db.transaction(async (tx) => {
        kept = tx;
      });
      expect(kept!.isOpen).toBe(false);
      await expect(view.scoped(LIVE, kept).insertInto('notes').values(noteOf('a')).execute()).rejects.toThrow(
        'has ended',
      );
      await expect(kept!.lock('notes', 'a')).rejects.toThrow('has ended');
      expect(() => kept!.afterCommit(() => {})).toThrow('has ended');
      expect(await noteIds()).toEqual([]);
    });

    it('only roll back once a statement has failed, even when the failure is caught', async () => {
      await view.scoped(LIVE).insertInto('notes').values(noteOf('a')).execute();
      const failing = db.transaction(async (tx) => {
        await view.scoped(LIVE, tx).insertInto('notes').values(noteOf('b')).execute();
        await view
          .scoped(LIVE, tx)
          .insertInto('notes')
          .values(noteOf('a'))
          .execute()
          .catch(() => {});
        expect(tx.isOpen).toBe(false);
      });
      await expect(failing).rejects.toThrow(UniqueViolation);
      expect(await noteIds()).toEqual(['a']);
    });

    it('end after a second, and let the next one in', async () => {
      let kept: Transaction | undefined;
      let started = () => {};
      const isStarted = new Promise<void>((resolve) => (started = resolve));
      const stuck = db.transaction(async (tx) => {
        kept = tx;
        await view.scoped(LIVE, tx).insertInto('notes').values(noteOf('stuck')).execute();
        started();
        await new Promise(() => {});
      });
      const refused = expect(stuck).rejects.toMatchObject({
        type: 'dependency_unavailable',
        dependency: 'database',
        retryAfterSeconds: 1,
      });
      await isStarted;
      clock.advance(1_000);
      await refused;
      await expect(view.scoped(LIVE, kept).deleteFrom('notes').execute()).rejects.toThrow('has ended');
      await db.transaction(async (tx) => {
        await view.scoped(LIVE, tx).insertInto('notes').values(noteOf('next')).execute();
      });
      expect(await noteIds()).toEqual(['next']);
    });

    it('of another database are refused', async () => {
      const second = await openDatabase(db.storage, { migrations: NOTE_MIGRATIONS, clock });
      try {
        const stray = second.transaction((tx) =>
          view.scoped(LIVE, tx).selectFrom('notes').select('id').execute(),
        );
        await expect(stray).rejects.toThrow('another database');
      } finally {
        await second.close();
      }
    });

    it('outlive a callback that fails', async () => {
      await db.transaction(async (tx) => {
        await view.scoped(LIVE, tx).insertInto('notes').values(noteOf('a')).execute();
        tx.afterCommit(() => {
          throw new Error('in the callback');
        });
      });
      expect(await noteIds()).toEqual(['a']);
      expect(logged).toContain('a callback after commit failed');
    });

    it('do not lose an update, of one process or of two', async () => {
      const second = await openDatabase(db.storage, { migrations: NOTE_MIGRATIONS, clock: systemClock });
      try {
        await view.system('metrics').insertInto('counters').values({ id: 'c', value: 0 }).execute();
        const runs = Array.from({ length: 40 }, (_, index) =>
          (index % 2 ? db : second).transaction((tx) => countIn(index % 2 === 1, tx)),
        );
        const inserts = Array.from({ length: 40 }, (_, index) =>
          second.commitInserts([
            second.view<NotesDb>(NOTE_TABLES).insertion('notes', LIVE, noteOf(`s${index}`)),
          ]),
        );
        await Promise.all([...runs, ...inserts]);
        expect(await counterOf('c')).toBe(40);
        expect(await noteIds()).toHaveLength(40);
      } finally {
        await second.close();
      }

      async function countIn(here: boolean, tx: Transaction): Promise<void> {
        if (here) {
          await tx.lock('counters', 'c');
          return count(tx, 'c');
        }
        const other = second.view<NotesDb>(NOTE_TABLES).system('metrics', tx);
        const [row] = await other.selectFrom('counters').select('value').where('id', '=', 'c').execute();
        await other
          .updateTable('counters')
          .set({ value: row!.value + 1 })
          .where('id', '=', 'c')
          .execute();
      }
    });
  });

  describe('defined queries', () => {
    it('run with their arguments and the scope, in a transaction too', async () => {
      const byName = view.define<{ name: string; limit: number }, { id: string }>(
        'contract_by_name',
        (queries, arg) =>
          queries
            .selectFrom('notes')
            .select('id')
            .where('name', '=', arg('name'))
            .where('amount', '=', 1)
            .limit(arg('limit')),
      );
      await db.commitInserts([
        view.insertion('notes', LIVE, noteOf('a')),
        view.insertion('notes', OTHER, noteOf('a')),
      ]);
      expect(await byName.all(LIVE, { name: 'a', limit: 5 })).toEqual([{ id: 'a' }]);
      expect(await byName.first(SANDBOX, { name: 'a', limit: 5 })).toBeUndefined();
      await db.transaction(async (tx) => {
        await view.scoped(SANDBOX, tx).insertInto('notes').values(noteOf('a')).execute();
        expect(await byName.first(SANDBOX, { name: 'a', limit: 1 }, tx)).toEqual({ id: 'a' });
      });
      const anyone = view.defineSystem<{ name: string }, { tenant_id: string }>(
        'contract_any_tenant',
        'credential_by_hash',
        (queries, arg) =>
          queries
            .selectFrom('notes')
            .select('tenant_id')
            .where('name', '=', arg('name'))
            .where('sandbox', '=', 0)
            .orderBy('tenant_id'),
      );
      expect(await anyone.all(null, { name: 'a' })).toEqual([
        { tenant_id: 'tenant-a' },
        { tenant_id: 'tenant-b' },
      ]);
    });

    it('may write', async () => {
      const rename = view.define<{ id: string; name: string }, { name: string }>(
        'contract_rename',
        (queries, arg) =>
          queries
            .updateTable('notes')
            .set({ name: arg('name') })
            .where('id', '=', arg('id'))
            .returning('name'),
      );
      const add = view.define<{ id: string }, never>('contract_add', (queries, arg) =>
        queries.insertInto('notes').values({ id: arg('id'), name: arg('id'), amount: 1 }),
      );
      await add.all(LIVE, { id: 'a' });
      expect(await rename.all(OTHER, { id: 'a', name: 'b' })).toEqual([]);
      expect(await rename.all(LIVE, { id: 'a', name: 'b' })).toEqual([{ name: 'b' }]);
    });

    it('refuse a missing argument, a missing scope and a second text under one name', async () => {
      const byId = view.define<{ id: string }, { id: string }>('contract_by_id', (queries, arg) =>
        queries.selectFrom('notes').select('id').where('id', '=', arg('id')),
      );
      expect(() => byId.all(LIVE, {} as { id: string })).toThrow(UnbindableValue);
      expect(() => byId.all({ tenantId: LIVE.tenantId }, { id: 'a' })).toThrow('names no mode');
      expect(() =>
        view.define('contract_by_id', (queries) => queries.selectFrom('notes').select('name')),
      ).toThrow('contract_by_id');
    });
  });

  describe('the end', () => {
    it('refuses all use after close, which waits for what was accepted', async () => {
      const own = await open(NOTE_MIGRATIONS, { clock });
      const ownView = own.view<NotesDb>(NOTE_TABLES);
      const accepted = own.commitInserts([ownView.insertion('notes', LIVE, noteOf('a'))]);
      await own.ping();
      await own.close();
      await accepted;
      const unavailable = { type: 'dependency_unavailable' };
      await expect(own.commitInserts([ownView.insertion('notes', LIVE, noteOf('b'))])).rejects.toMatchObject(
        unavailable,
      );
      await expect(ownView.scoped(LIVE).selectFrom('notes').selectAll().execute()).rejects.toMatchObject(
        unavailable,
      );
      await expect(ownView.scoped(LIVE).deleteFrom('notes').execute()).rejects.toMatchObject(unavailable);
      await expect(own.transaction(async () => {})).rejects.toMatchObject(unavailable);
      await expect(own.ping()).rejects.toMatchObject(unavailable);
      await own.cleanup();
    });

    it('by SIGKILL in the middle of group commits loses no acknowledged row', async () => {
      const child = startSource(new URL('../../testing/group-commit-child.ts', import.meta.url), [
        JSON.stringify(db.storage),
      ]);
      const acknowledged: string[] = [];
      const end = await endOf(child, (line) => {
        acknowledged.push(line);
        if (acknowledged.length === 2_000) child.kill('SIGKILL');
      });
      expect(end.signal).toBe('SIGKILL');
      const present = new Set(await noteIds());
      expect(acknowledged.filter((id) => !present.has(id))).toEqual([]);
    });
  });
}
