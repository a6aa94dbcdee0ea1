import type { AuditEntry } from '../audit-logs/index.js';
import type { OAuthClient } from './store.js';

type Named = Pick<OAuthClient, 'id' | 'clientId' | 'name'>;

/** What a client was given is part of the row: nothing else tells later what it could do. */
export function createEntry(client: OAuthClient): AuditEntry {
  return entry('oauth_client.create', client, { type: client.type, ...termsOf(client) });
}

export function updateEntry(before: OAuthClient, after: OAuthClient): AuditEntry {
  return entry('oauth_client.update', after, { old: termsOf(before), new: termsOf(after) });
}

export function rotateEntry(client: OAuthClient): AuditEntry {
  return entry('oauth_client.rotate_secret', client, {});
}

export function revokeEntry(client: OAuthClient): AuditEntry {
  return entry('oauth_client.revoke', client, {});
}

function termsOf(client: OAuthClient): Record<string, unknown> {
  return {
    name: client.name,
    grant_types: client.grantTypes,
    allowed_scopes: client.allowedScopes,
    redirect_uris: client.redirectUris,
    require_dpop: client.requireDpop,
    require_dpop_nonce: client.requireDpopNonce,
    refresh_grace_seconds: client.refreshGraceSeconds,
    step_up_scopes: client.stepUpScopes,
    has_consent_template: client.consentHtmlTemplate !== null,
    active: client.isActive,
  };
}

function entry(action: string, { id, clientId, name }: Named, details: AuditEntry['details']): AuditEntry {
  return {
    action,
    resourceType: 'oauth_client',
    resourceId: id,
    details: { client_id: clientId, name, ...details },
  };
}
