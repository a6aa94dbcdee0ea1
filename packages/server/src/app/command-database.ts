import { commitHook } from '../capabilities/audit-logs/index.js';
import { type Config, storageOptions } from '../platform/config/config.js';
import type { Database } from '../platform/storage/database.js';
import { openDatabase } from '../platform/storage/open-database.js';
import { type CommandDeps, requireInstallation } from './command-deps.js';
import { MIGRATIONS } from './services.js';

/** The database of an installation that is there; beside a running server too, since it takes no lock. */
export async function withDatabase<T>(
  config: Config,
  { clock }: CommandDeps,
  use: (db: Database) => Promise<T>,
): Promise<T> {
  requireInstallation(config);
  const db = await openDatabase(storageOptions(config), { migrations: MIGRATIONS, clock, commitHook });
  try {
    return await use(db);
  } finally {
    await db.close();
  }
}
