import type { AuditEntry } from '../../audit-logs/index.js';

/** `forced`: stored secrets were lost with it. */
export function revokeEntry(version: number, forced: boolean): AuditEntry {
  return {
    action: 'byok.kms.revoke',
    resourceType: 'tenant_kms',
    resourceId: null,
    details: { version, forced },
  };
}
