import { pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { Secret } from '../../kernel/secret.js';
import { hmacSha256, sha256 } from './hashing.js';

const derive = promisify(pbkdf2);

/** What PostgreSQL itself draws and counts. */
const SALT_BYTES = 16;
const ITERATIONS = 4_096;
const DIGEST_BYTES = 32;

/**
 * What a server of SCRAM-SHA-256 keeps of a password (RFC 5803, as PostgreSQL writes it): with it one can be checked, not
 * logged in. The password is ASCII, of which SASLprep makes the same.
 */
export async function scramSha256Verifier(
  password: Secret<string>,
  salt = randomBytes(SALT_BYTES),
): Promise<Secret<string>> {
  const salted = await derive(password.reveal(), salt, ITERATIONS, DIGEST_BYTES, 'sha256');
  const storedKey = sha256(hmacSha256(salted, Buffer.from('Client Key')));
  const serverKey = hmacSha256(salted, Buffer.from('Server Key'));
  const keys = `${storedKey.toString('base64')}:${serverKey.toString('base64')}`;
  return new Secret(`SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${keys}`);
}
