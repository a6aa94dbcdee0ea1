import type { AuditEntry } from '../../audit-logs/index.js';
import type { KeyIdentity } from '../store.js';
import type { JwtAlgorithm } from './jwt-algorithms.js';
import type { WebhookFormat } from './webhook-formats.js';

export interface SigningDetails {
  readonly version: number;
  readonly alg?: JwtAlgorithm;
  readonly format?: WebhookFormat;
}

/** Never what was signed, nor the signature. */
export function signingEntry(
  action: 'crypto.jwt' | 'crypto.webhook_sign',
  key: KeyIdentity,
  details: SigningDetails,
): AuditEntry {
  return { action, resourceType: 'crypto_key', resourceId: key.id, details: { key: key.name, ...details } };
}
