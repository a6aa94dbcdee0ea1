import type { BodyKind } from './body-kind.js';

const OPENINGS: Readonly<Record<BodyKind, RegExp>> = {
  json: openingOf('(?:\\{|\\\\u007[bB])'),
  form: openingOf('(?:\\{|%7[bB])'),
  text: openingOf('\\{'),
  opaque: openingOf('\\{'),
};
/** So much of what came before is looked at again with what comes: an opening is no longer, but for spaces. */
const CARRIED_CHARACTERS = 256;

/**
 * Whether an expression of a route's body opens anywhere in a text that comes in pieces. A keyword that is written in escapes
 * counts as one: what cannot be rendered is rather refused than sent as it stands.
 */
export function createExpressionWatch(kind: BodyKind): (chunk: Buffer) => boolean {
  const opening = OPENINGS[kind];
  let carried = '';
  return (chunk) => {
    const text = carried + chunk.toString('latin1');
    carried = text.slice(-CARRIED_CHARACTERS);
    // An escaped one is no expression, yet to tell how many backslashes stand before it is not worth it here.
    return opening.test(text);
  };
}

function openingOf(brace: string): RegExp {
  const spaces = '(?:\\s|\\+|%20|%0[9aAdD]|\\\\[tnr])*';
  return new RegExp(`${brace}{2}${spaces}(?:(?:secret|secret_id|var)${spaces}(?::|%3[aA])|\\\\u00|%[67])`);
}
