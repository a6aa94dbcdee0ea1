import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { SqliteAdapter } from 'kysely';
import { ReferenceViolation, type RowShape, UniqueViolation } from './database.js';
import {
  databaseUnavailable,
  type Engine,
  type FileName,
  type Row,
  type Session,
  type Statement,
  StatementFailure,
  type StatementResult,
  type StorageLogger,
} from './engine.js';
import { type InsertRun, insertRuns } from './insert-runs.js';
import { SqliteCompiler } from './sqlite-compiler.js';
import { loadSqlite, SQLITE_MODULE } from './sqlite-module.js';
import {
  type Ask,
  DriverError,
  type DriverFailure,
  type SqliteThread,
  startSqliteThread,
} from './sqlite-thread.js';

/** How long the writer waits for another process, such as a backup, before the caller is told to come back. */
const WRITER_BUSY_MS = 2_000;
const READER_STATEMENTS_MAX = 500;

const WRITER_PRAGMAS = [
  `busy_timeout = ${WRITER_BUSY_MS}`,
  'journal_mode = WAL',
  'synchronous = FULL',
  'foreign_keys = ON',
  'cache_size = -4096',
  'temp_store = MEMORY',
  // Every 1,000 pages, which is the default, more than one commit in a hundred waits for a checkpoint (docs/benchmarks.md, growth).
  // 4,000 stay below the limit of the file, and within the first block of the log's index.
  'wal_autocheckpoint = 4000',
  'journal_size_limit = 16777216',
  // What is deleted or overwritten is zeroed: a destroyed key must not be found in the file (docs/decisions/0052).
  'secure_delete = ON',
  'trusted_schema = OFF',
];
const READER_PRAGMAS = ['cache_size = -2048', 'temp_store = MEMORY', 'trusted_schema = OFF'];

const BUSY = 5;
const LOCKED = 6;
/** Result codes that tell of the disk, the file or another process, not of the statement. */
const UNAVAILABLE = new Map([
  [BUSY, 'busy'],
  [LOCKED, 'locked'],
  [7, 'out of memory'],
  [8, 'read only'],
  [10, 'input or output failed'],
  [11, 'the file is damaged'],
  [13, 'the disk is full'],
  [14, 'the file cannot be opened'],
  [26, 'the file is not a database'],
]);

export interface SqliteEngine extends Engine {
  /** Runs the statements as one transaction of the writer; for migrations only. */
  exclusive<T>(file: FileName, use: (ask: Ask) => Promise<T>): Promise<T>;
}

interface Reader {
  all(sql: string, parameters: readonly unknown[]): Row[];
  close(): void;
}

export interface SqliteOptions {
  /** Of the main file's writer. */
  readonly commitHook?: URL | undefined;
  readonly logger?: StorageLogger | undefined;
}

export async function openSqlite(
  paths: Record<FileName, string>,
  options: SqliteOptions = {},
): Promise<SqliteEngine> {
  for (const path of Object.values(paths)) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const main = await openFile(paths.main, options);
  const log = await openFile(paths.log).catch(async (error) => {
    await closeFile(main);
    throw error;
  });
  const files: Record<FileName, DatabaseFile> = { main, log };
  const insertTexts = new WeakMap<RowShape, string>();

  /** Uses of the main file's writer that may change what is there, so far and right now. */
  let changes = 0;
  let changing = 0;

  /** Counted before it begins: from then on a commit may be there that nobody here has heard of. */
  async function change<T>(file: FileName, use: (ask: Ask) => Promise<T>): Promise<T> {
    const { writer } = files[file];
    if (file === 'log') return writer.exclusive(use);
    changes++;
    changing++;
    try {
      return await writer.exclusive(use);
    } finally {
      changing--;
    }
  }

  async function write(statement: Statement): Promise<StatementResult> {
    return change(statement.file, (ask) => runOnWriter(ask, statement, false));
  }

  return {
    dialect: 'sqlite',
    adapter: new SqliteAdapter(),
    createCompiler: () => new SqliteCompiler(),
    run(statement) {
      const { reader, openThread } = files[statement.file];
      if (statement.kind === 'write') return write(statement);
      if (statement.isAside) return openThread().then((thread) => runOnThread(thread, statement));
      try {
        const rows = reader.all(statement.sql, statement.parameters.map(toDriver));
        return { rows, changes: 0 };
      } catch (error) {
        // The main thread never waits for a lock: the writer's thread does it instead.
        if (isBusy(error)) return write(statement);
        throw storageError(error, statement.table);
      }
    },
    transaction: (attempt) => change('main', (ask) => attempt(openSession(ask))),
    // One process a file, one writer: nobody else can be at it.
    exclusively: (_name, attempt) => change('main', (ask) => attempt(openSession(ask))),
    changeMark: () => (changing === 0 ? changes : null),
    async insertGroups(file, groups) {
      const shapes = new Map<RowShape, number>();
      // Each text once: a batch has few, and what is posted is copied.
      const shapeNumber = (shape: RowShape) => {
        const number = shapes.get(shape) ?? shapes.size;
        shapes.set(shape, number);
        return number;
      };
      const rows = groups.flat();
      const runs = insertRuns(rows, shapeNumber);
      // As one text the rows cross to the other thread for half of what a copy of each value costs.
      const isJson = rows.every((insertion) => insertion.isJson);
      const message = {
        op: 'insert',
        texts: [...shapes.keys()].map((shape) => insertText(insertTexts, shape)),
        runs: isJson ? JSON.stringify(runs) : runs.map(unsharedRun),
        sizes: groups.map((group) => group.length),
      } as const;
      const outcomes = await files[file].writer
        .exclusive((ask) => ask<(DriverFailure | null)[]>(message))
        .catch((error) => {
          throw storageError(error, '');
        });
      return outcomes.map((failure, index) =>
        failure ? storageError(new DriverError(failure), groups[index]?.[0]?.shape.table ?? '') : undefined,
      );
    },
    exclusive: change,
    async scrub(table) {
      const sql = 'PRAGMA wal_checkpoint(TRUNCATE)';
      const place = { table, file: 'main' } as const;
      const { rows } = await write({ ...place, sql, parameters: [], kind: 'write', returnsRows: true });
      if (rows[0]?.busy !== 0) throw databaseUnavailable('another process reads the write-ahead log');
    },
    async ping() {
      await main.writer.exclusive((ask) => ask({ op: 'exec', sql: 'SELECT 1' }));
      main.reader.all('SELECT 1', []);
    },
    async close() {
      await closeFile(main);
      await closeFile(log);
    },
  };
}

