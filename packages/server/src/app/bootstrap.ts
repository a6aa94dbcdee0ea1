import {
  type BootstrapContent,
  pendingTenantId,
  publishBootstrapFile,
  removePendingBootstrapFile,
  writePendingBootstrapFile,
} from './bootstrap-file.js';

export interface BootstrapDeps {
  /** The bootstrap file, or null where it is switched off. */
  readonly filePath: string | null;
  hasTenants(): Promise<boolean>;
  hasTenant(id: string): Promise<boolean>;
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
 * The credentials are durable before the commit, and get the file's name after it (docs/decisions/0020).
 */
export async function bootstrapInstallation(deps: BootstrapDeps): Promise<BootstrapContent | null> {
  const { filePath } = deps;
  if (filePath) await settlePending(filePath, deps);
  if (await deps.hasTenants()) return null;
  const { content, commit } = await deps.prepare();
  if (filePath) writePendingBootstrapFile(filePath, content);
  let isMade = false;
  try {
    isMade = await commit();
  } catch (error) {
    // A commit whose answer was lost may have happened; where that cannot be asked, the next start asks.
    if (filePath) await settlePending(filePath, deps).catch(() => {});
    throw error;
  }
  if (filePath && isMade) publishBootstrapFile(filePath);
  else if (filePath) removePendingBootstrapFile(filePath);
  return isMade ? content : null;
}

async function settlePending(filePath: string, deps: Pick<BootstrapDeps, 'hasTenant'>): Promise<void> {
  const tenantId = pendingTenantId(filePath);
  if (tenantId === null) return;
  if (await deps.hasTenant(tenantId)) publishBootstrapFile(filePath);
  else removePendingBootstrapFile(filePath);
}
