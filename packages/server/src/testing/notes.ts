import type { ColumnType, Generated } from 'kysely';
import type { TenantId } from '../kernel/ids.js';
import type { TenantColumns, TenantModeColumns } from '../platform/storage/columns.js';
import type { TableSet } from '../platform/storage/database.js';
import type { Migration } from '../platform/storage/migration.js';

/** Tables of no product meaning, one of each scope and file, for the tests of the storage itself. */
interface NoteRow extends TenantModeColumns {
  id: string;
  name: string;
  amount: ColumnType<number, number | bigint, number | bigint>;
  ratio: ColumnType<number | null, number | null | undefined, number | null>;
  payload: ColumnType<Buffer | null, Buffer | null | undefined, Buffer | null>;
}

interface FolderRow extends TenantColumns {
  id: string;
  title: string;
}

interface CounterRow {
  id: string;
  value: number;
}

interface EventRow extends TenantModeColumns {
  created_at: number;
  id: string;
  text: string | null;
}

interface SerialRow {
  position: Generated<number>;
  text: string;
}

export interface NotesDb {
  notes: NoteRow;
  folders: FolderRow;
  counters: CounterRow;
  events: EventRow;
  serials: SerialRow;
}

export const NOTE_TABLES: TableSet<NotesDb> = {
  notes: { scope: 'tenant+mode' },
  folders: { scope: 'tenant' },
  counters: { scope: 'system' },
  events: { scope: 'tenant+mode', file: 'log' },
  serials: { scope: 'system' },
};

const notesMigration: Migration = {
  id: '9001-notes',
  file: 'main',
  statements: ({ text, integer, real, bytes, rowId }) => [
    `CREATE TABLE notes (tenant_id ${text} NOT NULL, sandbox ${integer} NOT NULL, id ${text} NOT NULL,
     name ${text} NOT NULL, amount ${integer} NOT NULL, ratio ${real}, payload ${bytes},
     PRIMARY KEY (tenant_id, sandbox, id), UNIQUE (tenant_id, sandbox, name))`,
    `CREATE TABLE folders (tenant_id ${text} NOT NULL, id ${text} NOT NULL, title ${text} NOT NULL,
     PRIMARY KEY (tenant_id, id))`,
    `CREATE TABLE counters (id ${text} PRIMARY KEY, value ${integer} NOT NULL)`,
    `CREATE TABLE serials (position ${rowId}, text ${text} NOT NULL)`,
  ],
};

const eventsMigration: Migration = {
  id: '9002-events',
  file: 'log',
  dayPartitioned: ['events'],
  statements: ({ text, integer, partitionedByDay }) => [
    `CREATE TABLE events (tenant_id ${text} NOT NULL, sandbox ${integer} NOT NULL, created_at ${integer} NOT NULL,
     id ${text} NOT NULL, text ${text}, PRIMARY KEY (tenant_id, sandbox, created_at, id))${partitionedByDay('created_at')}`,
  ],
};

export const NOTE_MIGRATIONS: readonly Migration[] = [notesMigration, eventsMigration];

export const LIVE = { tenantId: 'tenant-a' as TenantId, sandbox: false };
export const SANDBOX = { tenantId: 'tenant-a' as TenantId, sandbox: true };
export const OTHER = { tenantId: 'tenant-b' as TenantId, sandbox: false };

export function noteOf(id: string, more: Partial<{ name: string; amount: number | bigint }> = {}) {
  return { id, name: id, amount: 1, ...more };
}
