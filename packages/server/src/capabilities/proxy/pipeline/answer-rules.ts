import type { Caller } from '../../../kernel/principal.js';
import { actedOnEncoded } from '../errors.js';
import { AnswerActions } from '../field-actions/answer-actions.js';
import type { FieldActionRule, FieldActions } from '../field-actions/field-actions.js';
import { withoutNamed } from '../header-fates.js';
import { headerValue } from '../response-headers.js';

/** What a route does to the answers of its calls (dataplane §5.6). */
export interface AnswerRules {
  readonly actions: FieldActions;
  readonly rules: readonly FieldActionRule[];
  readonly caller: Caller;
}

/** They describe the body as it was. */
const OF_THE_BODY: ReadonlySet<string> = new Set([
  'content-length',
  'etag',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest',
]);

/** Null where nothing is done to such an answer; it was asked for without an encoding. */
export function answerActions({ actions, rules, caller }: AnswerRules, rawHeaders: readonly string[]) {
  const contentType = headerValue(rawHeaders, 'content-type');
  const applied = actions.applicable(rules, 'response', contentType);
  if (applied.length === 0) return null;
  const encoding = headerValue(rawHeaders, 'content-encoding');
  if (encoding !== null && encoding.toLowerCase() !== 'identity') throw actedOnEncoded();
  const transform = new AnswerActions((body) => actions.response(caller, applied, contentType, body));
  return { rawHeaders: withoutNamed(rawHeaders, OF_THE_BODY), transform };
}
