import type { OAuthClientId } from '../../kernel/ids.js';
import type { AuditEntry } from '../audit-logs/index.js';

type ConsentAction =
  | 'oauth.consent.grant'
  | 'oauth.consent.deny'
  | 'oauth.device.approve'
  | 'oauth.device.deny';

/** What a user has said to a client; never a code. */
export function consentEntry(
  action: ConsentAction,
  clientId: OAuthClientId,
  scopes: readonly string[],
): AuditEntry {
  return {
    action,
    resourceType: 'oauth_client',
    resourceId: clientId,
    details: { scope: scopes.join(' ') },
  };
}
