import { KEY_PERMISSIONS } from '../../permissions/index.js';
import { invalidScope } from '../errors.js';

/** RFC 6749 §3.3. */
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** `*` is for roles alone, so it can mean "every one" in a column: most tokens have all that a key can have. */
const EVERY = '*';

/**
 * What a token gets of what its source holds: that which is asked for, all of it where nothing is. What is not held is
 * refused and not left out (auth.md §2.3).
 */
export function grantedScopes(
  asked: string | readonly string[] | undefined,
  held: ReadonlySet<string>,
): readonly string[] {
  if (asked === undefined) return ordered(held);
  const names = typeof asked === 'string' ? scopesIn(asked) : new Set(asked);
  for (const name of names) {
    if (!SCOPE_TOKEN.test(name)) throw invalidScope('scope is not a list of names with a space between');
    if (!held.has(name)) throw invalidScope(`The scope ${name} is not held`);
  }
  return ordered(names);
}

const PLACES = new Map([...KEY_PERMISSIONS].map((name, place) => [name, place]));

/** In the order of the one list, and nothing that is not on it. */
export function ordered(names: ReadonlySet<string>): readonly string[] {
  return [...names].filter((name) => PLACES.has(name)).sort((a, b) => PLACES.get(a)! - PLACES.get(b)!);
}

export function scopesText(permissions: readonly string[]): string {
  return permissions.length === KEY_PERMISSIONS.size ? EVERY : permissions.join(' ');
}

export function scopesOf(text: string): ReadonlySet<string> {
  return text === EVERY ? KEY_PERMISSIONS : scopesIn(text);
}

function scopesIn(text: string): ReadonlySet<string> {
  return new Set(text.split(' ').filter((name) => name !== ''));
}
