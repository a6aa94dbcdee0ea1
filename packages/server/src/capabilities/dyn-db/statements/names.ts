import { assert } from '../../../kernel/assert.js';
import { validationError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Random } from '../../../platform/crypto/random.js';

export const MINTED_PREFIX = 'kc_user_';
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const RANDOM_CHARACTERS = 20;
/** Of a name that also says who it is: 62 bits. */
const TEMPLATE_RANDOM_CHARACTERS = 12;
/** Of an actor, role or connection, where the template's own text leaves no more. */
const VALUE_CHARACTERS_MIN = 2;

/** Of MongoDB, which sets no limit of its own. */
const NAME_CHARACTERS_MAX = 128;

/** Whether a name of a database may be one of ours: it may hold anything. */
export function isMintedName(name: string): boolean {
  return name.startsWith(MINTED_PREFIX) && name.length <= NAME_CHARACTERS_MAX;
}

/** Lower case, so that it is the same name without quotes (contract dyn-db.md §3.3). */
export function generateUsername(random: Pick<Random, 'text'>): string {
  return MINTED_PREFIX + random.text(ALPHABET, RANDOM_CHARACTERS);
}

export interface UsernameValues {
  readonly actor: string;
  readonly role: string;
  readonly connection: string;
}

const NAMES = ['actor', 'role', 'connection', 'random'] as const;
type Name = (typeof NAMES)[number];
type Piece = { readonly text: string } | { readonly name: Name };

/** What follows `kc_user_`; the database's own log then says who it was. */
export interface UsernameTemplate {
  readonly pieces: readonly Piece[];
}

/**
 * `{{actor}}`, `{{role}}`, `{{connection}}`, `{{random}}` between a-z 0-9 _; the random part is added at the end where it
 * is not named. `usernameCharactersMax` is the engine's. `validation_error` of `field`.
 */
export function parseUsernameTemplate(
  field: string,
  text: string,
  usernameCharactersMax: number,
): UsernameTemplate {
  if (text.length === 0 || text.length > LIMITS.usernameTemplateCharactersMax) {
    throw validationError(field, `must be 1 to ${LIMITS.usernameTemplateCharactersMax} characters`);
  }
  const pieces = splitTemplate(field, withoutPrefix(text));
  const randoms = pieces.filter((piece) => 'name' in piece && piece.name === 'random').length;
  if (randoms > 1) throw validationError(field, 'must contain {{random}} at most once');
  if (randoms === 0) {
    if (pieces.length > 0) pieces.push({ text: '_' });
    pieces.push({ name: 'random' });
  }
  const room = roomForValues(pieces, usernameCharactersMax);
  if (room < VALUE_CHARACTERS_MIN * valuesOf(pieces).length) {
    throw validationError(field, `leaves no room for its values in ${usernameCharactersMax} characters`);
  }
  return { pieces };
}

function withoutPrefix(text: string): string {
  return text.startsWith(MINTED_PREFIX) ? text.slice(MINTED_PREFIX.length) : text;
}

function splitTemplate(field: string, text: string): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < text.length; ) {
    if (text.startsWith('{{', at)) {
      const close = text.indexOf('}}', at);
      const name =
        close === -1 ? undefined : NAMES.find((known) => known === text.slice(at + 2, close).trim());
      if (name === undefined) {
        throw validationError(field, 'may use {{actor}}, {{role}}, {{connection}} and {{random}} only');
      }
      pieces.push({ name });
      at = close + 2;
    } else {
      let end = at;
      while (isNameCharacter(text[end])) end += 1;
      if (end === at) throw validationError(field, 'must be a-z, 0-9, _ and placeholders');
      pieces.push({ text: text.slice(at, end) });
      at = end;
    }
  }
  return pieces;
}

function isNameCharacter(char: string | undefined): boolean {
  return char !== undefined && (char === '_' || ALPHABET.includes(char));
}

function valuesOf(pieces: readonly Piece[]): Exclude<Name, 'random'>[] {
  return pieces.flatMap((piece) => ('name' in piece && piece.name !== 'random' ? [piece.name] : []));
}

function roomForValues(pieces: readonly Piece[], usernameCharactersMax: number): number {
  const own = pieces.reduce((sum, piece) => sum + ('text' in piece ? piece.text.length : 0), 0);
  return usernameCharactersMax - MINTED_PREFIX.length - TEMPLATE_RANDOM_CHARACTERS - own;
}

/** The random part is always whole: the values are cut, the longest first. */
export function usernameFromTemplate(
  { pieces }: UsernameTemplate,
  values: UsernameValues,
  usernameCharactersMax: number,
  random: Pick<Random, 'text'>,
): string {
  const cut = cutToRoom(
    valuesOf(pieces).map((name) => nameCharacters(values[name])),
    roomForValues(pieces, usernameCharactersMax),
  );
  const text = pieces.map((piece) => {
    if ('text' in piece) return piece.text;
    return piece.name === 'random' ? random.text(ALPHABET, TEMPLATE_RANDOM_CHARACTERS) : (cut.shift() ?? '');
  });
  const username = MINTED_PREFIX + text.join('');
  assert(username.length <= usernameCharactersMax, 'a user name is longer than its engine takes');
  return username;
}

/** Accents go, what has no letter of its own becomes one `_`. */
function nameCharacters(value: string): string {
  let text = '';
  for (const char of value.slice(0, 255).normalize('NFKD').toLowerCase()) {
    if (isNameCharacter(char)) text += char;
    else if (char >= '\u0300' && char <= '\u036f') continue;
    else if (!text.endsWith('_')) text += '_';
  }
  return text.replace(/^_|_$/g, '');
}

/** Fair shares: what a short value leaves over is the others'. */
function cutToRoom(values: readonly string[], room: number): string[] {
  const cut = [...values];
  let left = room;
  const shortestFirst = values.map((_, index) => index).sort((a, b) => values[a]!.length - values[b]!.length);
  for (const [done, index] of shortestFirst.entries()) {
    cut[index] = values[index]!.slice(0, Math.floor(left / (values.length - done)));
    left -= cut[index].length;
  }
  return cut;
}
