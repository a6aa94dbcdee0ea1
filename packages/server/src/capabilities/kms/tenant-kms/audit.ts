import type { AuditEntry } from '../../audit-logs/index.js';

export type KmsAction = 'byok.kms.onboard' | 'byok.kms.rotate' | 'byok.kms.unseal' | 'byok.kms.delete';

/** Which key it was about; no external id, which the tenant may have chosen as a secret. */
export function kmsEntry(
  action: KmsAction,
  kmsKey: string,
  details: Readonly<Record<string, unknown>>,
): AuditEntry {
  const { provider, kms_key_ref } = JSON.parse(kmsKey) as Record<string, string>;
  return {
    action,
    resourceType: 'tenant_kms',
    resourceId: null,
    details: { provider, kms_key_ref, ...details },
  };
}
