import { isoSeconds } from '../../kernel/clock.js';
import type { AuditEntry } from '../audit-logs/index.js';
import type { Authority, PreparedCertificate } from '../authorities/index.js';
import { nameText } from '../x509/index.js';
import type { CertifiedNames } from './certified-names.js';
import type { GivenReason } from './reasons.js';
import type { CaRole, RoleTerms } from './roles.js';

type RootRef = Pick<Authority, 'id' | 'name'>;

export function rootCreateEntry(root: Authority, issuing: Authority): AuditEntry {
  const { id, name, subject, serial, keyAlgorithm, keyId, notAfterMs } = root;
  return {
    action: 'pki.root.create',
    resourceType: 'pki_root',
    resourceId: id,
    details: {
      name,
      subject: nameText(subject),
      serial,
      key_id: keyId,
      key_algorithm: keyAlgorithm,
      not_after: isoSeconds(notAfterMs),
      issuing_serial: issuing.serial,
    },
  };
}

export function rootRetireEntry({ id, name }: RootRef): AuditEntry {
  return { action: 'pki.root.retire', resourceType: 'pki_root', resourceId: id, details: { name } };
}

/** Readers of the audit log know the fields by their names on the wire. */
const WIRE_NAMES: Record<keyof RoleTerms, string> = {
  name: 'name',
  allowedDomains: 'allowed_domains',
  allowSubdomains: 'allow_subdomains',
  allowWildcards: 'allow_wildcards',
  allowIpSans: 'allow_ip_sans',
  allowAcme: 'allow_acme',
  acmeRequireEab: 'acme_require_eab',
  maxTtlSeconds: 'max_ttl_seconds',
  defaultTtlSeconds: 'default_ttl_seconds',
  keyAlgorithm: 'key_algorithm',
};
const TERMS = Object.keys(WIRE_NAMES) as (keyof RoleTerms)[];
/** Of a list that may have hundreds: a row stays small. */
const DOMAINS_SHOWN_MAX = 50;

/** What a role lets be certified is part of the row: nothing else tells later what it was. */
export function roleEntry(
  action: 'pki.role.create' | 'pki.role.delete',
  root: RootRef,
  role: CaRole,
): AuditEntry {
  return entryOf(action, root, role, termsOf(role, TERMS));
}

export function roleUpdateEntry(root: RootRef, before: CaRole, after: CaRole): AuditEntry {
  const changed = TERMS.filter((term) => JSON.stringify(before[term]) !== JSON.stringify(after[term]));
  const details = { name: after.name, old: termsOf(before, changed), new: termsOf(after, changed) };
  return entryOf('pki.role.update', root, after, details);
}

function entryOf(
  action: 'pki.role.create' | 'pki.role.update' | 'pki.role.delete',
  root: RootRef,
  role: CaRole,
  details: Record<string, unknown>,
): AuditEntry {
  return {
    action,
    resourceType: 'pki_role',
    resourceId: role.id,
    details: { root_id: root.id, root: root.name, ...details },
  };
}

function termsOf(role: CaRole, terms: readonly (keyof RoleTerms)[]): Record<string, unknown> {
  const shown = { ...role, allowedDomains: role.allowedDomains.slice(0, DOMAINS_SHOWN_MAX) };
  return {
    ...Object.fromEntries(terms.map((term) => [WIRE_NAMES[term], shown[term]])),
    ...(terms.includes('allowedDomains') && { allowed_domains_count: role.allowedDomains.length }),
  };
}

/** Of a certificate with as many names as there may be some. */
const NAMES_SHOWN_MAX = 20;

export function certificateEntry(
  action: 'pki.issue' | 'pki.sign',
  { root, role }: { readonly root: RootRef; readonly role: Pick<CaRole, 'id' | 'name'> },
  certificate: Pick<PreparedCertificate, 'serial' | 'subject' | 'notAfterMs'>,
  { dns, ips }: CertifiedNames,
  more: Record<string, unknown> = {},
): AuditEntry {
  return {
    action,
    resourceType: 'certificate',
    resourceId: certificate.serial,
    details: {
      root_id: root.id,
      root: root.name,
      role_id: role.id,
      role: role.name,
      subject: certificate.subject,
      san_dns: dns.slice(0, NAMES_SHOWN_MAX),
      san_ip: ips.slice(0, NAMES_SHOWN_MAX),
      names_count: dns.length + ips.length,
      not_after: isoSeconds(certificate.notAfterMs),
      ...more,
    },
  };
}

export function revokeEntry(root: RootRef, serial: string, { reason, reasonText }: GivenReason): AuditEntry {
  return {
    action: 'pki.revoke',
    resourceType: 'certificate',
    resourceId: serial,
    details: {
      root_id: root.id,
      root: root.name,
      reason,
      ...(reasonText !== undefined && { reason_text: reasonText }),
    },
  };
}
