import type { VaultFormat } from './types.js';

/** Crockford's base 32: no I, L, O, U. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** 100 random bits: two equal ones are not to be expected. */
const CHARACTERS = 20;

export const genericFormat: VaultFormat = {
  validate: () => null,
  generate: (_value, random) => `tok_${random.text(ALPHABET, CHARACTERS)}`,
};
