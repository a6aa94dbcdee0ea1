import type { JsonObject } from '../../../kernel/strict-json.js';
import { type CompactJws, readCompactJws } from '../../../platform/crypto/compact-jws.js';
import type { KeyType } from '../tables.js';
import { type JwtAlgorithm, jwtAlgorithmsOf } from './jwt-algorithms.js';
import type { JwtError } from './jwt-errors.js';

/** Of a token that is looked at; what is signed here is shorter. */
export const TOKEN_CHARACTERS_MAX = 128 * 1024;
const KEY_VERSION = /^[1-9][0-9]{0,8}$/;

/**
 * Header members that no token of ours has. Those that bring a key along or say where one is (RFC 7515 §4.1.2 to §4.1.6)
 * are what forgers have; extensions would change what is signed (RFC 7797), and are never understood here.
 */
export const REFUSED_MEMBERS = ['crit', 'b64', 'jwk', 'jku', 'x5u', 'x5c'] as const;

export function writeSigned(header: JsonObject, claims: JsonObject): Buffer {
  const part = (value: JsonObject) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return Buffer.from(`${part(header)}.${part(claims)}`, 'latin1');
}

export function writeToken(signed: Buffer, signature: Buffer): string {
  return `${signed.toString('latin1')}.${signature.toString('base64url')}`;
}

/** Null where it is of another form. */
export function readJws(token: string): CompactJws | null {
  if (token.length > TOKEN_CHARACTERS_MAX) return null;
  const jws = readCompactJws(token);
  return typeof jws === 'string' ? null : jws;
}

export interface JwsKey {
  readonly alg: JwtAlgorithm;
  readonly version: number;
}

/** `kid` of a version: `<key id>:v<N>` (clients-pki.md §4.3). */
export function kidOf(keyId: string, version: number): string {
  return `${keyId}:v${version}`;
}

/**
 * How the header says that the token was signed, or why not with the key of that id and type: the key is the one that
 * was asked, and a header that names another is a forger's or belongs elsewhere.
 */
export function readHeader(
  header: JsonObject,
  key: { readonly id: string; readonly keyType: KeyType },
): JwsKey | JwtError {
  if (REFUSED_MEMBERS.some((member) => Object.hasOwn(header, member))) return 'unsupported_header';
  const alg = jwtAlgorithmsOf(key.keyType).find((each) => each === header.alg);
  if (alg === undefined) return 'alg_not_allowed';
  const version = versionOf(header.kid, `${key.id}:v`);
  return version === null ? 'unknown_key' : { alg, version };
}

function versionOf(kid: unknown, prefix: string): number | null {
  if (typeof kid !== 'string' || !kid.startsWith(prefix)) return null;
  const digits = kid.slice(prefix.length);
  return KEY_VERSION.test(digits) ? Number(digits) : null;
}
