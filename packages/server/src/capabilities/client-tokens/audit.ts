import type { Capability } from '../../kernel/principal.js';
import type { AuditEntry } from '../audit-logs/index.js';

export function createEntry(
  { id, action, role, vaultId, origins }: Capability,
  expiresAt: string,
): AuditEntry {
  return entry('crypto.client_token.create', id, {
    action,
    expires_at: expiresAt,
    ...(role !== null && { role }),
    ...(vaultId !== null && { vault_id: vaultId }),
    ...(origins !== null && { origins }),
  });
}

/** The maker is its actor, the address that of whoever used it. */
export function useEntry({ id, action }: Capability, origin: string | null): AuditEntry {
  return entry('crypto.client_token.use', id, { action, ...(origin !== null && { origin }) });
}

function entry(action: string, id: string, details: Record<string, unknown>): AuditEntry {
  return { action, resourceType: 'crypto_key', resourceId: id, details };
}
