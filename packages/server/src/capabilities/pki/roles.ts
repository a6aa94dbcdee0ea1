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
