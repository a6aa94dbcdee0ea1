import { validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';

const RULE = 'must be https://host or https://host:port, without path, query, credentials, slash or wildcard';
/** Of what browsers send as `Origin`: no more than that. */
const FORM = /^https:\/\/[^/?#@\\*\s]+$/i;

/** As a browser writes them, each once, sorted (clients-pki.md §5). */
export function normalisedOrigins(given: readonly string[]): string[] {
  const origins = given.map((text, index) => {
    const origin = originOf(text);
    if (origin === null) throw validationError(`origins[${index}]`, RULE);
    return origin;
  });
  return [...new Set(origins)].sort();
}

/** Null where it is none. */
function originOf(text: string): string | null {
  if (text.length > LIMITS.originCharactersMax || !FORM.test(text) || !URL.canParse(text)) return null;
  const { origin, protocol, hostname } = new URL(text);
  // An empty label is no host that a browser could be at.
  return protocol === 'https:' && !/^\.|\.\.|\*/.test(hostname) ? origin : null;
}
