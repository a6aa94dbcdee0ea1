import { isoTimeOrNull } from '../../kernel/clock.js';
import type { AuditEntry } from '../audit-logs/index.js';
import type { StoredSecret } from './types.js';

/** What a PATCH may change, but for values. */
export type SecretTerms = Pick<
  StoredSecret,
  'name' | 'description' | 'expiresAtMs' | 'isExpiryStrict' | 'collectionId' | 'allowedHosts'
>;

/** A value that was written, by its environment and version: what it is stands nowhere. */
export interface WrittenValue {
  readonly environment: string;
  readonly version: number;
}

/** Readers of the audit log know the fields by their names on the wire. */
function wireTerms(secret: SecretTerms): Record<keyof SecretTerms, readonly [string, unknown]> {
  return {
    name: ['name', secret.name],
    description: ['description', secret.description],
    expiresAtMs: ['expires_at', isoTimeOrNull(secret.expiresAtMs)],
    isExpiryStrict: ['strict_expiry_enforcement', secret.isExpiryStrict],
    collectionId: ['collection_id', secret.collectionId],
    allowedHosts: ['allowed_hosts', secret.allowedHosts],
  };
}

function termsOf(secret: SecretTerms, names: readonly (keyof SecretTerms)[]): Record<string, unknown> {
  const terms = wireTerms(secret);
  return Object.fromEntries(names.map((name) => terms[name]));
}

export function secretCreateEntry(secret: StoredSecret): AuditEntry {
  return secretEntry('create', secret, {
    ...Object.fromEntries(Object.values(wireTerms(secret))),
    secret_type: secret.type,
    base_environment: secret.baseEnvironment,
  });
}

export function secretUpdateEntry(
  before: StoredSecret,
  after: StoredSecret,
  sent: readonly (keyof SecretTerms)[],
  written: readonly WrittenValue[],
): AuditEntry {
  return secretEntry('update', after, {
    name: after.name,
    old: termsOf(before, sent),
    new: termsOf(after, sent),
    ...(written.length > 0 && { written: written.map(wireWritten) }),
  });
}

export function secretRotateEntry(secret: StoredSecret, written: WrittenValue): AuditEntry {
  return secretEntry('rotate', secret, { name: secret.name, ...wireWritten(written) });
}

export function secretReadEntry(secret: StoredSecret, read: WrittenValue): AuditEntry {
  return secretEntry('read', secret, { name: secret.name, ...wireWritten(read) });
}

export function secretDeleteEntry(secret: StoredSecret, environments: number): AuditEntry {
  return secretEntry('delete', secret, {
    name: secret.name,
    secret_type: secret.type,
    environment_count: environments,
  });
}

function wireWritten({ environment, version }: WrittenValue): Record<string, unknown> {
  return { environment, value_version: version };
}

function secretEntry(verb: string, { id }: StoredSecret, details: Record<string, unknown>): AuditEntry {
  return { action: `secret.${verb}`, resourceType: 'secret', resourceId: id, details };
}
