import { LIMITS } from '../../kernel/limits.js';
import { isMailAddress } from '../../platform/mail/mail.js';
import { AcmeProblem, malformed } from './problems.js';

const MAILTO = 'mailto:';

/** RFC 8555 §7.3: mail alone, one address in each, without header fields. Nothing is sent there by ACME. */
export function readContacts(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length > LIMITS.acmeContactsMax)
    throw malformed(`contact must be a list of at most ${LIMITS.acmeContactsMax} URLs`);
  return value.map(readContact);
}

function readContact(value: unknown): string {
  if (typeof value !== 'string' || value.length > LIMITS.acmeContactCharactersMax)
    throw malformed(`contact must hold texts of at most ${LIMITS.acmeContactCharactersMax} characters`);
  if (!value.toLowerCase().startsWith(MAILTO))
    throw new AcmeProblem('unsupportedContact', 'contact must hold URLs of the scheme mailto');
  const address = value.slice(MAILTO.length);
  if (/[?,%]/.test(address) || !isMailAddress(address))
    throw new AcmeProblem(
      'invalidContact',
      'contact must hold one mail address in each URL, and no header fields',
    );
  return MAILTO + address;
}
