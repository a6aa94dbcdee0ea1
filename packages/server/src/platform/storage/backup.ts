import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { StorageOptions } from './open-database.js';
import { StorageRefused } from './refused.js';
import { loadSqlite } from './sqlite-module.js';

export interface BackedUpFile {
  readonly path: string;
  readonly bytes: number;
}

/** How long a reader waits for a writer that is just folding in its log. */
const BUSY_MS = 5_000;

/**
 * A copy of both files as each was at one moment, while a server goes on writing. A file has its name once it is whole,
 * checked and on the disk; none is ever replaced.
 */
export function backupSqlite(
  { path, logPath }: Extract<StorageOptions, { kind: 'sqlite' }>,
  dir: string,
): BackedUpFile[] {
  const files = [path, logPath].map((source) => {
    const target = join(dir, basename(source));
    return { source, target, draft: `${target}.partial` };
  });
  for (const { source, target } of files) {
    if (!existsSync(source))
      throw new StorageRefused(`${source} does not exist: there is nothing to back up`);
    if (existsSync(target))
      throw new StorageRefused(`${target} exists: a backup goes to a folder without one`);
  }
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (const { source, draft } of files) {
    // What an interrupted backup has left.
    rmSync(draft, { force: true });
    // Made here for its mode; SQLite writes into a file that is there and empty.
    closeSync(openSync(draft, 'wx', 0o600));
    copyWhole(source, draft);
    assertWhole(draft);
    sync(draft);
  }
  for (const { draft, target } of files) renameSync(draft, target);
  sync(dir);
  return files.map(({ target }) => ({ path: target, bytes: statSync(target).size }));
}

function copyWhole(source: string, draft: string): void {
  const { DatabaseSync } = loadSqlite();
  const db = new DatabaseSync(source, { readOnly: true });
  try {
    db.exec(`PRAGMA busy_timeout = ${BUSY_MS}; VACUUM INTO '${draft.replaceAll("'", "''")}'`);
  } finally {
    db.close();
  }
}

function assertWhole(path: string): void {
  const { DatabaseSync } = loadSqlite();
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const { integrity_check: verdict } = db.prepare('PRAGMA integrity_check(1)').get() as Record<
      string,
      string
    >;
    const broken = db.prepare('SELECT 1 FROM pragma_foreign_key_check LIMIT 1').all();
    const applied = db.prepare('SELECT count(*) AS n FROM schema_migrations').get() as { n: number };
    if (verdict === 'ok' && broken.length === 0 && applied.n > 0) return;
    throw new StorageRefused(`${path} is damaged, and so may be what it was copied from`);
  } finally {
    db.close();
  }
}

function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
