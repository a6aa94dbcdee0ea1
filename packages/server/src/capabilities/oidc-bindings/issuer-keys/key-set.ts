import { LIMITS } from '../../../kernel/limits.js';
import { JwkRefused, readPublicJwk, thumbprintOf } from '../../../platform/crypto/jwk.js';
import { isKeyOf, type SignatureAlgorithm, type VerifyingKey } from '../../../platform/crypto/jws.js';
import { unusableAnswer } from './errors.js';

export interface IssuerKey extends VerifyingKey {
  readonly kid: string | null;
  /** The one algorithm that it is for; null = any that fits its kind. */
  readonly alg: string | null;
}

/** What the header of an assertion says of the key. */
export interface WantedKey {
  readonly kid: string | null;
  readonly alg: SignatureAlgorithm;
}

const KID_CHARACTERS_MAX = 512;

/** The keys of a set that signatures may be judged by; the others, those out of bounds too, are left out (auth.md §4). */
export function readKeySet(value: unknown): IssuerKey[] {
  const keys = (value as { readonly keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys)) throw unusableAnswer('the key set has no list of keys');
  if (keys.length > LIMITS.jwksKeysMax)
    throw unusableAnswer(`the key set has more than ${LIMITS.jwksKeysMax} keys`);
  return keys.flatMap((key) => readKey(key) ?? []);
}

function readKey(value: unknown): IssuerKey | null {
  try {
    const jwk = readPublicJwk(value);
    const { kid, alg, use, key_ops: operations } = value as Readonly<Record<string, unknown>>;
    if (use !== undefined && use !== 'sig') return null;
    if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
      return null;
    if (kid !== undefined && (typeof kid !== 'string' || kid.length > KID_CHARACTERS_MAX)) return null;
    if (alg !== undefined && typeof alg !== 'string') return null;
    return { jwk, thumbprint: thumbprintOf(jwk), kid: kid ?? null, alg: alg ?? null };
  } catch (error) {
    if (error instanceof JwkRefused) return null;
    throw error;
  }
}

/** The key of that id; where the assertion names none, the only one of its algorithm. */
export function pickKey(keys: readonly IssuerKey[], { kid, alg }: WantedKey): IssuerKey | null {
  const fitting = keys.filter((key) => isKeyOf(alg, key.jwk) && (key.alg === null || key.alg === alg));
  if (kid === null) return fitting.length === 1 ? fitting[0]! : null;
  return fitting.find((key) => key.kid === kid) ?? null;
}
