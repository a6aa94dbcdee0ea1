import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  forEachDatabase,
  type OpenTestDatabase,
  onPostgres,
  type TestDatabase,
} from '../../testing/databases.js';
import { LIVE, NOTE_MIGRATIONS, NOTE_TABLES, type NotesDb, noteOf } from '../../testing/notes.js';
import { Counter, createInstruments, Histogram, type Instruments } from '../telemetry/instruments.js';
import type { Transaction, View } from './database.js';

let db: TestDatabase;
let view: View<NotesDb>;
let instruments: Instruments;

function openedBy(open: OpenTestDatabase): void {
  beforeEach(async () => {
    instruments = createInstruments();
    db = await open(NOTE_MIGRATIONS, { instruments });
    view = db.view(NOTE_TABLES);
  });
  afterEach(() => db.cleanup());
}

function shown(name: string, label?: string): number {
  const family = instruments.families().find((one) => one.name === name);
  const series = family?.series.find(
    ({ labels }) => label === undefined || Object.values(labels).includes(label),
  );
  const instrument = series!.instrument;
  if (instrument instanceof Counter) return instrument.value;
  return instrument instanceof Histogram ? instrument.sum : instrument.read();
}

forEachDatabase((_name, open) => {
  describe('a measured database', () => {
    openedBy(open);

    it('counts the rows of a group commit, and those that wait', async () => {
      const written = ['a', 'b', 'c'].map((id) =>
        db.commitInserts([view.insertion('notes', LIVE, noteOf(id))]),
      );
      expect(shown('knox_group_commit_queued_rows', 'main')).toBe(3);
      await Promise.all(written);
      expect(shown('knox_group_commit_queued_rows', 'main')).toBe(0);
      expect(shown('knox_group_commit_rows', 'main')).toBe(3);
      expect(shown('knox_group_commit_rows', 'log')).toBe(0);
    });

    it('counts what it could not do', async () => {
      await db.close();
      await expect(view.system('metrics').selectFrom('notes').select('id').execute()).rejects.toThrow();
      expect(shown('knox_database_errors_total', 'unavailable')).toBe(1);
    });
  });
});

onPostgres((open) => {
  describe('a measured database', () => {
    openedBy(open);

    it('counts transactions that ran again', async () => {
      const counters = (tx?: Transaction) => view.system('metrics', tx);
      await counters().insertInto('counters').values({ id: 'shared', value: 0 }).execute();
      let readers = 0;
      let bothHaveRead = () => {};
      const met = new Promise<void>((resolve) => {
        bothHaveRead = resolve;
      });
      const increment = async (tx: Transaction) => {
        const [row] = await counters(tx).selectFrom('counters').select('value').execute();
        if (++readers === 2) bothHaveRead();
        await met;
        await counters(tx)
          .updateTable('counters')
          .set({ value: row!.value + 1 })
          .execute();
      };
      await Promise.all([db.transaction(increment), db.transaction(increment)]);
      expect(shown('knox_database_transaction_retries_total')).toBe(1);
    });
  });
});
