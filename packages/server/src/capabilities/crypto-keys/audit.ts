import type { AuditEntry } from '../audit-logs/index.js';
import type { CryptoKey } from './store.js';

export type CryptoAction = 'crypto.update' | 'crypto.destroy' | 'crypto.encrypt' | 'crypto.decrypt';

export interface CryptoAuditDetails {
  readonly version?: number;
  readonly deletion_allowed?: boolean;
  readonly via?: 'ephemeral_proxy';
}

/** A key without a name is told by its id alone. */
export function cryptoEntry(
  action: CryptoAction,
  key: Pick<CryptoKey, 'id' | 'name'>,
  details: CryptoAuditDetails,
): AuditEntry {
  return { action, resourceType: 'crypto_key', resourceId: key.id, details: { key: key.name, ...details } };
}
