import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { type Clock, systemClock } from '../kernel/clock.js';
import type { Database } from '../platform/storage/database.js';
import type { Migration } from '../platform/storage/migration.js';
import { openDatabase } from '../platform/storage/open-database.js';

export interface TestDatabase extends Database {
  /** Closes it and removes what it kept. */
  cleanup(): Promise<void>;
}

export interface OpenTestOptions {
  readonly clock?: Clock;
}

export type OpenTestDatabase = (
  migrations: readonly Migration[],
  options?: OpenTestOptions,
) => Promise<TestDatabase>;

/** Runs a store's contract suite on every database there is; one that is not there is skipped with its reason. */
export function forEachDatabase(suite: (name: string, open: OpenTestDatabase) => void): void {
  describe('on SQLite', () => suite('sqlite', openTestSqlite));
  describe.skip('on PostgreSQL (not built yet)', () => suite('postgres', openTestSqlite));
}

/** A fresh SQLite database in a folder of its own. */
export const openTestSqlite: OpenTestDatabase = async (migrations, options = {}) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'knox-test-'));
  const database = await openDatabase(
    { kind: 'sqlite', dataDir },
    { migrations, clock: options.clock ?? systemClock },
  );
  return Object.assign(database, {
    async cleanup() {
      await database.close();
      rmSync(dataDir, { recursive: true });
    },
  });
};
