import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '../kernel/clock.js';
import {
  codeOf,
  removeFile,
  renamePrivateFile,
  replacePrivateFile,
  StartRefused,
} from '../platform/config/private-files.js';
import type { Logger } from '../platform/log/logger.js';

/** Credentials of the first start, in the form of the bootstrap file (contract README §8). */
export interface BootstrapContent {
  readonly base_url: string;
  readonly tenant: { readonly id: string; readonly slug: string };
  readonly admin: { readonly email: string; readonly password: string };
  readonly live_api_key: string;
  readonly test_api_key: string;
}

const LIFETIME_MS = 24 * 3600 * 1000;

/** Where the credentials stand until they work. */
export function pendingPathOf(path: string): string {
  return `${path}.pending`;
}

/** Durable, but not yet under its name. Neither name is taken from a file that is not a bootstrap file. */
export function writePendingBootstrapFile(path: string, content: BootstrapContent): void {
  for (const taken of [path, pendingPathOf(path)]) {
    if (read(taken) === 'foreign')
      throw new StartRefused(`KNOX_BOOTSTRAP_FILE: ${taken} exists and is something else`);
  }
  try {
    replacePrivateFile(pendingPathOf(path), `${JSON.stringify(content, null, 2)}\n`);
  } catch (error) {
    throw new StartRefused(`KNOX_BOOTSTRAP_FILE: cannot write ${path} (${codeOf(error)})`);
  }
}

/** Whoever sees the file under its name finds credentials that work. */
export function publishBootstrapFile(path: string): void {
  renamePrivateFile(pendingPathOf(path), path);
}

/** Of a file whose start ended between its writing and the outcome of its commit; null where there is none. */
export function pendingTenantId(path: string): string | null {
  const pending = pendingPathOf(path);
  return read(pending) === 'bootstrap' ? contentOf(pending).tenant.id : null;
}

export function removePendingBootstrapFile(path: string): void {
  removeBootstrapFile(pendingPathOf(path));
}

export function removeBootstrapFile(path: string): void {
  if (read(path) === 'bootstrap') removeFile(path);
}

/** When that owner has signed in: whoever reads the file from then on is somebody else. */
export function removeBootstrapFileOf(path: string, email: string, logger: Pick<Logger, 'warn'>): void {
  try {
    if (read(path) === 'bootstrap' && contentOf(path).admin.email === email) removeFile(path);
  } catch (error) {
    // The sign-in is done; the file still goes by its age.
    logger.warn({ err: error }, 'the bootstrap file could not be removed');
  }
}

export interface BootstrapFileExpiry {
  /** Whether the file is there now, for the start's output. */
  readonly isPresent: boolean;
  cancel(): void;
}

/** Removes the file 24 h after it was written: at once when that is past, else by timer. */
export function expireBootstrapFile(path: string, clock: Clock): BootstrapFileExpiry {
  if (read(path) !== 'bootstrap') return { isPresent: false, cancel: () => {} };
  const remainingMs = statSync(path).mtimeMs + LIFETIME_MS - clock.nowMs();
  if (remainingMs <= 0) {
    removeFile(path);
    return { isPresent: false, cancel: () => {} };
  }
  // A clock that was set back must not keep the file for longer than its lifetime.
  const cancel = clock.setTimer(Math.min(remainingMs, LIFETIME_MS), () => removeBootstrapFile(path));
  return { isPresent: true, cancel };
}

function contentOf(path: string): BootstrapContent {
  return JSON.parse(readFileSync(path, 'utf8')) as BootstrapContent;
}

function read(path: string): 'absent' | 'bootstrap' | 'foreign' {
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const isOurs =
      content !== null && typeof content === 'object' && 'live_api_key' in content && 'admin' in content;
    return isOurs ? 'bootstrap' : 'foreign';
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? 'absent' : 'foreign';
  }
}
