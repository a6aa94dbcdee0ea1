import { domainToASCII, domainToUnicode } from 'node:url';

/** What a role says of the names that it may put into certificates. */
export interface NameRule {
  /** As `readName` gives them. */
  readonly allowedDomains: readonly string[];
  readonly allowSubdomains: boolean;
  readonly allowWildcards: boolean;
}

type Reading = { readonly name: string } | { readonly problem: string };

const NAME_CHARACTERS_MAX = 253;
const LABEL_CHARACTERS_MAX = 63;
const SHOWN_CHARACTERS_MAX = 100;
const WILDCARD = '*.';
/** Stands for whatever label a star may be: none that a domain can have, so that it is no exact name's. */
const ANY_LABEL = '_';

/**
 * A DNS name in the one form that is stored, compared and certified: lower case, A-labels, without the dot at its end
 * (clients-pki.md §3.3, RFC 5280 §4.2.1.6). A star may stand for the whole first label. Entries
 * of `allowed_domains` are read the same way.
 */
export function readName(text: string): Reading {
  const isWildcard = text.startsWith(WILDCARD);
  const reading = readHost(isWildcard ? text.slice(WILDCARD.length) : text);
  if ('problem' in reading || !isWildcard) return reading;
  const name = WILDCARD + reading.name;
  return name.length > NAME_CHARACTERS_MAX ? { problem: TOO_LONG } : { name };
}

/** Why the role may not certify the name, or null: total, whatever the text is. */
export function refusedName(rule: NameRule, text: string): string | null {
  const shown = shownText(text);
  const reading = readName(text);
  if ('problem' in reading) return `${shown} ${reading.problem}`;
  const isWildcard = reading.name.startsWith(WILDCARD);
  if (isWildcard && !rule.allowWildcards)
    return `${shown} is a wildcard, and the role has allow_wildcards off`;
  if (rule.allowedDomains.length === 0) return `${shown} is refused: allowed_domains of the role is empty`;
  const tried = isWildcard ? `${ANY_LABEL}.${reading.name.slice(WILDCARD.length)}` : reading.name;
  if (rule.allowedDomains.some((domain) => covers(domain, tried, rule.allowSubdomains))) return null;
  return `${shown} ${nearMiss(rule, tried)}`;
}

/** Of two domains neither of which has the other's meaning: the flag makes both of them reach below. */
function covers(domain: string, name: string, allowSubdomains: boolean): boolean {
  if (!domain.startsWith(WILDCARD)) return name === domain || (allowSubdomains && isBelow(name, domain));
  const parent = domain.slice(WILDCARD.length);
  return isBelow(name, parent) && (allowSubdomains || labelsOf(name) === labelsOf(parent) + 1);
}

function isBelow(name: string, domain: string): boolean {
  return name.endsWith(`.${domain}`);
}

function labelsOf(name: string): number {
  return name.split('.').length;
}

function nearMiss({ allowedDomains, allowSubdomains }: NameRule, name: string): string {
  const nearest = allowedDomains.find((domain) => covers(domain, name, true));
  if (!allowSubdomains && nearest !== undefined)
    return `lies below ${nearest} of allowed_domains, and the role has allow_subdomains off`;
  const parent = allowedDomains.find((domain) => domain === WILDCARD + name);
  if (parent !== undefined) return `is not matched by ${parent} of allowed_domains, which has one label more`;
  return 'is matched by no entry of allowed_domains of the role';
}

const TOO_LONG = `must have at most ${NAME_CHARACTERS_MAX} characters as it stands in a certificate`;

function readHost(text: string): Reading {
  const lower = text.toLowerCase();
  const problem = formProblem(lower);
  if (problem !== null) return { problem };
  const ascii = toAscii(lower);
  if (ascii === null) return { problem: 'is no internationalised domain name' };
  const name = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  return nameProblem(name) === null ? { name } : { problem: nameProblem(name)! };
}

/** Before the conversion, which would decode percent signs, drop line ends and take numbers for addresses. */
function formProblem(text: string): string | null {
  if (text === '' || text === '.') return 'must not be empty';
  // The conversion is quadratic; the longest name has one character for each of a punycode label's, and more bytes.
  if (text.length > NAME_CHARACTERS_MAX + 1) return TOO_LONG;
  if (text.includes('*'))
    return 'may have a star only in place of the whole first label, as in *.example.com';
  if (/[\x00-\x7f]/.test(text.replace(/[a-z0-9.-]/g, '')))
    return 'is no DNS name: it may have letters, digits, hyphens and dots';
  return null;
}

/** Null where there is no such name, also where A-labels decode to what another spelling is due for (RFC 5891 §4.2.3.1). */
function toAscii(text: string): string | null {
  const isAscii = !/[^\x00-\x7f]/.test(text);
  if (isAscii && !/(^|\.)xn--/.test(text)) return text;
  const ascii = domainToASCII(text);
  if (ascii === '' || (isAscii && ascii !== text)) return null;
  // Newer versions of Node hand on as it is what decodes to nothing.
  const shown = domainToUnicode(ascii);
  return /(^|\.)xn--/.test(shown) || domainToASCII(shown) !== ascii ? null : ascii;
}

function nameProblem(name: string): string | null {
  if (name === '') return 'must not be empty';
  if (name.length > NAME_CHARACTERS_MAX) return TOO_LONG;
  const labels = name.split('.');
  if (labels.includes('')) return 'must not have an empty label';
  if (labels.some((label) => label.length > LABEL_CHARACTERS_MAX))
    return `must have at most ${LABEL_CHARACTERS_MAX} characters in a label`;
  if (labels.some((label) => !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(label)))
    return 'must have labels of letters, digits and hyphens, no hyphen first or last';
  // RFC 3696 §2: else `10.0.0.1` would be a name, and programs take it for an address.
  if (/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1)!)) return 'ends in a number as an address does: use san_ip';
  return null;
}

/** In quotes, so that spaces show, and short enough for a message. */
export function shownText(text: string): string {
  const characters = [...text];
  const cut = characters.length > SHOWN_CHARACTERS_MAX;
  return JSON.stringify(cut ? `${characters.slice(0, SHOWN_CHARACTERS_MAX).join('')}…` : text);
}
