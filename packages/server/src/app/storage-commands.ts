import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Config, sqliteStorage } from '../platform/config/config.js';
import { databaseAddress, RuleBroken } from '../platform/config/parsers.js';
import { backupSqlite } from '../platform/storage/backup.js';
import { copyStorage } from '../platform/storage/copy/copy-storage.js';
import { DataDirLocked } from '../platform/storage/lock.js';
import { MigrationRefused } from '../platform/storage/migrator.js';
import type { StorageOptions } from '../platform/storage/open-database.js';
import { DatabaseUnreachable, databaseErrorText } from '../platform/storage/postgres-errors.js';
import { StorageRefused } from '../platform/storage/refused.js';
import { type CommandDeps, readConfig, USAGE_ERROR } from './command-deps.js';
import { MIGRATIONS } from './migrations.js';
import type { Terminal } from './start.js';

/** `storage copy --from <url> --to <url>`: a new database with all that the former one holds. */
export async function runStorageCopy(args: readonly string[], deps: CommandDeps): Promise<number> {
  const { terminal, workingDir, clock } = deps;
  const { from, to } = optionsOf(args, ['from', 'to']);
  if (!from || !to) return usage(terminal, 'storage copy --from <url> --to <url>');
  let places: { from: StorageOptions; to: StorageOptions };
  try {
    places = { from: storageOf(from, workingDir), to: storageOf(to, workingDir) };
  } catch (error) {
    if (!(error instanceof RuleBroken)) throw error;
    terminal.error(`--from and --to ${error.message}\n`);
    return USAGE_ERROR;
  }
  return await told(terminal, 'Not copied', async () => {
    const report = await copyStorage({
      ...places,
      migrations: MIGRATIONS,
      clock,
      onRows: (table, rows, isWhole) => terminal.out(`${isWhole ? '  ' : '  … '}${table}  ${rows}\n`),
    });
    const rows = report.reduce((sum, table) => sum + table.rows, 0);
    terminal.out(
      `Copied and compared: ${rows} rows of ${report.length} tables. ` +
        'Start the server with DATABASE_URL of the new database and the same root key; the former one is as it was.\n',
    );
    return 0;
  });
}

/** `backup --to <folder>`: of the database that the environment names. */
export async function runBackup(args: readonly string[], deps: CommandDeps): Promise<number> {
  const { terminal, workingDir } = deps;
  const { to } = optionsOf(args, ['to']);
  if (!to) return usage(terminal, 'backup --to <folder>');
  const config = readConfig(deps);
  if (!config) return 1;
  const dir = resolve(workingDir, to);
  const { storage } = config;
  if (storage.kind === 'postgres') {
    terminal.error(
      'Not backed up: PostgreSQL makes its own backups. Use its tool, with the password in PGPASSWORD or ~/.pgpass:\n\n' +
        `  pg_dump --format=custom --no-owner --file=${quoted(join(dir, 'knox.dump'))} ${quoted(withoutPassword(storage.url.reveal()))}\n`,
    );
    return 1;
  }
  return await told(terminal, 'Not backed up', async () => {
    for (const { path, bytes } of backupSqlite(storage, dir)) terminal.out(`  ${path}  ${bytes} bytes\n`);
    terminal.out(`Backed up and checked. ${rootKeyNotice(config)}\n`);
    return 0;
  });
}

function rootKeyNotice({ rootKey }: Config): string {
  const where = rootKey.kind === 'file' ? rootKey.path : 'MASTER_KEY_B64';
  return `The root key (${where}) is not in it: keep that apart, the backup is worth nothing without it.`;
}

/** Absent where the arguments are not exactly these. */
function optionsOf<Name extends string>(
  args: readonly string[],
  names: readonly Name[],
): Partial<Record<Name, string>> {
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: 'string' } as const]));
    return parseArgs({ args: [...args], options, strict: true }).values as Partial<Record<Name, string>>;
  } catch {
    return {};
  }
}

function usage(terminal: Terminal, line: string): number {
  terminal.error(`Usage: knox-server ${line}\n`);
  return USAGE_ERROR;
}

function storageOf(url: string, workingDir: string): StorageOptions {
  const address = databaseAddress(url);
  return address.kind === 'sqlite'
    ? sqliteStorage(resolve(workingDir, address.path))
    : { kind: 'postgres', url: address.url.reveal(), poolMax: 1 };
}

/** What the operator can put right is told in a sentence; a bug keeps its stack. */
async function told(terminal: Terminal, failure: string, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    const isTold = [StorageRefused, DataDirLocked, MigrationRefused, DatabaseUnreachable].some(
      (kind) => error instanceof kind,
    );
    terminal.error(
      `${failure}: ${isTold && error instanceof Error ? error.message : databaseErrorText(error)}\n`,
    );
    return 1;
  }
}

function withoutPassword(text: string): string {
  const url = new URL(text);
  url.password = '';
  url.searchParams.delete('password');
  return url.href;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
