import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { systemClock } from '../kernel/clock.js';
import type { Migration } from '../platform/storage/migration.js';
import { openDatabase } from '../platform/storage/open-database.js';
import { openPostgres } from '../platform/storage/postgres.js';
import { migratePostgres } from '../platform/storage/postgres-migrations.js';

export interface SqliteFiles {
  readonly path: string;
  readonly logPath: string;
}

/** Databases with tables and without a row, of which tests get copies. */
export interface MigratedDatabases {
  /** Of all migrations there are. A test that makes up others makes its tables itself. */
  readonly migrationIds: readonly string[];
  /** With all of them. Those with some lie beside it, named by `nameOf`. */
  readonly sqlite: SqliteFiles;
  /** Name of a database, the same; null where there is no server. */
  readonly postgres: string | null;
}

declare module 'vitest' {
  interface ProvidedContext {
    migratedDatabases: MigratedDatabases;
  }
}

type Migrations = readonly Migration[];

/** Null for all of them. */
function nameOf({ migrationIds }: MigratedDatabases, migrations: Migrations): string | null {
  const ids = migrations.map(({ id }) => id).join();
  if (ids === migrationIds.join()) return null;
  return createHash('sha256').update(ids).digest('hex').slice(0, 12);
}

const isKnown = ({ migrationIds }: MigratedDatabases, migrations: Migrations): boolean =>
  migrations.length > 0 && migrations.every(({ id }) => migrationIds.includes(id));

/** Files to copy, made by the first test of the run that wants these migrations. */
export async function migratedSqlite(
  databases: MigratedDatabases,
  migrations: Migrations,
): Promise<SqliteFiles | null> {
  if (!isKnown(databases, migrations)) return null;
  const name = nameOf(databases, migrations);
  if (name === null) return databases.sqlite;
  const dir = join(dirname(databases.sqlite.path), name);
  if (!existsSync(dir)) {
    const unfinished = `${dir}-${randomUUID()}`;
    mkdirSync(unfinished);
    await makeSqlite(filesIn(unfinished), migrations);
    try {
      renameSync(unfinished, dir);
    } catch {
      // Another process was first.
      rmSync(unfinished, { recursive: true });
    }
  }
  return filesIn(dir);
}

export const filesIn = (dir: string): SqliteFiles => ({
  path: join(dir, 'knox.db'),
  logPath: join(dir, 'knox-log.db'),
});

export async function makeSqlite(files: SqliteFiles, migrations: Migrations): Promise<void> {
  await (await openDatabase({ kind: 'sqlite', ...files }, { migrations, clock: systemClock })).close();
}

/** Name of a database to copy, made by the first test of the run that wants these migrations. */
export async function migratedPostgres(
  databases: MigratedDatabases,
  migrations: Migrations,
  administratorUrl: string,
): Promise<string | null> {
  if (databases.postgres === null || !isKnown(databases, migrations)) return null;
  const suffix = nameOf(databases, migrations);
  if (suffix === null) return databases.postgres;
  const name = `${databases.postgres}_${suffix}`;
  if (made.has(name)) return name;
  await asAdministrator(administratorUrl, async (query) => {
    await query(`SELECT pg_advisory_lock(hashtext('${name}'))`);
    const found = await query(`SELECT 1 FROM pg_database WHERE datname = '${name}'`);
    if (found.length > 0) return;
    await query(`DROP DATABASE IF EXISTS ${name}_`);
    await makePostgres(administratorUrl, `${name}_`, migrations);
    await query(`ALTER DATABASE ${name}_ RENAME TO ${name}`);
  });
  made.add(name);
  return name;
}

const made = new Set<string>();

/** Without the partitions of days, which are those of a test's clock. */
export async function makePostgres(
  administratorUrl: string,
  name: string,
  migrations: Migrations,
): Promise<void> {
  await asAdministrator(administratorUrl, (query) =>
    query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`),
  );
  const url = new URL(administratorUrl);
  url.pathname = `/${name}`;
  const engine = await openPostgres({ url: url.href, poolMax: 1, logger: undefined });
  await migratePostgres(engine, migrations, systemClock);
  await engine.close();
}

type Query = (sql: string) => Promise<readonly Record<string, unknown>[]>;

export async function asAdministrator<T>(url: string, work: (query: Query) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(async (sql) => (await client.query<Record<string, unknown>>(sql)).rows);
  } finally {
    await client.end();
  }
}
