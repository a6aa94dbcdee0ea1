import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { assert } from '../../../kernel/assert.js';
import { SQLITE_COLUMNS } from '../columns.js';
import type { FileName } from '../engine.js';
import { type DataDirLock, lockDataDir } from '../lock.js';
import type { Migration } from '../migration.js';
import { assertApplied, UNFINISHED_COPY } from '../migrator.js';
import type { StorageOptions } from '../open-database.js';
import { StorageRefused } from '../refused.js';
import { loadSqlite } from '../sqlite-module.js';
import { type CopiedRow, type CopiedTable, columnList } from './copied-table.js';
import { BATCH_ROWS_FIRST, type CopyEnd, type CopyTarget, nextBatchRows } from './copy-end.js';

export type SqliteOptions = Extract<StorageOptions, { kind: 'sqlite' }>;

const FILES = ['main', 'log'] as const;
const SQLITE_BUSY = 5;

const pathOf = (storage: SqliteOptions, file: FileName) => (file === 'main' ? storage.path : storage.logPath);

/** Refuses a source that a server has open, on whatever data directory, and keeps one from opening it meanwhile. */
export function openSqliteSource(storage: SqliteOptions, migrations: readonly Migration[]): CopyEnd {
  for (const file of FILES) {
    const path = pathOf(storage, file);
    if (!existsSync(path)) throw new StorageRefused(`the source ${path} does not exist`);
  }
  const lock = lockDataDir(dirname(storage.path));
  let connections: Connections | null = null;
  try {
    connections = openBoth(storage);
    for (const file of FILES) {
      takeAlone(connections[file], pathOf(storage, file));
      const applied = appliedIn(connections[file]);
      if (!applied) throw new StorageRefused(`the source ${pathOf(storage, file)} holds no installation`);
      assertApplied(
        applied,
        migrations.filter((migration) => migration.file === file),
        SQLITE_COLUMNS,
      );
    }
    return endOf(connections, lock);
  } catch (error) {
    if (connections) for (const file of FILES) connections[file].close();
    lock.release();
    throw error;
  }
}

/** Held from before it is looked at: a server that starts on the folder now is refused. */
export function lockSqliteTarget(storage: SqliteOptions): DataDirLock {
  const lock = lockDataDir(dirname(storage.path));
  for (const file of FILES) {
    if (!existsSync(pathOf(storage, file))) continue;
    lock.release();
    throw new StorageRefused(
      `the target ${pathOf(storage, file)} exists; a copy goes to a new one (what an unfinished copy has left can be removed)`,
    );
  }
  return lock;
}

/** After the migrations, and the mark among them, have run on it. The lock is released at its close. */
export function openSqliteTarget(storage: SqliteOptions, lock: DataDirLock): CopyTarget {
  const connections = openBoth(storage);
  for (const file of FILES) connections[file].exec('PRAGMA foreign_keys = OFF; PRAGMA synchronous = FULL');

  const inserts = new Map<string, StatementSyncInstance>();
  const triggers = FILES.map((file) => [file, dropTriggers(connections[file])] as const);

  function inTransaction(file: FileName, work: (db: DatabaseSyncInstance) => void): void {
    const db = connections[file];
    db.exec('BEGIN IMMEDIATE');
    try {
      work(db);
      db.exec('COMMIT');
    } catch (error) {
      db.exec('ROLLBACK');
      throw error;
    }
  }

  return {
    ...endOf(connections, lock),
    async clear({ name, file }) {
      connections[file].exec(`DELETE FROM "${name}"`);
    },
    async insert(table, rows) {
      inTransaction(table.file, (db) => {
        const insert = inserts.get(table.name) ?? db.prepare(insertText(table));
        inserts.set(table.name, insert);
        for (const row of rows) insert.run(...row);
      });
    },
    async continueNumbers({ name, file }, last) {
      inTransaction(file, (db) => {
        db.prepare('DELETE FROM sqlite_sequence WHERE name = ?').run(name);
        db.prepare('INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)').run(name, last);
      });
    },
    async restoreRules() {
      for (const file of FILES) {
        const broken = connections[file]
          .prepare('SELECT "table" AS name FROM pragma_foreign_key_check LIMIT 1')
          .get();
        if (broken)
          throw new StorageRefused(
            `rows of ${String((broken as { name: string }).name)} refer to rows that are not there`,
          );
      }
      for (const [file, texts] of triggers) for (const text of texts) connections[file].exec(text);
    },
    async removeMark() {
      connections.main.prepare('DELETE FROM schema_migrations WHERE id = ?').run(UNFINISHED_COPY.id);
      for (const file of FILES) emptyWriteAheadLog(connections[file], pathOf(storage, file));
    },
  };
}

