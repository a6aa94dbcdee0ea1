import type { AuditEntry } from '../audit-logs/index.js';
import type { CaRole } from '../pki/index.js';
import type { ExternalKey } from './account-store.js';

/** Who may have an account is part of what the role lets be certified (contract README §3 has no action of its own for it). */
export function keyEntry(
  role: Pick<CaRole, 'id' | 'name'>,
  change: 'acme_key_created' | 'acme_key_deleted',
  key: Pick<ExternalKey, 'id' | 'label' | 'accountId'>,
): AuditEntry {
  return {
    action: 'pki.role.update',
    resourceType: 'pki_role',
    resourceId: role.id,
    details: {
      name: role.name,
      [change]: key.id,
      label: key.label,
      ...(key.accountId !== null && { account_revoked: key.accountId }),
    },
  };
}
