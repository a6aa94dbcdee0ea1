import type { Claims, OidcBinding } from '../store.js';
import { subjectMatches } from './subject-pattern.js';

/** What a binding is compared with. */
export interface Presented {
  readonly issuer: string;
  readonly subject: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

type Rule = Pick<OidcBinding, 'issuer' | 'subject' | 'claims'>;

/** Issuer, subject and claims; audiences and times are no part of it. */
export function bindingMatches(binding: Rule, presented: Presented): boolean {
  return (
    binding.issuer === presented.issuer &&
    (binding.subject === null || subjectMatches(binding.subject, presented.subject)) &&
    claimsMatch(binding.claims, presented.payload)
  );
}

function claimsMatch(claims: Claims, payload: Presented['payload']): boolean {
  return Object.entries(claims).every(([name, values]) => {
    const text = claimText(payload, name);
    return text !== undefined && values.includes(text);
  });
}

/** A claim as bindings write it: text as it is, numbers and booleans as in JSON; anything else can match nothing. */
export function claimText(payload: Presented['payload'], name: string): string | undefined {
  const value = Object.hasOwn(payload, name) ? payload[name] : undefined;
  if (typeof value === 'string') return value;
  return typeof value === 'boolean' || Number.isSafeInteger(value) ? String(value) : undefined;
}

/**
 * The most specific of those that match: a subject to the letter before one with a star before none; of two with
 * stars, the one with more text; then the one that asks for more claims; then the older one.
 */
export function mostSpecific<Binding extends OidcBinding>(matching: readonly Binding[]): Binding | undefined {
  return [...matching].sort(
    (one, other) =>
      subjectRank(other) - subjectRank(one) ||
      literalLength(other) - literalLength(one) ||
      Object.keys(other.claims).length - Object.keys(one.claims).length ||
      one.createdAtMs - other.createdAtMs ||
      (one.id < other.id ? -1 : 1),
  )[0];
}

function subjectRank({ subject }: Rule): number {
  if (subject === null) return 0;
  return subject.includes('*') ? 1 : 2;
}

function literalLength({ subject }: Rule): number {
  return subject?.replaceAll('*', '').length ?? 0;
}
