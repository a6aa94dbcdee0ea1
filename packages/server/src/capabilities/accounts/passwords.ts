import { validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import { hashPassword } from '../../platform/crypto/password-hash.js';
import type { Random } from '../../platform/crypto/random.js';

/** Without those that are taken for one another. */
const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789';
const CHARACTERS = 24;
export const PASSWORD_CHARACTERS_MIN = 12;

export function newPassword(random: Random): Secret<string> {
  return new Secret(random.text(ALPHABET, CHARACTERS));
}

/** Of a password that is to be kept: no longer than a sign-in takes. */
export function hashOfNewPassword(password: Secret<string>): Promise<string> {
  const text = password.reveal();
  const { passwordBytesMax } = LIMITS;
  if (text.length < PASSWORD_CHARACTERS_MIN || Buffer.byteLength(text) > passwordBytesMax)
    throw validationError(
      'password',
      `must have at least ${PASSWORD_CHARACTERS_MIN} characters and at most ${passwordBytesMax} bytes`,
    );
  return hashPassword(password);
}
