import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, inject } from 'vitest';
import { type Clock, systemClock } from '../kernel/clock.js';
import type { Database } from '../platform/storage/database.js';
import type { StorageLogger } from '../platform/storage/engine.js';
import type { Migration } from '../platform/storage/migration.js';
import { openDatabase, type StorageOptions } from '../platform/storage/open-database.js';
import { loadSqlite } from '../platform/storage/sqlite-module.js';
import type { Instruments } from '../platform/telemetry/instruments.js';
import { asAdministrator, filesIn, migratedPostgres, migratedSqlite } from './migrated-databases.js';

export interface TestDatabase extends Database {
  /** Where it is, for a test that opens it a second time or from another process. */
  readonly storage: StorageOptions;
  /** Closes it and removes what it kept. */
  cleanup(): Promise<void>;
}

export interface OpenTestOptions {
  readonly clock?: Clock;
  readonly logger?: StorageLogger;
  readonly commitHook?: URL;
  readonly instruments?: Instruments;
}

export type OpenTestDatabase = (
  migrations: readonly Migration[],
  options?: OpenTestOptions,
) => Promise<TestDatabase>;

const POSTGRES_URL = process.env.TEST_DATABASE_URL;
/** `.ci/run` sets it where suites run once more: what is different on PostgreSQL is the platform's and the stores'. */
const ARE_STORES_ALONE = process.env.TEST_POSTGRES_SUITES === 'stores';
const STORES = /\/src\/platform\/|\/store\.test\.ts$/;

/** Runs a store's contract suite on every database there is; one that is not there is skipped with its reason. */
export function forEachDatabase(suite: (name: 'sqlite' | 'postgres', open: OpenTestDatabase) => void): void {
  describe('on SQLite', () => suite('sqlite', openTestSqlite));
  if (!ARE_STORES_ALONE || STORES.test(expect.getState().testPath ?? ''))
    onPostgres((open) => suite('postgres', open));
  else
    describe.skip('on PostgreSQL (skipped: TEST_POSTGRES_SUITES is stores)', () =>
      suite('postgres', openTestPostgres));
}

/** For what only PostgreSQL has. */
export function onPostgres(suite: (open: OpenTestDatabase) => void): void {
  const run = POSTGRES_URL ? describe : describe.skip;
  const reason = POSTGRES_URL ? '' : ' (skipped: TEST_DATABASE_URL is not set)';
  run(`on PostgreSQL${reason}`, () => suite(openTestPostgres));
}

/** The Redis that TEST_REDIS_URL names; suites share it and keep to names of their own. */
export function onRedis(suite: (url: string) => void): void {
  const url = process.env.TEST_REDIS_URL;
  const run = url ? describe : describe.skip;
  run(`on Redis${url ? '' : ' (skipped: TEST_REDIS_URL is not set)'}`, () => suite(url ?? ''));
}

/** A fresh SQLite database in a folder of its own. */
export const openTestSqlite: OpenTestDatabase = async (migrations, options = {}) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'knox-test-'));
  const paths = filesIn(dataDir);
  const template = await migratedSqlite(inject('migratedDatabases'), migrations);
  if (template) for (const path of ['path', 'logPath'] as const) copyFileSync(template[path], paths[path]);
  return openTest({ kind: 'sqlite', ...paths }, migrations, options, async () => {
    rmSync(dataDir, { recursive: true });
  });
};

/** A fresh PostgreSQL database on the server that TEST_DATABASE_URL names. */
const openTestPostgres: OpenTestDatabase = async (migrations, options = {}) => {
  const name = `knox_test_${randomUUID().replaceAll('-', '')}`;
  const server = POSTGRES_URL ?? '';
  const template = await migratedPostgres(inject('migratedDatabases'), migrations, server);
  await asAdministrator(server, (query) =>
    query(`CREATE DATABASE ${name} TEMPLATE ${template ?? 'template0'} ENCODING 'UTF8'`),
  );
  const url = new URL(server);
  url.pathname = `/${name}`;
  return openTest({ kind: 'postgres', url: url.href, poolMax: 8 }, migrations, options, async () => {
    await asAdministrator(server, (query) => query(`DROP DATABASE ${name} WITH (FORCE)`));
  });
};

async function openTest(
  storage: StorageOptions,
  migrations: readonly Migration[],
  { clock = systemClock, ...options }: OpenTestOptions,
  remove: () => Promise<void>,
): Promise<TestDatabase> {
  try {
    const database = await openDatabase(storage, { migrations, clock, ...options });
    return Object.assign(database, {
      storage,
      async cleanup() {
        await database.close();
        await remove();
      },
    });
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Changes a database behind the server's back, with the rights of whoever holds its file or its password. */
export async function changeBehind(storage: StorageOptions, ...statements: readonly string[]): Promise<void> {
  if (storage.kind === 'sqlite') {
    const connection = new (loadSqlite().DatabaseSync)(storage.path);
    try {
      connection.exec('PRAGMA busy_timeout = 2000');
      for (const statement of statements) connection.exec(statement);
    } finally {
      connection.close();
    }
    return;
  }
  const client = new pg.Client({ connectionString: storage.url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** All that is stored in an SQLite database and its request log, by table. */
export function storedRows(storage: StorageOptions): Map<string, string> {
  if (storage.kind !== 'sqlite') throw new Error('only an SQLite database is read like this');
  const found = new Map<string, string>();
  for (const path of [storage.path, storage.logPath]) {
    const connection = new (loadSqlite().DatabaseSync)(path, { readOnly: true });
    try {
      const tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
      for (const { name } of tables) {
        const rows = connection.prepare(`SELECT * FROM "${name}"`).all();
        found.set(String(name), JSON.stringify(rows));
      }
    } finally {
      connection.close();
    }
  }
  return found;
}