interface DatabaseFile {
  readonly writer: SqliteThread;
  readonly reader: Reader;
  /** For reads that would hold up the event loop; started when the first one comes. */
  openThread(): Promise<SqliteThread>;
  closeThread(): Promise<void>;
}

async function openFile(path: string, { commitHook, logger }: SqliteOptions = {}): Promise<DatabaseFile> {
  // Made here for its mode, which the write-ahead log inherits.
  closeSync(openSync(path, 'a', 0o600));
  const writer = await startSqliteThread(
    { module: SQLITE_MODULE, path, pragmas: WRITER_PRAGMAS, commitHook: commitHook?.href },
    (failure) => logger?.error({ err: storageError(new DriverError(failure), '') }, 'a commit hook failed'),
  );
  try {
    return { writer, reader: openReader(path), ...readingThread(path) };
  } catch (error) {
    await writer.close();
    throw error;
  }
}

function readingThread(path: string): Pick<DatabaseFile, 'openThread' | 'closeThread'> {
  const pragmas = [`busy_timeout = ${WRITER_BUSY_MS}`, ...READER_PRAGMAS];
  let thread: Promise<SqliteThread> | null = null;
  let isClosed = false;
  return {
    openThread() {
      if (isClosed) return Promise.reject(databaseUnavailable('the database is closed'));
      thread ??= startSqliteThread({ module: SQLITE_MODULE, path, pragmas, isReadOnly: true }, () => {});
      thread.catch(() => {
        thread = null;
      });
      return thread;
    },
    async closeThread() {
      isClosed = true;
      await (await thread)?.close();
    },
  };
}

/** The readers first: the writer folds the write-ahead log into the file when nobody reads it any more. */
async function closeFile(file: DatabaseFile): Promise<void> {
  file.reader.close();
  await file.closeThread();
  await file.writer.close();
}

interface PreparedQuery {
  readonly statement: StatementSyncInstance;
  readonly columns: readonly string[];
}

export function openReader(path: string, busyMs = 0): Reader {
  const { DatabaseSync } = loadSqlite();
  // The reference is kept by the closures below: the driver closes a connection that is collected.
  const connection: DatabaseSyncInstance = new DatabaseSync(path, { readOnly: true });
  for (const pragma of [`busy_timeout = ${busyMs}`, ...READER_PRAGMAS]) connection.exec(`PRAGMA ${pragma}`);
  const queries = new Map<string, PreparedQuery>();

  function prepared(sql: string): PreparedQuery {
    let query = queries.get(sql);
    if (!query) {
      const statement = connection.prepare(sql);
      // Rows that the driver makes of names and values are slow to make and to read.
      statement.setReturnArrays(true);
      query = { statement, columns: statement.columns().map(({ name }) => name) };
      if (queries.size >= READER_STATEMENTS_MAX) queries.delete(queries.keys().next().value ?? '');
      queries.set(sql, query);
    }
    return query;
  }

  return {
    // `all` runs the statement to its end, so that no read transaction stays open on the write-ahead log.
    all(sql, parameters) {
      if (!connection.isOpen) throw databaseUnavailable('the database is closed');
      const { statement, columns } = prepared(sql);
      return (statement.all(...parameters) as unknown[][]).map((values) => rowOf(columns, values));
    },
    close() {
      queries.clear();
      connection.close();
    },
  };
}

