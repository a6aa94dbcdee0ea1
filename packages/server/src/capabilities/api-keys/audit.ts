import { isoTimeOrNull } from '../../kernel/clock.js';
import type { ApiKeyId } from '../../kernel/ids.js';
import type { AuditEntry } from '../audit-logs/index.js';
import type { KeyTerms } from './store.js';

interface NamedKey {
  readonly id: ApiKeyId;
  readonly keyId: string;
  readonly name: string;
}

/** What a key was given is part of the row: nothing else tells later what it could do. */
export function createEntry(key: NamedKey & KeyTerms & { readonly type: string }): AuditEntry {
  return entry('api_key.create', key, {
    key_type: key.type,
    ...(key.access.full
      ? { full_access: true }
      : { role_ids: key.access.roleIds, grants: key.access.grants }),
    rate_limit_requests: key.rateLimit?.requests ?? null,
    rate_limit_window_sec: key.rateLimit?.windowSeconds ?? null,
    expires_at: isoTimeOrNull(key.expiresAtMs),
  });
}

export function revokeEntry(key: NamedKey): AuditEntry {
  return entry('api_key.revoke', key, {});
}

function entry(action: string, { id, name, keyId }: NamedKey, details: Record<string, unknown>): AuditEntry {
  return {
    action,
    resourceType: 'api_key',
    resourceId: id,
    details: { name, key_id: keyId, ...details },
  };
}
