import { type OperationNode, RawNode } from 'kysely';

/** Raw SQL may hold an expression; these words would make it more than that. */
const REFUSED_WORDS = new Set(
  (
    'select from join into update delete insert replace merge table with recursive union intersect except values ' +
    'returning where set using pragma attach limit offset window lateral'
  ).split(' '),
);

/** Names that may stand before a parenthesis: functions both databases have (a JSON array by two names), and words of expressions. */
const CALLABLE = new Set(
  (
    'and or not in then else when case between like is as over by ' +
    'abs avg cast coalesce count json_array json_build_array length lower max min nullif round substr sum upper'
  ).split(' '),
);

const TOKEN = /\s+|'(?:[^'\\]|'')*'|"[^"\\]*"|[A-Za-z_][A-Za-z0-9_]*|[0-9.]+|\?|[(),]|[=<>!+\-*/%|]+/y;

/**
 * Throws when a raw fragment could be anything but one expression: then it could name a table, or close the
 * parentheses that keep the scope conditions apart from it.
 */
export function assertExpression(node: RawNode): void {
  const text = textOf(node);
  let depth = 0;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const token = TOKEN.exec(text)?.[0];
    if (token === undefined) refuse(`"${text.slice(at, at + 10)}"`);
    if (token === '(') depth++;
    if (token === ')' && --depth < 0) refuse('an unbalanced parenthesis');
    if (token === ',' && depth === 0) refuse('a list');
    if (token.includes('--') || token.includes('/*')) refuse('a comment');
    if (/^[A-Za-z_"]/.test(token)) assertWord(token.toLowerCase(), text.slice(at + token.length));
  }
  if (depth !== 0) refuse('an unbalanced parenthesis');
}

export function assertFunctionName(name: string): void {
  if (!CALLABLE.has(name.toLowerCase())) refuse(`the function "${name}"`);
}

function assertWord(word: string, rest: string): void {
  if (REFUSED_WORDS.has(word)) refuse(`"${word}"`);
  if (/^\s*\(/.test(rest) && !CALLABLE.has(word)) refuse(`the function "${word}"`);
}

/** Nested raw nodes are joined to one text, so that no word can be put together from two of them. */
function textOf(node: RawNode): string {
  return node.sqlFragments.map((fragment, index) => fragment + operandText(node.parameters[index])).join('');
}

function operandText(parameter: OperationNode | undefined): string {
  if (!parameter) return '';
  return RawNode.is(parameter) ? textOf(parameter) : '?';
}

function refuse(what: string): never {
  throw new Error(`raw SQL may only be an expression: it holds ${what}`);
}
