import { isUuid } from '../../kernel/ids.js';
import type { SecretReference } from '../secrets/index.js';
import type { ConfigTerms, MethodConfig } from './config.js';

/** What tells a placeholder of a secret from other people's braces (dataplane.md §2.2); a backslash before it makes it text. */
const OPENING = /(?<!\\)\{\{[ \t\r\n]*(secret|secret_id)[ \t\r\n]*:/g;
const OPERAND = /[ \t\r\n]*(?:"([^"]*)"|'([^']*)'|([^\s"'}]+))[ \t\r\n]*\}\}/y;
const OPERAND_CHARACTERS_MAX = 1_024;

export type PlaceholderReading =
  | { readonly references: readonly SecretReference[] }
  | { readonly problem: string };

/** The secrets that a text names. */
export function readPlaceholders(text: string): PlaceholderReading {
  const references: SecretReference[] = [];
  for (const opening of text.matchAll(OPENING)) {
    const keyword = opening[1] as 'secret' | 'secret_id';
    OPERAND.lastIndex = opening.index + opening[0].length;
    const found = OPERAND.exec(text);
    const operand = found?.[1] ?? found?.[2] ?? found?.[3] ?? '';
    if (operand === '')
      return { problem: `has a placeholder {{${keyword}:…}} that is not closed or names nothing` };
    if (operand.length > OPERAND_CHARACTERS_MAX)
      return { problem: `has a placeholder {{${keyword}:…}} that is too long` };
    if (keyword === 'secret_id' && !isUuid(operand))
      return { problem: 'has a placeholder {{secret_id:…}} whose id is not a UUID' };
    references.push({ by: keyword === 'secret_id' ? 'id' : 'name', text: operand });
  }
  return { references };
}

/** Every text of a JSON value; the names of its members are never rendered. */
export function* textsOf(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'object' && value !== null)
    for (const member of Object.values(value)) yield* textsOf(member);
}

/** Placeholders of what is injected, which was read when it was written. */
export function referencesIn(
  injecting: Pick<ConfigTerms | MethodConfig, 'injectHeaders' | 'injectBody'>,
): SecretReference[] {
  const found: SecretReference[] = [];
  for (const text of textsOf([injecting.injectHeaders, injecting.injectBody])) {
    const reading = readPlaceholders(text);
    if ('references' in reading) found.push(...reading.references);
  }
  return found;
}
