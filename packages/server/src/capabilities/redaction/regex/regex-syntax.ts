/** What other engines have and a linear one cannot (or does not) answer, by how it is written. */
const REFUSED: readonly (readonly [RegExp, string])[] = [
  [/^\(\?[=!]/, 'lookahead ((?=...) and (?!...))'],
  [/^\(\?<[=!]/, 'lookbehind ((?<=...) and (?<!...))'],
  [/^\(\?P=|^\\k[<{']/, 'a backreference by name'],
  [/^\\[1-9]/, 'a backreference (\\1)'],
  [/^\(\?>/, 'an atomic group ((?>...))'],
  [/^\(\?(?:R|&|P>|[+-]?\d)/, 'recursion ((?R))'],
  [/^\(\?\(/, 'a condition ((?(1)...))'],
  [/^\(\?#/, 'a comment ((?#...))'],
];

/** The message says what is wrong with the expression. */
export class RegexError extends Error {
  override readonly name = 'RegexError';
}

/** Nothing that would need a search back: such an expression is refused by the name of its construct. */
export function refuseConstructs(pattern: string): void {
  const refused = refusedConstruct(pattern);
  if (refused) throw new RegexError(`${refused} is not available: rules are matched in linear time`);
}

function refusedConstruct(pattern: string): string | undefined {
  let inClass = false;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at];
    if (pattern.startsWith('\\Q', at)) {
      const end = pattern.indexOf('\\E', at);
      if (end === -1) return undefined;
      at = end + 1;
      continue;
    }
    if (!inClass) {
      const rest = pattern.slice(at, at + 4);
      const found = REFUSED.find(([written]) => written.test(rest));
      if (found) return found[1];
    }
    if (character === '\\') at++;
    else if (character === '[' && !inClass) {
      inClass = true;
      // A bracket that comes first is a member of the class.
      if (pattern[at + 1] === '^') at++;
      if (pattern[at + 1] === ']') at++;
    } else if (character === ']') inClass = false;
  }
  return undefined;
}
