import type { VaultFormat } from './types.js';

/** RFC 4648 base 32 in lower case: mail systems may change the case of an address. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
/** 100 random bits: two equal ones are not to be expected. */
const CHARACTERS = 20;
/** So that a token fits where names do. */
const DOMAIN_CHARACTERS_MAX = 234;

/** Anything but these would tear apart the paths and expressions that a token stands in. */
const DOMAIN = /^[\p{L}\p{M}\p{N}_-]+(?:\.[\p{L}\p{M}\p{N}_-]+)*$/u;
const SPACE_OR_CONTROL = /[\s\p{Cc}]/u;

/** Mail addresses (dataplane.md §6.2): the token is a random name at the same domain. */
export const emailFormat: VaultFormat = {
  validate(value) {
    const [name, domain, ...more] = value.split('@');
    if (domain === undefined || more.length > 0) return 'must be a mail address, with exactly one @';
    if (name === '') return 'must have a name before the @';
    if (SPACE_OR_CONTROL.test(value)) return 'must not hold spaces or control characters';
    if (!DOMAIN.test(domain))
      return 'must have a domain after the @: letters, digits, - and _, parted by dots';
    if (domain.toLowerCase().length > DOMAIN_CHARACTERS_MAX) {
      return `must have a domain of at most ${DOMAIN_CHARACTERS_MAX} characters`;
    }
    return null;
  },
  generate(value, random) {
    const domain = value.slice(value.indexOf('@') + 1).toLowerCase();
    return `${random.text(ALPHABET, CHARACTERS)}@${domain}`;
  },
};
