// @ts-check
// A connection of a database file with a thread of its own: the only one that writes, or one for long reads. Plain JavaScript, so that the same file runs from the sources and
// from the build, on every supported Node, without a loader.
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';

const STATEMENTS_MAX = 200;
const SQLITE_ERROR_UNKNOWN = 1;
/** By one statement: each run of a statement costs about as much as three rows within it. */
const ROWS_AT_ONCE = 16;

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

/** @param {string[]} columns @param {readonly unknown[]} parameters of one row or several */
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
 * @typedef {import('./insert-runs.js').InsertRun} Run
 * @typedef {{ shape: Shape, values: readonly unknown[] }} Row
 */

/** @param {Row} row */
function insertRow({ shape: { insert, watched }, values }) {
  insert.run(...values.map(toDriver));
  if (watched) watch(watched, values);
}

/** @param {Run} run @param {Shape[]} shapes @returns {Row[]} */
function rowsOf({ shape, fixed, rows }, shapes) {
  const of = /** @type {Shape} */ (shapes[shape]);
  return rows.map((others) => {
    const values = [...others];
    // Ascending, so that each finds the columns before it in their places.
    for (const [column, value] of fixed) values.splice(column, 0, value);
    return { shape: of, values };
  });
}

/** @param {Run} run @param {Shape[]} shapes */
function insertRun(run, shapes) {
  const { text, watched } = /** @type {Shape} */ (shapes[run.shape]);
  const together = run.rows.length - (run.rows.length % ROWS_AT_ONCE);
  const [several, rest] = [run.rows.slice(0, together), run.rows.slice(together)];
  if (together > 0) insertSeveral(text, { ...run, rows: several });
  if (watched) for (const { values } of rowsOf({ ...run, rows: several }, shapes)) watch(watched, values);
  for (const row of rowsOf({ ...run, rows: rest }, shapes)) insertRow(row);
}

/** @param {string} text @param {Run} run */
function insertSeveral(text, run) {
  const insert = prepared(severalText(text, run));
  const fixed = run.fixed.map(([, value]) => toDriver(value));
  for (let from = 0; from < run.rows.length; from += ROWS_AT_ONCE) {
    const parameters = [...fixed];
    for (const row of run.rows.slice(from, from + ROWS_AT_ONCE))
      for (const value of row) parameters.push(toDriver(value));
    insert.run(...parameters);
  }
}

/** Binding costs more than writing: what the rows have in common is bound once. @param {string} text @param {Run} run */
function severalText(text, { fixed, rows }) {
  const columns = fixed.length + /** @type {readonly unknown[]} */ (rows[0]).length;
  const several = Array(ROWS_AT_ONCE)
    .fill(placeholders(columns - fixed.length))
    .join(', ');
  const into = text.slice(0, text.lastIndexOf(' values '));
  if (fixed.length === 0) return `${into} values ${several}`;
  const places = new Map(fixed.map(([column], index) => [column, index + 1]));
  let others = 0;
  const chosen = Array.from({ length: columns }, (_, column) => {
    const place = places.get(column);
    return place === undefined ? `v.column${++others}` : `f.column${place}`;
  });
  return `${into} select ${chosen.join(', ')} from (values ${placeholders(fixed.length)}) f, (values ${several}) v`;
}

/** @param {number} count */
function placeholders(count) {
  return `(${Array(count).fill('?').join(', ')})`;
}

/** False where one is refused; which one is not told. @param {readonly Run[]} runs @param {Shape[]} shapes */
function insertTogether(runs, shapes) {
  try {
    for (const run of runs) insertRun(run, shapes);
    return true;
  } catch (error) {
    // A full disk or a failed read ends the transaction by itself.
    if (!db.isTransaction) throw error;
    return false;
  }
}

/** What refuses a group undoes it as a whole, and nothing else. @param {Row[]} group */
function insertAlone(group) {
  const insertedBefore = inserted.length;
  db.exec('SAVEPOINT one_group');
  try {
    for (const row of group) insertRow(row);
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

/**
 * A savepoint a group costs as much as a row, and hardly any group is refused.
 * @param {string[]} texts @param {readonly Run[]} runs @param {number[]} sizes
 */
function insertGroups(texts, runs, sizes) {
  const shapes = texts.map((text) => ({
    text,
    insert: prepared(text),
    watched: hook && columnsWatched(text),
  }));
  db.exec('BEGIN IMMEDIATE');
  try {
    if (insertTogether(runs, shapes)) {
      commit();
      return sizes.map(() => null);
    }
    rollback();
    db.exec('BEGIN IMMEDIATE');
    const rows = runs.flatMap((run) => rowsOf(run, shapes));
    const outcomes = sizes.map((size) => insertAlone(rows.splice(0, size)));
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
        typeof message.runs === 'string' ? JSON.parse(message.runs) : message.runs,
        message.sizes,
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
