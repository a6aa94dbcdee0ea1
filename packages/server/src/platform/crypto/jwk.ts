import { sha256 } from './hashing.js';

/** Public keys in the bounds of contract auth.md §3, members in the one form that RFC 7518 allows. */
export type PublicJwk =
  | { readonly kty: 'EC'; readonly crv: 'P-256' | 'P-384'; readonly x: string; readonly y: string }
  | { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string }
  | { readonly kty: 'RSA'; readonly n: string; readonly e: string };

/** Why a key is not taken, fit for whoever sent it: names the member and the rule, never a value. */
export class JwkRefused extends Error {
  override readonly name = 'JwkRefused';
}

const RSA_BITS_MIN = 2048;
const RSA_BITS_MAX = 4096;
/** 65537, and no other: a small exponent weakens, a large one costs (RFC 8725 §3.4). */
const RSA_EXPONENT = 'AQAB';
const RSA_MODULUS_CHARACTERS_MAX = Math.ceil((RSA_BITS_MAX / 8) * (4 / 3));
/** RFC 7518 §6.2.2, §6.3.2, §6.4: each says something that only the holder may know. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

interface Curve {
  readonly coordinateBytes: number;
  readonly prime: bigint;
  /** y² = x³ - 3x + b (FIPS 186-4 appendix D.1.2). */
  readonly b: bigint;
}

const CURVES: Readonly<Record<'P-256' | 'P-384', Curve>> = {
  'P-256': {
    coordinateBytes: 32,
    prime: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  },
  'P-384': {
    coordinateBytes: 48,
    prime: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  },
};

const ED25519_BYTES = 32;
const ED25519_PRIME = 2n ** 255n - 19n;
/** The y of the points of order 1, 2, 4 and 8: under such a key a signature of anything is made without a secret. */
const ED25519_SMALL_ORDER = new Set([
  0n,
  1n,
  ED25519_PRIME - 1n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
]);

/**
 * Judges the raw numbers: nothing is imported and no signature is looked at, so that a hostile key costs its reading
 * (RFC 8725 §3.4). Throws `JwkRefused`.
 */
export function readPublicJwk(value: unknown): PublicJwk {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse('must be a JSON object');
  const members = value as Readonly<Record<string, unknown>>;
  const secret = PRIVATE_MEMBERS.find((member) => Object.hasOwn(members, member));
  if (secret !== undefined) refuse(`holds the private member ${secret}`);
  switch (members.kty) {
    case 'EC':
      return readEcKey(members);
    case 'OKP':
      return readEdwardsKey(members);
    case 'RSA':
      return readRsaKey(members);
    default:
      return refuse('kty must be EC, OKP or RSA');
  }
}

/** RFC 7638: SHA-256 of the required members in the order of their names. */
export function thumbprintOf(key: PublicJwk): string {
  return sha256(canonicalText(key)).toString('base64url');
}

/** Base64url without padding, in the one form that encodes these bytes; null for any other text. */
export function decodeBase64Url(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}

function readEcKey({ crv, x, y }: Readonly<Record<string, unknown>>): PublicJwk {
  if (crv !== 'P-256' && crv !== 'P-384') refuse('crv must be P-256 or P-384');
  const curve = CURVES[crv];
  const [pointX, pointY] = [coordinate('x', x, curve), coordinate('y', y, curve)];
  if (!isOnCurve(curve, pointX.number, pointY.number)) refuse(`the point is not on ${crv}`);
  return { kty: 'EC', crv, x: pointX.text, y: pointY.text };
}

function coordinate(name: string, value: unknown, { coordinateBytes, prime }: Curve) {
  const bytes = bytesOf(name, value, coordinateBytes);
  if (bytes.length !== coordinateBytes) refuse(`${name} must be ${coordinateBytes} bytes`);
  const number = numberOf(bytes);
  if (number >= prime) refuse(`${name} is not below the prime of the curve`);
  return { text: value as string, number };
}

function isOnCurve({ prime, b }: Curve, x: bigint, y: bigint): boolean {
  return (y * y - (x * x * x - 3n * x + b)) % prime === 0n;
}

function readEdwardsKey({ crv, x }: Readonly<Record<string, unknown>>): PublicJwk {
  if (crv !== 'Ed25519') refuse('crv must be Ed25519');
  const bytes = bytesOf('x', x, ED25519_BYTES);
  if (bytes.length !== ED25519_BYTES) refuse(`x must be ${ED25519_BYTES} bytes`);
  // RFC 8032 §5.1.2: y in little-endian, above it the sign of x.
  const y = numberOf(Buffer.from(bytes).reverse()) & (2n ** 255n - 1n);
  if (y >= ED25519_PRIME) refuse('x is not below the prime of Ed25519');
  if (ED25519_SMALL_ORDER.has(y)) refuse('x is a point of small order');
  return { kty: 'OKP', crv, x: x as string };
}

function readRsaKey({ n, e }: Readonly<Record<string, unknown>>): PublicJwk {
  if (e !== RSA_EXPONENT) refuse('e must be 65537 (AQAB)');
  if (typeof n !== 'string') refuse('n must be a string');
  const modulus = n.length > RSA_MODULUS_CHARACTERS_MAX ? null : bytesOf('n', n, RSA_BITS_MAX / 8);
  if (modulus !== null && (modulus[0] === 0 || modulus.length === 0)) refuse('n begins with a zero byte');
  const bits = modulus === null ? Number.POSITIVE_INFINITY : bitsOf(modulus);
  if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
    refuse(`n must have ${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits`);
  if ((modulus?.at(-1) ?? 0) % 2 === 0) refuse('n is even');
  return { kty: 'RSA', n, e };
}

function bytesOf(name: string, value: unknown, bytesMax: number): Buffer {
  if (typeof value !== 'string') refuse(`${name} must be a string`);
  if (value.length > Math.ceil((bytesMax * 4) / 3)) refuse(`${name} must be at most ${bytesMax} bytes`);
  return decodeBase64Url(value) ?? refuse(`${name} must be base64url without padding`);
}

function bitsOf(bytes: Buffer): number {
  return bytes.length * 8 - (Math.clz32(bytes[0] ?? 0) - 24);
}

function numberOf(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

/** The members are base64url or names of our own, so that nothing in them has to be escaped. */
function canonicalText(key: PublicJwk): string {
  switch (key.kty) {
    case 'EC':
      return `{"crv":"${key.crv}","kty":"EC","x":"${key.x}","y":"${key.y}"}`;
    case 'OKP':
      return `{"crv":"${key.crv}","kty":"OKP","x":"${key.x}"}`;
    case 'RSA':
      return `{"e":"${key.e}","kty":"RSA","n":"${key.n}"}`;
  }
}

function refuse(reason: string): never {
  throw new JwkRefused(reason);
}
