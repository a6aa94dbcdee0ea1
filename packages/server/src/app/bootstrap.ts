import { type BootstrapContent, removeBootstrapFile, writeBootstrapFile } from './bootstrap-file.js';

export interface BootstrapDeps {
  /** The bootstrap file, or null where it is switched off. */
  readonly filePath: string | null;
  hasTenant(): Promise<boolean>;
  /** Makes tenant, owner and keys in memory: hashing and wrapping happen here, outside any transaction. */
  prepare(): Promise<PreparedInstallation>;
}

export interface PreparedInstallation {
  readonly content: BootstrapContent;
  /** One transaction that also asks again; false = another process was first, and nothing was written. */
  commit(): Promise<boolean>;
}

/**
 * Makes the bootstrap tenant where there is none; null where there is one (auth §7 "First start").
 *
 * The file is durable before the commit: a crash between the two leaves a file whose credentials do not work and no
 * tenant, so that the next start makes everything anew. The other order could leave an owner whose password nobody
 * has seen.
 */
export async function bootstrapInstallation(deps: BootstrapDeps): Promise<BootstrapContent | null> {
  if (await deps.hasTenant()) return null;
  const { content, commit } = await deps.prepare();
  if (deps.filePath) writeBootstrapFile(deps.filePath, content);
  let isMade = false;
  try {
    isMade = await commit();
  } catch (error) {
    // A commit whose answer was lost may have happened; then the file is the only way in and has to stay.
    if (deps.filePath && !(await deps.hasTenant().catch(() => true))) removeBootstrapFile(deps.filePath);
    throw error;
  }
  if (!isMade && deps.filePath) removeBootstrapFile(deps.filePath);
  return isMade ? content : null;
}
