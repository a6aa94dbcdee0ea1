/** Room for colons, spaces and the words before it. */
export const THUMBPRINT_CHARACTERS_MAX = 255;

const WORDS = /^\s*sha-?256(\s+fingerprint)?\s*[:=]/i;

/** 64 hex digits in lower case, from any of the forms that tools print (clients-pki.md §2.4); null for anything else. */
export function parseThumbprint(text: string): string | null {
  const digits = text.replace(WORDS, '').replace(/[\s:]/g, '').toLowerCase();
  return /^[0-9a-f]{64}$/.test(digits) ? digits : null;
}
