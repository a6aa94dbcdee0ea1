import type { AuditEntry } from '../audit-logs/index.js';
import type { Authority } from './authorities.js';

export function authorityEntry(
  action: 'pki.root.create' | 'pki.intermediate.rotate',
  { rootId, name, serial, keyId }: Pick<Authority, 'rootId' | 'name' | 'serial' | 'keyId'>,
): AuditEntry {
  return {
    action,
    resourceType: 'pki_root',
    resourceId: rootId,
    details: { name, serial, key_id: keyId },
  };
}
