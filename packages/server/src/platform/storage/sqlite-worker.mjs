// @ts-check
// A connection of a database file with a thread of its own: the only one that writes, or one for long reads. Plain JavaScript, so that the same file runs from the sources and
// from the build, on every supported Node, without a loader.
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';

const STATEMENTS_MAX = 200;
const SQLITE_ERROR_UNKNOWN = 1;
/** By one statement: each run of a statement costs about as much as three rows within it. */
const ROWS_AT_ONCE = 8;

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

/**
 * Columns as `columnsWatched` has them.
 * @typedef {{ text: string, insert: any, watched: string[] | null }} Shape
 * @typedef {[number, unknown[]][]} Group rows, each with the number of its shape
 */

/** @param {Group} group @param {Shape[]} shapes */
function insertRows(group, shapes) {
  for (const [number, parameters] of group) {
    const { insert, watched } = /** @type {Shape} */ (shapes[number]);
    insert.run(...parameters.map(toDriver));
    if (watched) watch(watched, parameters);
  }
}

/** Those that follow each other in one shape go together. @param {Group} rows @param {Shape[]} shapes */
function insertInRuns(rows, shapes) {
  for (let from = 0; from < rows.length; ) {
    const number = /** @type {Group[number]} */ (rows[from])[0];
    let to = from + 1;
    while (to < from + ROWS_AT_ONCE && rows[to]?.[0] === number) to++;
    if (to - from === ROWS_AT_ONCE)
      insertSeveral(rows.slice(from, to), /** @type {Shape} */ (shapes[number]));
    else insertRows(rows.slice(from, to), shapes);
    from = to;
  }
}

/** Its placeholders are its last bracket. @param {string} text */
function severalText(text) {
  return text + `, ${text.slice(text.lastIndexOf('('))}`.repeat(ROWS_AT_ONCE - 1);
}

/** @param {Group} rows `ROWS_AT_ONCE` of one shape @param {Shape} shape */
function insertSeveral(rows, { text, watched }) {
  /** @type {unknown[]} */
  const parameters = [];
  for (const [, values] of rows) for (const value of values) parameters.push(toDriver(value));
  prepared(severalText(text)).run(...parameters);
  if (watched) for (const [, values] of rows) watch(watched, values);
}

/** False where one is refused; which one is not told. @param {Group[]} groups @param {Shape[]} shapes */
function insertTogether(groups, shapes) {
  try {
    insertInRuns(groups.flat(), shapes);
    return true;
  } catch (error) {
    // A full disk or a failed read ends the transaction by itself.
    if (!db.isTransaction) throw error;
    return false;
  }
}

/** What refuses a group undoes it as a whole, and nothing else. @param {Group} group @param {Shape[]} shapes */
function insertAlone(group, shapes) {
  const insertedBefore = inserted.length;
  db.exec('SAVEPOINT one_group');
  try {
    insertRows(group, shapes);
    db.exec('RELEASE one_group');
    return null;
  } catch (error) {
    if (!db.isTransaction) throw error;
    inserted.length = insertedBefore;
    db.exec('ROLLBACK TO one_group; RELEASE one_group');
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

/** A savepoint a group costs as much as a row, and hardly any group is refused. @param {string[]} texts @param {Group[]} groups */
function insertGroups(texts, groups) {
  const shapes = texts.map((text) => ({
    text,
    insert: prepared(text),
    watched: hook && columnsWatched(text),
  }));
  db.exec('BEGIN IMMEDIATE');
  try {
    if (insertTogether(groups, shapes)) {
      commit();
      return groups.map(() => null);
    }
    rollback();
    db.exec('BEGIN IMMEDIATE');
    const outcomes = groups.map((group) => insertAlone(group, shapes));
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