function openSession(ask: Ask): Session {
  let begun = false;
  return {
    async run(statement) {
      const begin = !begun;
      begun = true;
      return runOnWriter(ask, statement, begin);
    },
    // The one writer is the lock.
    lock: async () => {},
    async commit() {
      if (!begun) return;
      await ask({ op: 'commit' }).catch((error) => {
        throw storageError(error, '');
      });
    },
    async rollback() {
      if (begun) await ask({ op: 'rollback' }).catch(() => {});
    },
  };
}

function runOnThread(thread: SqliteThread, statement: Statement): Promise<StatementResult> {
  return thread.exclusive((ask) => runOnWriter(ask, statement, false));
}

async function runOnWriter(ask: Ask, statement: Statement, begin: boolean): Promise<StatementResult> {
  const { sql, returnsRows } = statement;
  const parameters = statement.parameters.map(toDriver);
  try {
    const result = await ask<StatementResult>({ op: 'run', sql, parameters, returnsRows, begin });
    for (const row of result.rows) for (const column in row) row[column] = fromDriver(row[column]);
    return result;
  } catch (error) {
    throw storageError(error, statement.table);
  }
}

function insertText(texts: WeakMap<RowShape, string>, shape: RowShape): string {
  let text = texts.get(shape);
  if (text === undefined) {
    const names = shape.columns.map((column) => `"${column}"`).join(', ');
    text = `insert into "${shape.table}" (${names}) values (${shape.columns.map(() => '?').join(', ')})`;
    texts.set(shape, text);
  }
  return text;
}

function unsharedRun({ shape, fixed, rows }: InsertRun): InsertRun {
  return {
    shape,
    fixed: fixed.map(([column, value]) => [column, unshared(value)]),
    rows: rows.map((values) => values.map(unshared)),
  };
}

/** A buffer's copy brings nothing of its neighbours along. */
function unshared(value: unknown): unknown {
  return Buffer.isBuffer(value) ? new Uint8Array(value) : value;
}

/** Whole numbers are bound as integers by both drivers; in a group commit the writer's thread turns them. */
export function toDriver(value: unknown): unknown {
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : unshared(value);
}

function rowOf(columns: readonly string[], values: readonly unknown[]): Row {
  const row: Row = {};
  for (let i = 0; i < columns.length; i++) row[columns[i]!] = fromDriver(values[i]);
  return row;
}

function fromDriver(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value;
}

function errcodeOf(error: unknown): number | undefined {
  if (error instanceof DriverError) return error.failure.errcode;
  if (error instanceof Error && 'errcode' in error && typeof error.errcode === 'number') return error.errcode;
  return undefined;
}

function isBusy(error: unknown): boolean {
  const primary = (errcodeOf(error) ?? 0) & 0xff;
  return primary === BUSY || primary === LOCKED;
}

const CONSTRAINT_UNIQUE = new Set([1555, 2067]);
const CONSTRAINT_FOREIGN_KEY = 787;

/** The driver's text holds names of tables and columns only, never values. */
export function storageError(error: unknown, table: string): Error {
  const errcode = errcodeOf(error);
  if (errcode === undefined) {
    if (
      error instanceof RangeError ||
      (error instanceof Error && error.message.startsWith('Value is too large'))
    ) {
      return new StatementFailure(table, 'range', 'an integer read is not a safe number');
    }
    return error instanceof Error ? error : new Error(String(error));
  }
  const message = error instanceof Error ? error.message : '';
  if (CONSTRAINT_UNIQUE.has(errcode)) {
    const columns = message.replace(/^UNIQUE constraint failed: /, '').split(', ');
    const names = columns.filter((name) => /^\w+\.\w+$/.test(name)).map((name) => name.split('.')[1] ?? '');
    return new UniqueViolation(columns[0]?.split('.')[0] ?? table, names);
  }
  if (errcode === CONSTRAINT_FOREIGN_KEY) return new ReferenceViolation(table);
  const unavailable = UNAVAILABLE.get(errcode & 0xff);
  if (unavailable !== undefined) return databaseUnavailable(`SQLite: ${unavailable}`, error);
  return new StatementFailure(table, `SQLite ${errcode}`, message);
}
