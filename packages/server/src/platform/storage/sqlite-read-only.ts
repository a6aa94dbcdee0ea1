import { SqliteAdapter, SqliteQueryCompiler } from 'kysely';
import { databaseUnavailable, type Engine } from './engine.js';
import { openReader, storageError, toDriver } from './sqlite.js';

/** How long to wait where another process recovers or folds in the write-ahead log. */
const BUSY_MS = 2_000;

/** The main file without a writer: beside a running server, or on the files of a stopped one. */
export function openSqliteReadOnly(path: string): Engine {
  const reader = openReader(path, BUSY_MS);
  const refuse = () => Promise.reject(databaseUnavailable('the database was opened for reading'));
  return {
    dialect: 'sqlite',
    adapter: new SqliteAdapter(),
    createCompiler: () => new SqliteQueryCompiler(),
    async run(statement) {
      if (statement.kind === 'write' || statement.file === 'log') return refuse();
      try {
        return { rows: reader.all(statement.sql, statement.parameters.map(toDriver)), changes: 0 };
      } catch (error) {
        throw storageError(error, statement.table);
      }
    },
    transaction: refuse,
    exclusively: refuse,
    changeMark: () => null,
    insertGroups: refuse,
    scrub: refuse,
    ping: async () => void reader.all('SELECT 1', []),
    close: async () => reader.close(),
  };
}
