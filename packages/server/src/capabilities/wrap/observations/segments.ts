import { maskCredentials } from '../../../platform/log/mask.js';

export const REDACTED = '[REDACTED]';

const CHARACTERS_MAX = 64;
/** Words of a path, as APIs name them: `v1`, `chat-completions`, `2024-10-01`, `repos.json`. */
const WORD = /^[A-Za-z]{1,20}$|^[a-z]{0,10}[0-9]{1,4}$/;
const SEPARATORS = /[-_.]/;

/**
 * A first segment may be a key, an account or a person. What reads as words of an API stays, everything else is
 * `[REDACTED]`: a name that is lost costs a look, a secret that is kept costs a rotation.
 */
export function harmlessSegment(segment: string): string {
  if (segment === '') return '';
  if (segment.length > CHARACTERS_MAX || maskCredentials(segment) !== segment) return REDACTED;
  return segment.split(SEPARATORS).every((word) => word === '' || WORD.test(word)) ? segment : REDACTED;
}
