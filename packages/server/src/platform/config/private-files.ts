import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** A start that the operator must put right: shown as it is, without a stack. */
export class StartRefused extends Error {
  override readonly name = 'StartRefused';
}

export interface DataDirReport {
  readonly warning: string | null;
}

/** Made 0700; one that exists keeps its mode, since it may be a mounted volume, and an open one is warned of. */
export function prepareDataDir(path: string): DataDirReport {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new StartRefused(`KNOX_DATA_DIR: cannot make ${path} (${codeOf(error)})`);
  }
  const isOpen = (statSync(path).mode & 0o077) !== 0;
  return {
    warning: isOpen ? `${path} can be read by other users of this machine; chmod 700 is better` : null,
  };
}

/** Fails with EEXIST rather than replace a file; durable, its name included, when it returns. */
export function createPrivateFile(path: string, text: string): void {
  writeNew(path, text);
  syncDir(dirname(path));
}

/** Readers see the former file or the whole new one, after a crash too. */
export function replacePrivateFile(path: string, text: string): void {
  const draft = `${path}.new`;
  removeFile(draft);
  writeNew(draft, text);
  renamePrivateFile(draft, path);
}

/** Atomic, and durable when it returns. */
export function renamePrivateFile(from: string, to: string): void {
  renameSync(from, to);
  syncDir(dirname(to));
}

export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

function writeNew(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncDir(path: string): void {
  const dir = openSync(path, 'r');
  try {
    fsyncSync(dir);
  } finally {
    closeSync(dir);
  }
}

export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'error';
}
