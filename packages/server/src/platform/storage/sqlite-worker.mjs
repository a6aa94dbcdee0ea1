// @ts-check
// The one writing connection of a database file. Plain JavaScript, so that the same file runs from the sources and
// from the build, on every supported Node, without a loader.
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';

const STATEMENTS_MAX = 200;
const SQLITE_ERROR_UNKNOWN = 1;

const { DatabaseSync } = createRequire(import.meta.url)(workerData.module);
const db = new DatabaseSync(workerData.path);
for (const pragma of workerData.pragmas) db.exec(`PRAGMA ${pragma}`);

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

/** @param {{ sql: string, parameters: unknown[], returnsRows: boolean }} statement */
function run({ sql, parameters, returnsRows }) {
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

/** A group of several rows is undone as a whole; a single row undoes itself. @param {[number, unknown[]][]} group @param {any[]} inserts */
function insertGroup(group, inserts) {
  if (group.length > 1) db.exec('SAVEPOINT one_write');
  try {
    for (const [insert, parameters] of group) inserts[insert].run(...parameters.map(toDriver));
    if (group.length > 1) db.exec('RELEASE one_write');
    return null;
  } catch (error) {
    // A full disk or a failed read ends the transaction by itself: then nothing of the batch is left to save.
    if (!db.isTransaction) throw error;
    if (group.length > 1) db.exec('ROLLBACK TO one_write; RELEASE one_write');
    return failureOf(error);
  }
}

/** @param {string[]} texts @param {[number, unknown[]][][]} groups */
function insertGroups(texts, groups) {
  const inserts = texts.map(prepared);
  db.exec('BEGIN IMMEDIATE');
  try {
    const outcomes = groups.map((group) => insertGroup(group, inserts));
    db.exec('COMMIT');
    return outcomes;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
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
    case 'rollback':
      return db.isTransaction ? db.exec('ROLLBACK') : undefined;
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
