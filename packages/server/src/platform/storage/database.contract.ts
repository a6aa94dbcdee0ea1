import type { ColumnType } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import type { TenantModeColumns } from './columns.js';
import { type Database, type TableSet, UniqueViolation } from './database.js';
import type { Migration } from './migration.js';

export interface NoteRow extends TenantModeColumns {
  id: string;
  name: string;
  amount: ColumnType<number, number | bigint, number | bigint>;
  ratio: number | null;
  payload: Buffer | null;
}

export interface NotesDb {
  notes: NoteRow;
}

export const NOTE_TABLES: TableSet<NotesDb> = { notes: { scope: 'tenant+mode' } };

export const NOTE_MIGRATION: Migration = {
  id: '9001-notes',
  file: 'main',
  statements: ({ text, integer, real, bytes }) => [
    `CREATE TABLE notes (tenant_id ${text} NOT NULL, sandbox ${integer} NOT NULL, id ${text} NOT NULL,
     name ${text} NOT NULL, amount ${integer} NOT NULL, ratio ${real}, payload ${bytes},
     PRIMARY KEY (tenant_id, sandbox, id), UNIQUE (tenant_id, sandbox, name))`,
  ],
};

const LIVE = { tenantId: 'tenant-a' as TenantId, sandbox: false };
const OTHER = { tenantId: 'tenant-b' as TenantId, sandbox: false };

export function databaseContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await open([NOTE_MIGRATION]);
  });
  afterAll(() => db.cleanup());

  function note(id: string, more: Partial<{ name: string; amount: number | bigint }> = {}) {
    return { id, name: id, amount: 1, ...more };
  }

  describe('scope', () => {
    it('keeps tenants apart', async () => {
      const view = (db as Database).view(NOTE_TABLES);
      await view.scoped(LIVE).insertInto('notes').values(note('n1')).execute();
      await view.scoped(OTHER).insertInto('notes').values(note('n1')).execute();
      const rows = await view.scoped(LIVE).selectFrom('notes').selectAll().execute();
      expect(rows).toEqual([
        { tenant_id: 'tenant-a', sandbox: 0, id: 'n1', name: 'n1', amount: 1, ratio: null, payload: null },
      ]);
      await expect(view.scoped(LIVE).insertInto('notes').values(note('n1')).execute()).rejects.toThrow(
        UniqueViolation,
      );
      const one = view.define<{ id: string }, { name: string }>('note_by_id', (queries, arg) =>
        queries.selectFrom('notes').select('name').where('id', '=', arg('id')),
      );
      expect(await one.first(LIVE, { id: 'n1' })).toEqual({ name: 'n1' });
      await db.commitInserts([view.insertion('notes', LIVE, note('g1'))]);
      expect(await one.first(LIVE, { id: 'g1' })).toEqual({ name: 'g1' });
      await db.transaction(async (tx) => {
        await view.scoped(LIVE, tx).updateTable('notes').set({ name: 'x' }).where('id', '=', 'g1').execute();
        expect(await one.first(LIVE, { id: 'g1' }, tx)).toEqual({ name: 'x' });
        expect(await one.first(LIVE, { id: 'g1' })).toEqual({ name: 'g1' });
      });
      expect(await one.first(LIVE, { id: 'g1' })).toEqual({ name: 'x' });
    });
  });
}
