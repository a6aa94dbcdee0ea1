import { assert } from '../../../kernel/assert.js';
import { SQLITE_COLUMNS } from '../columns.js';
import type { FileName } from '../engine.js';
import type { Migration } from '../migration.js';
import { strict } from '../sqlite-migrations.js';
import { loadSqlite } from '../sqlite-module.js';

export type ColumnKind = 'text' | 'integer' | 'real' | 'bytes';

export interface CopiedColumn {
  readonly name: string;
  readonly kind: ColumnKind;
}

/** A table as both databases have it. */
export interface CopiedTable {
  readonly name: string;
  readonly file: FileName;
  readonly columns: readonly CopiedColumn[];
  /** The column that the database numbers, and whose numbers are never used twice. */
  readonly numberedColumn: string | null;
  /** Split by day on PostgreSQL. */
  readonly isDayPartitioned: boolean;
  /** What SQLite orders the rows by: `rowid`, or the primary key of a table that has none. */
  readonly sqliteKey: readonly string[];
}

/** In the order of the table's columns. Whole numbers are exact, whatever their size. */
export type CopiedRow = readonly (string | bigint | number | Buffer | null)[];

const KINDS: Readonly<Record<string, ColumnKind>> = {
  TEXT: 'text',
  INTEGER: 'integer',
  REAL: 'real',
  BLOB: 'bytes',
};

/** Every table that the migrations make, read from an empty database in memory that they have run on. */
export function tablesOf(migrations: readonly Migration[]): CopiedTable[] {
  const partitioned = new Set(migrations.flatMap((migration) => migration.dayPartitioned ?? []));
  const ordered = [...migrations].sort((a, b) => (a.id < b.id ? -1 : 1));
  return (['main', 'log'] as const).flatMap((file) => tablesOfFile(ordered, file, partitioned));
}

function tablesOfFile(
  migrations: readonly Migration[],
  file: FileName,
  partitioned: ReadonlySet<string>,
): CopiedTable[] {
  const { DatabaseSync } = loadSqlite();
  const memory = new DatabaseSync(':memory:');
  try {
    for (const migration of migrations) {
      if (migration.file !== file) continue;
      for (const statement of migration.statements(SQLITE_COLUMNS)) memory.exec(strict(statement));
    }
    const tables = memory
      .prepare(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name",
      )
      .all() as { name: string; sql: string }[];
    return tables.map(({ name, sql }) => {
      const columns = memory.prepare(`SELECT name, type, pk FROM pragma_table_info(?)`).all(name) as {
        name: string;
        type: string;
        pk: number;
      }[];
      const isNumbered = /\bAUTOINCREMENT\b/i.test(sql);
      const hasRowId = !/\bWITHOUT ROWID\b/i.test(sql);
      const primaryKey = columns.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
      return {
        name,
        file,
        columns: columns.map((column) => ({ name: column.name, kind: kindOf(column.type) })),
        numberedColumn: isNumbered ? (primaryKey[0]?.name ?? null) : null,
        isDayPartitioned: partitioned.has(name),
        sqliteKey: hasRowId ? ['rowid'] : primaryKey.map((column) => column.name),
      };
    });
  } finally {
    memory.close();
  }
}

function kindOf(type: string): ColumnKind {
  const kind = KINDS[type];
  assert(kind, `no kind of column is ${type}`);
  return kind;
}

export function columnList(table: CopiedTable): string {
  return table.columns.map(({ name }) => `"${name}"`).join(', ');
}
