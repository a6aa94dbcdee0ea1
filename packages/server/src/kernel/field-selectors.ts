import { validationErrors } from './errors.js';
import { JsonPathError, type PathStep, parseJsonPath } from './json-path.js';
import { LIMITS } from './limits.js';

/** Every step leads one level down, so that a document costs each selector one look a level (dataplane.md §5.6). */
export type FieldSelector = readonly PathStep[];

/** `$.a.b[*].c`: a JSON path without `..`. Throws `JsonPathError`. */
export function parseFieldSelector(text: string): FieldSelector {
  if (text.length > LIMITS.fieldSelectorCharactersMax)
    throw new JsonPathError(`a selector has at most ${LIMITS.fieldSelectorCharactersMax} characters`);
  const steps = parseJsonPath(text);
  if (steps.some(({ deep }) => deep)) throw new JsonPathError('.. is not available in selectors');
  return steps;
}

/** 400 that names each that is wrong as `selectors[1]`, or their number. */
export function requireFieldSelectors(field: string, texts: readonly string[]): void {
  const fields = new Map<string, string[]>();
  if (texts.length === 0 || texts.length > LIMITS.fieldSelectorsMax)
    fields.set(field, [`must be 1 to ${LIMITS.fieldSelectorsMax} selectors`]);
  else
    for (const [index, text] of texts.entries()) {
      const problem = problemOf(text);
      if (problem !== null) fields.set(`${field}[${index}]`, [problem]);
    }
  if (fields.size > 0) throw validationErrors(fields);
}

function problemOf(text: string): string | null {
  try {
    parseFieldSelector(text);
    return null;
  } catch (error) {
    if (error instanceof JsonPathError) return error.message;
    throw error;
  }
}
