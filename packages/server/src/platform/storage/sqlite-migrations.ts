import type { Clock } from '../../kernel/clock.js';
import { SQLITE_COLUMNS } from './columns.js';
import type { StatementResult } from './engine.js';
import type { Migration } from './migration.js';
import { migrate } from './migrator.js';
import type { SqliteEngine } from './sqlite.js';
import type { Ask } from './sqlite-thread.js';

/** The writer is the lock; each file has its own migrations and its own record of them. */
export async function migrateSqlite(
  engine: SqliteEngine,
  migrations: readonly Migration[],
  clock: Clock,
): Promise<void> {
  for (const file of ['main', 'log'] as const) {
    await engine.exclusive(file, async (ask) => {
      await ask({ op: 'exec', sql: 'BEGIN IMMEDIATE' });
      try {
        await migrate(targetOf(ask), migrations, file, clock);
        await ask({ op: 'exec', sql: 'COMMIT' });
      } catch (error) {
        await ask({ op: 'rollback' });
        throw error;
      }
    });
  }
}

function targetOf(ask: Ask) {
  return {
    types: SQLITE_COLUMNS,
    async query(sql: string) {
      const message = { op: 'run', sql, parameters: [], returnsRows: true, begin: false } as const;
      return (await ask<StatementResult>(message)).rows;
    },
    async execute(sql: string) {
      await ask({ op: 'exec', sql: strict(sql) });
    },
    async insert(table: string, row: Readonly<Record<string, string | number>>) {
      const columns = Object.keys(row);
      const sql = `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`;
      await ask({ op: 'run', sql, parameters: Object.values(row), returnsRows: false, begin: false });
    },
  };
}

/** STRICT tables refuse a value of another type than the column's, as PostgreSQL does. */
export function strict(sql: string): string {
  if (!/^\s*CREATE TABLE\b/i.test(sql)) return sql;
  const text = sql.trimEnd().replace(/;$/, '');
  return text.endsWith('WITHOUT ROWID') ? `${text}, STRICT` : `${text} STRICT`;
}
