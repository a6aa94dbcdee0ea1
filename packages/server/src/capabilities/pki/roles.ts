import type { KeyAlgorithm } from '../x509/index.js';
import type { NameRule } from './names.js';

/** What may be issued below a root, and for how long (clients-pki.md §3.3). */
export interface RoleTerms extends NameRule {
  readonly name: string;
  readonly allowIpSans: boolean;
  readonly allowAcme: boolean;
  /** An ACME account shows a key that the management API has made. */
  readonly acmeRequireEab: boolean;
  readonly maxTtlSeconds: number;
  readonly defaultTtlSeconds: number;
  /** Of the keys that issuing makes. */
  readonly keyAlgorithm: KeyAlgorithm;
}

export interface CaRole extends RoleTerms {
  readonly id: string;
  readonly rootId: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export function isSameRole(one: CaRole, other: CaRole): boolean {
  const members = Object.keys(one) as (keyof CaRole)[];
  return members.every((member) => JSON.stringify(one[member]) === JSON.stringify(other[member]));
}

/** Whether ACME clients, whose certificates nobody asks for by a call, get more of the one than of the other; null: of none. */
export function letsAcmeMore(before: RoleTerms | null, after: RoleTerms): boolean {
  if (!after.allowAcme) return false;
  if (!before?.allowAcme) return true;
  return (
    (before.acmeRequireEab && !after.acmeRequireEab) ||
    (after.allowSubdomains && !before.allowSubdomains) ||
    (after.allowWildcards && !before.allowWildcards) ||
    after.defaultTtlSeconds > before.defaultTtlSeconds ||
    after.allowedDomains.some((domain) => !before.allowedDomains.includes(domain))
  );
}
