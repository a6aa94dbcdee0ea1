import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { MIGRATIONS } from '../app/migrations.js';
import { systemClock } from '../kernel/clock.js';
import { openDatabase } from '../platform/storage/open-database.js';
import { openPostgres } from '../platform/storage/postgres.js';
import { migratePostgres } from '../platform/storage/postgres-migrations.js';
import { idsOf } from './migrated-databases.js';

/** Once a run: databases with every table and without a row, of which tests get copies. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), 'knox-migrated-'));
  const sqlite = { path: join(dir, 'knox.db'), logPath: join(dir, 'knox-log.db') };
  const options = { migrations: MIGRATIONS, clock: systemClock };
  await (await openDatabase({ kind: 'sqlite', ...sqlite }, options)).close();
  const url = process.env.TEST_DATABASE_URL;
  const postgres = url ? `knox_migrated_${randomUUID().replaceAll('-', '')}` : null;
  if (url && postgres) await makePostgres(url, postgres);
  project.provide('migratedDatabases', { migrationIds: idsOf(MIGRATIONS), sqlite, postgres });
  return async () => {
    rmSync(dir, { recursive: true });
    if (url && postgres) await run(url, `DROP DATABASE ${postgres} WITH (FORCE)`);
  };
}

/** Without the partitions of days, which are those of a test's clock. */
async function makePostgres(administratorUrl: string, name: string): Promise<void> {
  await run(administratorUrl, `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`);
  const url = new URL(administratorUrl);
  url.pathname = `/${name}`;
  const engine = await openPostgres({ url: url.href, poolMax: 1, logger: undefined });
  await migratePostgres(engine, MIGRATIONS, systemClock);
  await engine.close();
}

async function run(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
