import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadSqlite } from './sqlite-module.js';

const SQLITE_BUSY = 5;

export class DataDirLocked extends Error {
  override readonly name = 'DataDirLocked';
}

export interface DataDirLock {
  release(): void;
}

/**
 * One process a data directory. The lock is an exclusive transaction held open: the kernel drops it with the
 * process, however that ends, so there is no stale lock file to remove by hand.
 */
export function lockDataDir(dataDir: string): DataDirLock {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const { DatabaseSync } = loadSqlite();
  const connection = new DatabaseSync(join(dataDir, 'lock.db'));
  try {
    connection.exec('PRAGMA busy_timeout = 0');
    connection.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    connection.close();
    // A full or read-only disk is no other process.
    if (!(error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY))
      throw new DataDirLocked(`the data directory ${dataDir} cannot be written`, { cause: error });
    throw new DataDirLocked(
      `the data directory ${dataDir} is in use by another server process: stop that one first, or start this one on another directory`,
      { cause: error },
    );
  }
  return { release: () => connection.close() };
}
