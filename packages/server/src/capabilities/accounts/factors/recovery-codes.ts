import type { UserId } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import type { Random } from '../../../platform/crypto/random.js';

export const RECOVERY_CODES = 10;
/** Without those that are taken for one another. */
const ALPHABET = 'abcdefghjkmnpqrstuvwxyz23456789';
const GROUPS = 4;
const GROUP_CHARACTERS = 4;

/** 79 bits each: too many to try, so that a fast hash may be kept of them. */
export function newRecoveryCodes(random: Random): Secret<string>[] {
  return Array.from({ length: RECOVERY_CODES }, () => {
    const text = random.text(ALPHABET, GROUPS * GROUP_CHARACTERS);
    return new Secret(text.match(/.{4}/g)!.join('-'));
  });
}

/** As people type them: in capitals, without the hyphens. */
export function hashOfRecoveryCode(userId: UserId, code: string): Buffer {
  const bare = code.toLowerCase().replace(/[\s-]/g, '');
  return sha256(`knox.recovery-code\0${userId}\0${bare}`);
}
