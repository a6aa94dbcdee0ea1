import { sha256 } from '../../../platform/crypto/hashing.js';
import type { OidcBinding } from '../store.js';
import { claimText, type Presented } from './matching.js';
import { literalStart, startsOf } from './subject-pattern.js';

/**
 * By what a binding is found among those of all tenants without reading them all: its subject, the text before its
 * first star, or the values of one of its claims. An assertion that the binding matches has one of them.
 */
export function anchorsOf({
  issuer,
  subject,
  claims,
}: Pick<OidcBinding, 'issuer' | 'subject' | 'claims'>): Buffer[] {
  if (subject !== null)
    return [
      subject.includes('*')
        ? anchor(issuer, 'start', literalStart(subject))
        : anchor(issuer, 'subject', subject),
    ];
  const [rarest] = Object.entries(claims).sort(
    ([name, values], [otherName, others]) => values.length - others.length || (name < otherName ? -1 : 1),
  );
  if (!rarest) return [];
  const [name, values] = rarest;
  return values.map((value) => anchor(issuer, 'claim', name, value));
}

/** The anchors of every binding that could match; at most as many as the assertion has claims and segments. */
export function anchorsFor({ issuer, subject, payload }: Presented): Buffer[] {
  const claims = Object.keys(payload).flatMap((name) => {
    const value = claimText(payload, name);
    return value === undefined ? [] : [anchor(issuer, 'claim', name, value)];
  });
  const starts = startsOf(subject).map((start) => anchor(issuer, 'start', start));
  return [anchor(issuer, 'subject', subject), ...starts, ...claims];
}

function anchor(...parts: readonly string[]): Buffer {
  return sha256(JSON.stringify(parts));
}
