import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { endOf, startSource } from '../../testing/child-process.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { LIVE, NOTE_MIGRATIONS, NOTE_TABLES, type NotesDb, noteOf } from '../../testing/notes.js';
import type { Migration } from './migration.js';
import { openDatabase } from './open-database.js';

const one: Migration = {
  id: '0101-one',
  file: 'main',
  statements: ({ text }) => [`CREATE TABLE one (id ${text} PRIMARY KEY)`, `INSERT INTO one VALUES ('x')`],
};
const two: Migration = { id: '0102-two', file: 'main', statements: () => [`INSERT INTO one VALUES ('y')`] };
const inLog: Migration = {
  id: '0103-log',
  file: 'log',
  statements: ({ text }) => [`CREATE TABLE lines (id ${text} PRIMARY KEY)`],
};
const broken: Migration = {
  id: '0104-broken',
  file: 'main',
  statements: () => [`INSERT INTO one VALUES ('z')`, 'CREATE NONSENSE'],
};

interface OneDb {
  one: { id: string };
}

export function migratorContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  beforeEach(async () => {
    db = await open([one]);
  });
  afterEach(() => db.cleanup());

  async function reopen(migrations: readonly Migration[]): Promise<string[]> {
    const again = await openDatabase(db.storage, { migrations, clock: systemClock });
    const view = again.view<OneDb>({ one: { scope: 'system' } });
    const rows = await view.system('metrics').selectFrom('one').select('id').orderBy('id').execute();
    await again.close();
    return rows.map((row) => row.id);
  }

  describe('migrations', () => {
    it('run once, in the order of their ids, and only what is missing', async () => {
      expect(await reopen([one])).toEqual(['x']);
      expect(await reopen([inLog, two, one])).toEqual(['x', 'y']);
      expect(await reopen([one, two, inLog])).toEqual(['x', 'y']);
    });

    it('refuse a database of a newer version', async () => {
      await reopen([one, two]);
      await expect(reopen([one])).rejects.toThrow(/newer version: it holds migration 0102-two/);
    });

    it('refuse one that was edited, and two of one id', async () => {
      const edited = { ...one, statements: () => ['SELECT 1'] };
      await expect(reopen([edited])).rejects.toThrow(/0101-one has run with another text/);
      await expect(reopen([one, { ...two, id: '0101-one' }])).rejects.toThrow('two migrations are 0101-one');
    });

    it('leave nothing of one that fails', async () => {
      await expect(reopen([one, broken])).rejects.toThrow();
      expect(await reopen([one])).toEqual(['x']);
    });

    it('let two processes start at once', async () => {
      const empty = await open([]);
      const child = new URL('../../testing/start-child.ts', import.meta.url);
      const args = [JSON.stringify(empty.storage)];
      const ends = await Promise.all([endOf(startSource(child, args)), endOf(startSource(child, args))]);
      expect(ends.map((end) => [end.code, end.lines])).toEqual([
        [0, ['open']],
        [0, ['open']],
      ]);
      const third = await openDatabase(empty.storage, { migrations: NOTE_MIGRATIONS, clock: systemClock });
      const view = third.view<NotesDb>(NOTE_TABLES);
      await third.commitInserts([view.insertion('notes', LIVE, noteOf('a'))]);
      await third.close();
      await empty.cleanup();
    });
  });
}
