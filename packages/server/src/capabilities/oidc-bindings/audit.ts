import type { AuditEntry } from '../audit-logs/index.js';
import type { BindingTerms, OidcBinding } from './store.js';

export type BindingAction = 'oidc_binding.create' | 'oidc_binding.update' | 'oidc_binding.delete';

/** Readers of the audit log know the fields by their names on the wire. */
const WIRE_NAMES: Record<keyof BindingTerms, string> = {
  name: 'name',
  provider: 'provider',
  issuer: 'issuer',
  audiences: 'audiences',
  subject: 'subject',
  claims: 'claims',
  access: 'access',
  ttlSeconds: 'ttl_seconds',
  enabled: 'enabled',
};

/** Whom a binding lets in and what it gives is part of the row: nothing else tells later what it was. */
export function bindingEntry(
  action: BindingAction,
  binding: OidcBinding,
  changes?: Partial<BindingTerms>,
): AuditEntry {
  const changed = changes && (Object.keys(changes) as (keyof BindingTerms)[]).map((name) => WIRE_NAMES[name]);
  const { access } = binding;
  return {
    action,
    resourceType: 'oidc_binding',
    resourceId: binding.id,
    details: {
      name: binding.name,
      provider: binding.provider,
      issuer: binding.issuer,
      subject: binding.subject,
      claims: binding.claims,
      ...('roleIds' in access ? { role_ids: access.roleIds } : { scopes: access.scopes }),
      enabled: binding.enabled,
      ...(changed && { changed }),
    },
  };
}
