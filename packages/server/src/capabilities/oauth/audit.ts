import type { OAuthFamilyId } from '../../kernel/ids.js';
import type { AuditEntry } from '../audit-logs/index.js';
import { scopesText } from './tokens/scopes.js';
import type { StoredToken } from './tokens/store.js';

const HASH_PREFIX_BYTES = 4;

/** Never the token: eight digits of its hash are enough to find it by (auth.md §8.3). */
export function mintEntry(token: Omit<StoredToken, 'revokedAtMs'>): AuditEntry {
  return {
    action: 'oauth.token.mint',
    resourceType: 'oauth_token',
    resourceId: token.id,
    details: {
      grant_type: token.grantType,
      token_hash_prefix: token.hash.toString('hex', 0, HASH_PREFIX_BYTES),
      scope: scopesText([...token.permissions]),
      cnf_jkt: token.jkt,
      family_id: token.familyId,
      parent_token_id: token.parentTokenId,
    },
  };
}

export function revokeEntry(id: string, details: AuditEntry['details']): AuditEntry {
  return { action: 'oauth.token.revoke', resourceType: 'oauth_token', resourceId: id, details };
}

export function reuseEntry(familyId: OAuthFamilyId, hash: Buffer): AuditEntry {
  return {
    action: 'oauth.token.reuse_detected',
    resourceType: 'oauth_token',
    resourceId: familyId,
    details: {
      severity: 'critical',
      family_id: familyId,
      token_hash_prefix: hash.toString('hex', 0, HASH_PREFIX_BYTES),
    },
  };
}
