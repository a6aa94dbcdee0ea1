import type { RegexSearch } from '../regex/regex-search.js';
import type { TextEncoding } from './byte-text.js';
import type { JsonRules } from './json-redactor.js';
import type { RankedRule } from './rule.js';

export interface BodyOptions {
  readonly rules: JsonRules;
  readonly encoding: TextEncoding;
  readonly onRedacted: (rule: RankedRule) => void;
  /** Null: no regex rule bears on the body. */
  readonly search: RegexSearch | null;
}
