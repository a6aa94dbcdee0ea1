// @ts-check
// A connection of a database file with a thread of its own: the only one that writes, or one for long reads. Plain JavaScript, so that the same file runs from the sources and
// from the build, on every supported Node, without a loader.
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';

const STATEMENTS_MAX = 200;
const SQLITE_ERROR_UNKNOWN = 1;

const { DatabaseSync } = createRequire(import.meta.url)(workerData.module);
const db = new DatabaseSync(workerData.path, { readOnly: workerData.isReadOnly === true });
for (const pragma of workerData.pragmas) db.exec(`PRAGMA ${pragma}`);

/** What `commitHook` of `open-database.ts` describes. @type {any} */
const hook = workerData.commitHook ? (await import(workerData.commitHook)).default(db) : null;
const watchedInsert = hook && new RegExp(`^insert into "${hook.table}" \\(([^)]*)\\) values`);
/** After a failure the hook stands aside for a while. */
const HOOK_PAUSE_COMMITS = 100;
let hookPause = 0;
/** Rows of the watched table that this transaction has inserted. @type {Record<string, unknown>[]} */
let inserted = [];

/** @type {Map<string, any>} */
const statements = new Map();

/** @param {string} sql */
function prepared(sql) {
  const known = statements.get(sql);
  if (known !== undefined) {
    statements.delete(sql);
    statements.set(sql, known);
    return known;
  }
  const statement = db.prepare(sql);
  if (statements.size >= STATEMENTS_MAX) statements.delete(statements.keys().next().value ?? '');
  statements.set(sql, statement);
  return statement;
}

/** @param {any} error */
function failureOf(error) {
  return { errcode: error.errcode ?? SQLITE_ERROR_UNKNOWN, message: String(error.message) };
}

/** Of an insert into the hook's table its columns, else null. @type {Map<string, string[] | null>} */
const watchedColumns = new Map();

/** @param {string} sql */
function columnsWatched(sql) {
  const known = watchedColumns.get(sql);
  if (known !== undefined) return known;
  /** @type {string | undefined} */
  const list = watchedInsert?.exec(sql)?.[1];
  const columns = list === undefined ? null : list.replaceAll('"', '').split(', ');
  if (watchedColumns.size >= STATEMENTS_MAX) watchedColumns.clear();
  watchedColumns.set(sql, columns);
  return columns;
}

/** @param {string[]} columns @param {unknown[]} parameters of one row or several */
function watch(columns, parameters) {
  for (let at = 0; at < parameters.length; at += columns.length) {
    /** @type {Record<string, unknown>} */
    const row = {};
    columns.forEach((column, index) => {
      const value = parameters[at + index];
      row[column] = typeof value === 'bigint' ? Number(value) : value;
    });
    inserted.push(row);
  }
}

/** @param {{ sql: string, parameters: unknown[], returnsRows: boolean }} statement */
function run(statement) {
  const result = execute(statement);
  const columns = hook && columnsWatched(statement.sql);
  if (columns) watch(columns, statement.parameters);
  return result;
}

/** @param {{ sql: string, parameters: unknown[], returnsRows: boolean }} statement */
function execute({ sql, parameters, returnsRows }) {
  if (returnsRows) {
    const rows = prepared(sql).all(...parameters);
    return { rows, changes: rows.length };
  }
  return { rows: [], changes: Number(prepared(sql).run(...parameters).changes) };
}

/** A whole number is bound as an integer only as a bigint. @param {unknown} value */
function toDriver(value) {
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value;
}

/** A group of several rows is undone as a whole; a single row undoes itself. @param {[number, unknown[]][]} group @param {any[]} inserts @param {(string[] | null)[]} watched */
function insertGroup(group, inserts, watched) {
  const insertedBefore = inserted.length;
  if (group.length > 1) db.exec('SAVEPOINT one_write');
  try {
    for (const [insert, parameters] of group) {
      inserts[insert].run(...parameters.map(toDriver));
      const columns = watched[insert];
      if (columns) watch(columns, parameters);
    }
    if (group.length > 1) db.exec('RELEASE one_write');
    return null;
  } catch (error) {
    // A full disk or a failed read ends the transaction by itself: then nothing of the batch is left to save.
    if (!db.isTransaction) throw error;
    inserted.length = insertedBefore;
    if (group.length > 1) db.exec('ROLLBACK TO one_write; RELEASE one_write');
    return failureOf(error);
  }
}

/** A hook that fails is undone alone, and told: it must not take the writes with it. */
function runHook() {
  if (!hook.isDue(inserted)) return;
  if (hookPause-- > 0) return hook.defer(inserted);
  hookPause = 0;
  db.exec('SAVEPOINT commit_hook');
  try {
    hook.beforeCommit(inserted);
  } catch (error) {
    if (!db.isTransaction) throw error;
    db.exec('ROLLBACK TO commit_hook');
    hook.defer(inserted);
    hookPause = HOOK_PAUSE_COMMITS;
    parentPort?.postMessage({ hookFailure: failureOf(error) });
  }
  db.exec('RELEASE commit_hook');
}

function commit() {
  if (hook) runHook();
  db.exec('COMMIT');
  inserted = [];
}

function rollback() {
  inserted = [];
  if (db.isTransaction) db.exec('ROLLBACK');
}

/** @param {string[]} texts @param {[number, unknown[]][][]} groups */
function insertGroups(texts, groups) {
  const inserts = texts.map(prepared);
  const watched = texts.map((text) => hook && columnsWatched(text));
  db.exec('BEGIN IMMEDIATE');
  try {
    const outcomes = groups.map((group) => insertGroup(group, inserts, watched));
    commit();
    return outcomes;
  } catch (error) {
    rollback();
    throw error;
  }
}

/** @param {any} message */
function answer(message) {
  switch (message.op) {
    case 'run':
      if (message.begin) db.exec('BEGIN IMMEDIATE');
      return run(message);
    case 'insert':
      return insertGroups(
        message.texts,
        typeof message.groups === 'string' ? JSON.parse(message.groups) : message.groups,
      );
    case 'exec':
      return db.exec(message.sql);
    case 'commit':
      return commit();
    case 'rollback':
      return rollback();
    case 'close':
      statements.clear();
      // Said by name: a driver without a way to finalize its statements does not do it at close.
      // A full disk may refuse it; the log keeps what is committed, and the next start folds it in.
      try {
        db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      } catch {}
      return db.close();
  }
}

parentPort?.on('message', (message) => {
  try {
    parentPort?.postMessage({ id: message.id, result: answer(message) });
  } catch (error) {
    parentPort?.postMessage({ id: message.id, failure: failureOf(error) });
  }
  if (message.op === 'close') parentPort?.close();
});
parentPort?.postMessage({ id: 0 });
