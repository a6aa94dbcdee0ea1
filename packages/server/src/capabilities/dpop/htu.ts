/** RFC 3986: scheme, host and port, path; what follows is ignored (RFC 9449 §4.3). No user, no escapes in a host. */
const HTTP_URI = /^https?:\/\/[A-Za-z0-9\-._:[\]]+(?:\/[^?#]*)?(?:[?#]|$)/i;
/** Characters that a URI consists of (RFC 3986 §2): what others a browser would mend is not taken. */
const URI_CHARACTERS = /^(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/;
const UNRESERVED = /^[A-Za-z0-9\-._~]$/;

/**
 * The URI without query and fragment after the normalisation of RFC 3986 §6.2.2 and §6.2.3: case, default port, escapes
 * of unreserved characters, dot segments, empty path. Null for what is no http URI.
 */
export function normalizedHtu(uri: string): string | null {
  if (!URI_CHARACTERS.test(uri) || !HTTP_URI.test(uri)) return null;
  const unescaped = uri.replace(/[?#].*$/, '').replace(/%[0-9A-Fa-f]{2}/g, withoutNeedlessEscape);
  const url = URL.parse(unescaped);
  return url && `${url.protocol}//${url.host}${url.pathname}`;
}

function withoutNeedlessEscape(escaped: string): string {
  const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
  return UNRESERVED.test(character) ? character : escaped.toUpperCase();
}
