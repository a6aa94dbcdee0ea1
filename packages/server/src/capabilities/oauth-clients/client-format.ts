import type { Mode } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import { sha256 } from '../../platform/crypto/hashing.js';
import type { Random } from '../../platform/crypto/random.js';

/** The alias by which the CLI names the client of whichever tenant its user chooses (auth.md §2.4). */
export const CLI_ALIAS = 'knoxcall-cli';

/** Nothing that form encoding changes, so that HTTP Basic agrees with and without it. */
const ID_ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const ID_CHARACTERS = 20;
const SECRET_ALPHABET = `ABCDEFGHIJKLMNOPQRSTUVWXYZ${ID_ALPHABET}`;
/** 62^40 is 238 bits. */
const SECRET_CHARACTERS = 40;

export interface NewSecret {
  readonly text: Secret<string>;
  readonly hash: Buffer;
}

export function newClientId(random: Random, mode: Mode): string {
  return `kcc_${mode}_${random.text(ID_ALPHABET, ID_CHARACTERS)}`;
}

export function newClientSecret(random: Random): NewSecret {
  const text = random.text(SECRET_ALPHABET, SECRET_CHARACTERS);
  return { text: new Secret(text), hash: hashSecret(text) };
}

/** Fast on purpose: a secret has 238 bits. */
export function hashSecret(secret: string): Buffer {
  return sha256(secret);
}
