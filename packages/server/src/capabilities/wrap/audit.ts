import { isoTime } from '../../kernel/clock.js';
import type { AuditEntry } from '../audit-logs/index.js';
import type { WrapToken } from './store.js';

export function credentialEntry(
  secretId: string,
  details: { readonly name: string; readonly provider: string; readonly allowed_hosts: readonly string[] },
): AuditEntry {
  return { action: 'wrap.credential.create', resourceType: 'secret', resourceId: secretId, details };
}

/** Of the secret that it sends (contract README §3). */
export function tokenEntry(
  verb: 'create' | 'revoke',
  token: Pick<WrapToken, 'id' | 'secretId' | 'host' | 'label' | 'expiresAtMs'>,
): AuditEntry {
  return {
    action: `wrap.token.${verb}`,
    resourceType: 'secret',
    resourceId: token.secretId,
    details: {
      token_id: token.id,
      host: token.host,
      label: token.label,
      expires_at: isoTime(token.expiresAtMs),
    },
  };
}
