import { LIMITS } from '../../../kernel/limits.js';
import type { Secret } from '../../../kernel/secret.js';

const CHARACTERS_MAX = 300;
/** Of what is longer the beginning is looked at, with room for a statement: a server may send megabytes. */
const LOOKED_AT_CHARACTERS = 2 * LIMITS.roleStatementsBytesMax;
/** Shorter pieces of a secret tell nothing, and stand in ordinary words. */
const PIECE_CHARACTERS_MIN = 6;
const MASK = '[SECRET]';

/**
 * What a server says of a refusal, fit for callers and logs: one short line without the secrets of the act, nor pieces
 * of them, nor its statements. A server may quote any of what it was sent.
 */
export function redactedMessage(
  text: string,
  secrets: readonly Secret<string>[],
  statements: readonly Secret<string>[] = [],
): string {
  let line = oneLine(text.slice(0, LOOKED_AT_CHARACTERS));
  for (const statement of statements) line = line.replaceAll(oneLine(statement.reveal()), '[statement]');
  for (const secret of secrets) line = withoutPieces(line, secret.reveal());
  return line.length > CHARACTERS_MAX ? `${line.slice(0, CHARACTERS_MAX)}…` : line;
}

function oneLine(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .replace(/\p{Cs}/gu, '')
    .trim();
}

/** Pieces in either case too: a server may fold names. */
function withoutPieces(line: string, secret: string): string {
  if (secret.length < PIECE_CHARACTERS_MIN) return secret === '' ? line : line.replaceAll(secret, MASK);
  const folded = secret.toLowerCase();
  const lower = line.toLowerCase();
  // Folding that changes lengths would leave the places of one useless in the other.
  if (lower.length !== line.length) return MASK;
  let kept = '';
  let at = 0;
  while (at < line.length) {
    let end = at + PIECE_CHARACTERS_MIN;
    if (end > line.length || !folded.includes(lower.slice(at, end))) {
      kept += line[at];
      at += 1;
      continue;
    }
    while (end < line.length && folded.includes(lower.slice(at, end + 1))) end += 1;
    kept += MASK;
    at = end;
  }
  return kept;
}
