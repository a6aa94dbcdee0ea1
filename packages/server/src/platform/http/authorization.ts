/** Scheme, in lower case, and credential of an `Authorization` value (RFC 9110 §11.1: the scheme has no case). */
export function splitAuthorization(value: string): { scheme: string; credential: string } {
  const space = value.search(/[ \t]/);
  if (space === -1) return { scheme: value.toLowerCase(), credential: '' };
  return { scheme: value.slice(0, space).toLowerCase(), credential: value.slice(space).trim() };
}