/** Whoever moves the files may take them without their logs. The close does not do it while a statement is prepared. */
function emptyWriteAheadLog(db: DatabaseSyncInstance, path: string): void {
  const { busy } = db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number };
  if (busy)
    throw new StorageRefused(`the target ${path} is in use by another process: it lacks rows of its log`);
}

type Connections = Readonly<Record<FileName, DatabaseSyncInstance>>;

function openBoth(storage: SqliteOptions): Connections {
  const { DatabaseSync } = loadSqlite();
  return { main: new DatabaseSync(storage.path), log: new DatabaseSync(storage.logPath) };
}

/** What they would do at a copied row was done when it was written first. */
function dropTriggers(db: DatabaseSyncInstance): string[] {
  const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
  return (triggers as { name: string; sql: string }[]).map(({ name, sql }) => {
    db.exec(`DROP TRIGGER "${name}"`);
    return sql;
  });
}

function insertText(table: CopiedTable): string {
  const places = table.columns.map(() => '?').join(', ');
  return `INSERT INTO "${table.name}" (${columnList(table)}) VALUES (${places})`;
}

/** In this mode the first read takes the whole file, which fails while any other process has it open. */
function takeAlone(db: DatabaseSyncInstance, path: string): void {
  try {
    db.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; SELECT 1 FROM sqlite_schema');
  } catch (error) {
    if (!(error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY)) throw error;
    throw new StorageRefused(`the source ${path} is in use: stop the server first`);
  }
}

function appliedIn(db: DatabaseSyncInstance): Map<string, string> | null {
  const table = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'").get();
  if (!table) return null;
  const rows = db.prepare('SELECT id, checksum FROM schema_migrations').all();
  return new Map((rows as { id: string; checksum: string }[]).map(({ id, checksum }) => [id, checksum]));
}

function endOf(connections: Connections, lock: DataDirLock): CopyEnd {
  return {
    async *read({ name, file, columns, sqliteKey }) {
      const keys = sqliteKey.map((column) => `"${column}"`);
      const wanted = [
        ...keys.map((key, index) => `${key} AS key_${index}`),
        ...columns.map((c) => `"${c.name}"`),
      ];
      const after = `WHERE (${keys.join(', ')}) > (${keys.map(() => '?').join(', ')})`;
      const textOf = (where: string) =>
        `SELECT ${wanted.join(', ')} FROM "${name}" ${where} ORDER BY ${keys.join(', ')} LIMIT ?`;
      let statement = connections[file].prepare(textOf(''));
      let last: CopiedRow = [];
      let limit = BATCH_ROWS_FIRST;
      for (;;) {
        statement.setReadBigInts(true);
        // To its end each time: no statement stays open while the rows are written, or when the connection closes.
        const records = statement.all(...last, limit) as Record<string, unknown>[];
        const end = records.at(-1);
        if (!end) return;
        const rows = records.map((record) => columns.map((column) => fromDriver(record[column.name])));
        yield rows;
        if (last.length === 0) statement = connections[file].prepare(textOf(after));
        last = keys.map((_, index) => fromDriver(end[`key_${index}`]));
        limit = nextBatchRows(limit, rows);
      }
    },
    async lastNumber({ name, file }) {
      const statement = connections[file].prepare('SELECT seq FROM sqlite_sequence WHERE name = ?');
      statement.setReadBigInts(true);
      const row = statement.get(name) as { seq: bigint } | undefined;
      return row?.seq ?? 0n;
    },
    async close() {
      for (const file of FILES) connections[file].close();
      lock.release();
    },
  };
}

function fromDriver(value: unknown): CopiedRow[number] {
  if (value instanceof Uint8Array) return Buffer.from(value);
  const isCell = value === null || ['string', 'bigint', 'number'].includes(typeof value);
  assert(isCell, 'a value of another kind was read');
  return value as CopiedRow[number];
}
