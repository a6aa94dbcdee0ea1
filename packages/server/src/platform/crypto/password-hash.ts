import { hash, parseOptions, verify } from '@node-rs/argon2';
import { assert } from '../../kernel/assert.js';
import { rateLimitExceeded } from '../../kernel/errors.js';
import { createLine } from '../../kernel/line.js';
import type { Secret } from '../../kernel/secret.js';

/** OWASP's first choice for argon2id, which is the library's default algorithm. */
const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** Of bytes that were thrown away, under the same parameters: checking against it takes as long as against a real one. */
const DECOY =
  '$argon2id$v=19$m=19456,t=2,p=1$MHjnReClMfJgzpZFPwp99Q$LHzQOtMeio9EHETjn9apUS0E7dnLPvhJSi7jX0xFo8I';

/** Of Node's four threads for such work; the others are left to files and name look-ups. 19 MiB each. */
const AT_ONCE_MAX = 2;
const WAITING_MAX = 32;

/** For what people choose; slow on purpose, on a thread of its own. Keys and tokens are SHA-256 (`hashing.ts`). */
export interface PasswordHasher {
  /** Throws where the line is full: before an attempt is counted that will not be looked at. */
  admit(): void;
  hash(password: Secret<string>): Promise<string>;
  /** `null` = there is no such account: the same work, and never true. */
  verify(stored: string | null, password: Secret<string>): Promise<boolean>;
  /** Made under other parameters than today's. */
  isOutdated(stored: string): boolean;
}

/** Bounded: a crowd of sign-ins is turned away before it takes memory and time from everything else. */
export function createPasswordHasher(): PasswordHasher {
  assert(!isOutdated(DECOY), 'the decoy costs what a password costs');
  const { admit, inTurn } = createLine({
    atOnceMax: AT_ONCE_MAX,
    waitingMax: WAITING_MAX,
    refusal: () => rateLimitExceeded('Too many sign-ins at once', { retryAfterSeconds: 1 }),
  });

  return {
    admit,
    hash: (password) => inTurn(() => hashPassword(password)),
    async verify(stored, password) {
      const isKnown = stored !== null && isReadable(stored);
      const matches = await inTurn(() => verify(isKnown ? stored : DECOY, normalised(password)));
      return isKnown && matches;
    },
    isOutdated,
  };
}

function isOutdated(stored: string): boolean {
  const { memoryCost, timeCost, parallelism } = parseOptions(stored);
  return (
    !stored.startsWith('$argon2id$') ||
    memoryCost !== ARGON2.memoryCost ||
    timeCost !== ARGON2.timeCost ||
    parallelism !== ARGON2.parallelism
  );
}

export function hashPassword(password: Secret<string>): Promise<string> {
  return hash(normalised(password), ARGON2);
}

/** The same characters are the same password, however a keyboard composes them (RFC 8265 §4.1). */
function normalised(password: Secret<string>): string {
  return password.reveal().normalize('NFC');
}

function isReadable(stored: string): boolean {
  try {
    parseOptions(stored);
    return true;
  } catch {
    return false;
  }
}
