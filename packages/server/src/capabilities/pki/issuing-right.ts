import type { Caller } from '../../kernel/principal.js';
import { issuingNotHeld } from './errors.js';

/** Whoever lets others have certificates without a further call could have them itself: 403 where it may issue none. */
export function requireIssuing({ principal }: Caller): void {
  if (!principal.may('pki:issue')) throw issuingNotHeld();
}
