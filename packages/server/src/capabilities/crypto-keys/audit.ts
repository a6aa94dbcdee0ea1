import { createLru } from '../../platform/cache/lru.js';
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
  readonly via?: 'ephemeral_proxy' | 'route';
  /** Why the server rotated it by itself. */
  readonly reason?: 'encryptions';
  /** How many of one call. */
  readonly values?: number;
  readonly role?: string;
}

type AuditedKey = Pick<CryptoKey, 'id' | 'name'>;

const ENTRIES_KEPT = 10_000;

/** Entries of acts that say no more than a version, each made once. */
export function createVersionEntries() {
  const entries = createLru<string, AuditEntry>({ entriesMax: ENTRIES_KEPT });
  return (action: CryptoAction | 'crypto.sign', key: AuditedKey, version: number): AuditEntry => {
    const place = `${action}:${version}:${key.id}`;
    const known = entries.get(place);
    if (known) return known;
    const details = Object.freeze({ key: key.name, version });
    const entry = { action, resourceType: 'crypto_key', resourceId: key.id, details };
    entries.put(place, entry);
    return entry;
  };
}

/** A key without a name is told by its id alone. */
export function cryptoEntry(action: CryptoAction, key: AuditedKey, details: CryptoAuditDetails): AuditEntry {
  return { action, resourceType: 'crypto_key', resourceId: key.id, details: { key: key.name, ...details } };
}
