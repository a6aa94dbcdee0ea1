import { Secret } from '../../../kernel/secret.js';
import type { Random } from '../../../platform/crypto/random.js';

const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const DIGITS = '0123456789';
const CHARACTERS = 32;

/**
 * No symbols, so that it is safe in a DSN, a shell and an SQL literal; one of each class, as servers' own rules ask
 * (contract dyn-db.md §3.3). Drawn anew until it has them: putting them in would make places likelier.
 */
export function generatePassword(random: Pick<Random, 'text'>): Secret<string> {
  for (;;) {
    const text = random.text(UPPER + LOWER + DIGITS, CHARACTERS);
    const has = (characters: string) => Array.from(text).some((char) => characters.includes(char));
    if (has(UPPER) && has(LOWER) && has(DIGITS)) return new Secret(text);
  }
}
