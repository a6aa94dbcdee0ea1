import { CRL_REASONS, type CrlReason } from '../x509/index.js';

export interface GivenReason {
  readonly reason: CrlReason;
  /** The words of the caller, where no code says the same. */
  readonly reasonText?: string;
}

const BY_NAME = new Map<string, CrlReason>(
  (Object.keys(CRL_REASONS) as CrlReason[]).map((reason) => [nameOf(reason), reason]),
);
BY_NAME.set('compromised', 'key_compromise');

/** Snake or camel, as RFC 5280 §5.3.1 names them; other words are kept and are of no code (clients-pki.md §3.4). */
export function readReason(text: string | undefined): GivenReason {
  if (text === undefined) return { reason: 'unspecified' };
  const known = BY_NAME.get(nameOf(text));
  return known ? { reason: known } : { reason: 'unspecified', reasonText: text };
}

function nameOf(text: string): string {
  return text.replaceAll('_', '').toLowerCase();
}
