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

/** Of a password that is to be kept. Not for strangers: they wait in the line of `PasswordHasher`. */
export function hashOfNewPassword(password: Secret<string>): Promise<string> {
  refuseUnfit(password);
  return hashPassword(password);
}

/** Throws for one that is too short, or longer than a sign-in takes. */
export function refuseUnfit(password: Secret<string>): void {
  const text = password.reveal();
  const { passwordBytesMax } = LIMITS;
  if (text.length < PASSWORD_CHARACTERS_MIN || Buffer.byteLength(text) > passwordBytesMax)
    throw validationError(
      'password',
      `must have at least ${PASSWORD_CHARACTERS_MIN} characters and at most ${passwordBytesMax} bytes`,
    );
}
