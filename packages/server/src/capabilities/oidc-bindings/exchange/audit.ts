import type { AuditEntry } from '../../audit-logs/index.js';
import type { OidcBinding } from '../store.js';
import type { Assertion } from './assertion.js';

/** As of tokens: enough to tell two apart, nothing to present (auth.md §8.3). */
const SHOWN_HASH_CHARACTERS = 8;

export function exchangeEntry(binding: OidcBinding, assertion: Assertion, tokenId: string): AuditEntry {
  return {
    action: 'oidc.exchange',
    resourceType: 'oidc_binding',
    resourceId: binding.id,
    details: { name: binding.name, ...shownOf(assertion), oauth_token_id: tokenId },
  };
}

/** `check` is the one that failed: what it was told by is believed only where all before it, the signature too, are behind it. */
export function deniedEntry(
  binding: OidcBinding | null,
  assertion: Assertion,
  denial: { readonly check: string; readonly reason: string; readonly isSigned: boolean },
): AuditEntry {
  return {
    action: 'oidc.exchange_denied',
    resourceType: 'oidc_binding',
    resourceId: binding?.id ?? null,
    details: {
      ...(binding && { name: binding.name }),
      ...shownOf(assertion),
      check: denial.check,
      reason: denial.reason,
      signature_verified: denial.isSigned,
    },
  };
}

function shownOf({ issuer, subject, hash }: Assertion) {
  return { issuer, subject, assertion_hash: hash.toString('hex').slice(0, SHOWN_HASH_CHARACTERS) };
}
