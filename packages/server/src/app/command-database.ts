import { createAccounts } from '../capabilities/accounts/index.js';
import { commitHook, createAuditLogs } from '../capabilities/audit-logs/index.js';
import { createFirstEnvironments } from '../capabilities/environments/index.js';
import type { Clock } from '../kernel/clock.js';
import { createGenerations } from '../platform/cache/generations.js';
import { storageOptions } from '../platform/config/config.js';
import { systemIds, systemRandom } from '../platform/crypto/random.js';
import { createJobs, type Jobs } from '../platform/jobs/jobs.js';
import { createLogger } from '../platform/log/logger.js';
import type { Database } from '../platform/storage/database.js';
import { openDatabase } from '../platform/storage/open-database.js';
import { type CommandDeps, readConfig, requireInstallation } from './command-deps.js';
import { MIGRATIONS } from './migrations.js';
import { startErrorText } from './start.js';

/**
 * Runs a command on the database of an installation that is there, beside a running server too, since it takes no lock.
 * The exit code; a failure is told after the command's name.
 */
export async function runOnDatabase(
  name: string,
  deps: CommandDeps,
  use: (db: Database) => Promise<number>,
): Promise<number> {
  const { terminal, clock } = deps;
  const config = readConfig(deps);
  if (!config) return 1;
  try {
    requireInstallation(config);
    const db = await openDatabase(storageOptions(config), { migrations: MIGRATIONS, clock, commitHook });
    try {
      return await use(db);
    } finally {
      await db.close();
    }
  } catch (error) {
    terminal.error(`${name}: ${startErrorText(error)}\n`);
    return 1;
  }
}

/** Not started: it claims nothing here. */
export function idleJobs(db: Database, clock: Clock): Jobs {
  const logger = createLogger('error', { write: () => {} });
  return createJobs({ db, clock, ids: systemIds, random: systemRandom, logger });
}

export function accountsOn(db: Database, clock: Clock) {
  const auditLogs = createAuditLogs({ db, clock, ids: systemIds });
  const generations = createGenerations({ db, clock });
  const ids = systemIds;
  const seedTenant = createFirstEnvironments({ db, clock, ids });
  return { auditLogs, accounts: createAccounts({ db, clock, ids, generations, auditLogs, seedTenant }) };
}
