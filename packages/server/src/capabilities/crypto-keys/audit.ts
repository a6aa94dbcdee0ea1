import type { AuditEntry } from '../audit-logs/index.js';
import type { CryptoKey } from './store.js';
import type { KeyType } from './tables.js';

export type CryptoAction =
  | 'crypto.create'
  | 'crypto.update'
  | 'crypto.rotate'
  | 'crypto.destroy'
  | 'crypto.encrypt'
  | 'crypto.decrypt'
  | 'crypto.rewrap';

export interface CryptoAuditDetails {
  readonly version?: number;
  /** Of the ciphertext that was rewrapped. */
  readonly from_version?: number;
  readonly new_version?: number;
  readonly key_type?: KeyType;
  readonly deletion_allowed?: boolean;
  readonly via?: 'ephemeral_proxy';
  /** Why the server rotated it by itself. */
  readonly reason?: 'encryptions';
  /** How many of one call. */
  readonly values?: number;
  readonly role?: string;
}

/** A key without a name is told by its id alone. */
export function cryptoEntry(
  action: CryptoAction,
  key: Pick<CryptoKey, 'id' | 'name'>,
  details: CryptoAuditDetails,
): AuditEntry {
  return { action, resourceType: 'crypto_key', resourceId: key.id, details: { key: key.name, ...details } };
}
