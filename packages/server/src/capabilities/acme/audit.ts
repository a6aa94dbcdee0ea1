import type { AuditEntry } from '../audit-logs/index.js';
import type { CaRole } from '../pki/index.js';
import { type Account, type ExternalKey, keyIdOf } from './account-store.js';

export type AuditedRole = Pick<CaRole, 'id' | 'name' | 'rootId'>;
export type AuditedAccount = Pick<Account, 'id' | 'thumbprint' | 'externalBinding'>;

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

/** Whose certificates are whose is asked of the log; contacts are not part of it, which are what strangers write. */
export function accountEntry(
  role: AuditedRole,
  change: 'opened' | 'key_changed' | 'deactivated' | 'revoked',
  account: AuditedAccount,
): AuditEntry {
  return {
    action: 'pki.acme.account',
    resourceType: 'acme_account',
    resourceId: account.id,
    details: {
      change,
      root_id: role.rootId,
      role_id: role.id,
      role: role.name,
      thumbprint: account.thumbprint,
      acme_key: keyIdOf(account),
    },
  };
}
