import type { Clock } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Secret } from '../../kernel/secret.js';
import { deriveKey } from '../../platform/crypto/authenticated-cipher.js';
import { equalInConstantTime, hmacSha256 } from '../../platform/crypto/hashing.js';
import { decodeBase64Url } from '../../platform/crypto/jwk.js';
import type { Random } from '../../platform/crypto/random.js';

const TIME_BYTES = 6;
const DRAWN_BYTES = 14;
const MAC_BYTES = 16;
const BODY_BYTES = TIME_BYTES + DRAWN_BYTES;
const NONCE_BYTES = BODY_BYTES + MAC_BYTES;

/** What stands for a nonce among those that were used. */
export interface ReadNonce {
  readonly key: string;
  readonly expiresAtMs: number;
}

/**
 * RFC 8555 §6.5 without a store for what is given out: time and randomness under a MAC of the root key and the directory, so
 * that giving one to a stranger writes nothing and every process knows it (docs/decisions/0083). Used ones are rows.
 */
export interface Nonces {
  /** `place`: the directory for which it is good. */
  issue(place: string): string;
  /** Null for what is not ours, of another directory or too old. */
  read(place: string, nonce: string): ReadNonce | null;
}

export function createNonces(deps: {
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly random: Pick<Random, 'bytes'>;
  readonly rootKey: Secret<Buffer>;
}): Nonces {
  const { clock, random } = deps;
  const key = deriveKey(deps.rootKey.reveal(), Buffer.alloc(0), 'knox.acme.nonce');
  const macOf = (place: string, body: Buffer) =>
    hmacSha256(key, body, Buffer.from(place, 'utf8')).subarray(0, MAC_BYTES);

  return {
    issue(place) {
      const body = Buffer.alloc(BODY_BYTES);
      body.writeUIntBE(clock.nowMs(), 0, TIME_BYTES);
      random.bytes(DRAWN_BYTES).copy(body, TIME_BYTES);
      return Buffer.concat([body, macOf(place, body)]).toString('base64url');
    },

    read(place, nonce) {
      const bytes = nonce.length > 2 * NONCE_BYTES ? null : decodeBase64Url(nonce);
      if (bytes?.length !== NONCE_BYTES) return null;
      const body = bytes.subarray(0, BODY_BYTES);
      if (!equalInConstantTime(bytes.subarray(BODY_BYTES), macOf(place, body))) return null;
      const issuedAtMs = body.readUIntBE(0, TIME_BYTES);
      const ageMs = clock.nowMs() - issuedAtMs;
      // The clock of another process may be ahead.
      if (ageMs > LIMITS.acmeNonceMs || ageMs < -LIMITS.acmeClockSkewMs) return null;
      // Kept for longer than any process would still take it.
      const expiresAtMs = issuedAtMs + LIMITS.acmeNonceMs + LIMITS.acmeClockSkewMs;
      return { key: body.toString('base64url'), expiresAtMs };
    },
  };
}
