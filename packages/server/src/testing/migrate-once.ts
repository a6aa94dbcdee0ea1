import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { MIGRATIONS } from '../app/migrations.js';
import { asAdministrator, filesIn, makePostgres, makeSqlite } from './migrated-databases.js';

/** Once a run: databases with every table and without a row, of which tests get copies. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), 'knox-migrated-'));
  const sqlite = filesIn(dir);
  await makeSqlite(sqlite, MIGRATIONS);
  const url = process.env.TEST_DATABASE_URL;
  const postgres = url ? `knox_migrated_${randomUUID().replaceAll('-', '')}` : null;
  if (url && postgres) await makePostgres(url, postgres, MIGRATIONS);
  const migrationIds = MIGRATIONS.map(({ id }) => id);
  project.provide('migratedDatabases', { migrationIds, sqlite, postgres });
  return async () => {
    rmSync(dir, { recursive: true });
    if (!url || !postgres) return;
    await asAdministrator(url, async (query) => {
      const names = await query(`SELECT datname FROM pg_database WHERE starts_with(datname, '${postgres}')`);
      for (const { datname } of names) await query(`DROP DATABASE ${datname} WITH (FORCE)`);
    });
  };
}
