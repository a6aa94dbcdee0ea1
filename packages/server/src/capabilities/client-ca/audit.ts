import type { AuditEntry } from '../audit-logs/index.js';
import type { Authority } from './store.js';
import { CLIENT_ROOT_NAME } from './terms.js';

/** The chain is made by whoever needs it first, and renewed by time: the cause is the system. */
export function authorityEntry(
  action: 'pki.root.create' | 'pki.intermediate.rotate',
  authority: Pick<Authority, 'rootId' | 'serial' | 'keyId'>,
): AuditEntry {
  return {
    action,
    resourceType: 'pki_root',
    resourceId: authority.rootId,
    details: { name: CLIENT_ROOT_NAME, serial: authority.serial, key_id: authority.keyId },
  };
}
