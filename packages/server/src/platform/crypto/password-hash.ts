import { hash } from '@node-rs/argon2';
import type { Secret } from '../../kernel/secret.js';

/** OWASP's first choice for argon2id, which is the library's default algorithm. */
const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** For what people choose; slow on purpose, on a thread of its own. Keys and tokens are SHA-256 (`hashing.ts`). */
export function hashPassword(password: Secret<string>): Promise<string> {
  return hash(password.reveal(), ARGON2);
}
