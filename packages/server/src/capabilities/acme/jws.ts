import { isUtf8 } from 'node:buffer';
import { AppError } from '../../kernel/errors.js';
import { isObject, type JsonObject } from '../../kernel/strict-json.js';
import {
  decodeBase64Url,
  JwkRefused,
  type PublicJwk,
  readPublicJwk,
  thumbprintOf,
} from '../../platform/crypto/jwk.js';
import {
  isKeyOf,
  isSignatureForm,
  type SignatureAlgorithm,
  type SignatureVerifier,
  type VerifyingKey,
} from '../../platform/crypto/jws.js';
import { parseJsonBody } from '../../platform/http/json-body.js';
import { AcmeProblem, malformed, notAuthorized } from './problems.js';

/** Those of RFC 8555 §6.2 that are taken; no MAC and no `none`, whatever the key. */
export const ACME_ALGORITHMS = ['ES256', 'ES384', 'RS256', 'EdDSA'] as const;

/** A flattened JWS (RFC 7515 §7.2.2), taken apart and not yet believed. */
export interface FlattenedJws {
  readonly header: JsonObject;
  readonly payload: Buffer;
  readonly signature: Buffer;
  /** What the signature is of. */
  readonly signed: Buffer;
}

const KID_CHARACTERS_MAX = 1_024;

/** RFC 8555 §6.2: flattened only, no unprotected header, no extensions. */
export function readFlattened(value: unknown, what: string): FlattenedJws {
  if (!isObject(value)) throw malformed(`${what} must be a JSON object: a flattened JWS`);
  for (const member of ['header', 'signatures'])
    if (Object.hasOwn(value, member)) throw malformed(`${what} must not hold the member ${member}`);
  const { protected: protectedText, payload: payloadText, signature: signatureText } = value;
  const header = objectOf(bytesOf(`${what}, protected`, protectedText), `${what}, protected`);
  const payload = bytesOf(`${what}, payload`, payloadText);
  const signature = bytesOf(`${what}, signature`, signatureText);
  // RFC 7515 §4.1.11, RFC 7797 §6: what is not understood must be refused, and nothing is.
  if (Object.hasOwn(header, 'crit')) throw malformed(`${what}: crit names no extension that is known here`);
  if (Object.hasOwn(header, 'b64')) throw malformed(`${what}: b64 has no place here`);
  return { header, payload, signature, signed: Buffer.from(`${protectedText}.${payloadText}`, 'latin1') };
}

/** The body of a request as JSON, in the bounds of every body. */
export function readJson(bytes: Buffer, what: string): unknown {
  try {
    return parseJsonBody(bytes);
  } catch (error) {
    if (error instanceof AppError) throw malformed(error.publicMessage.replace(/^body:/, `${what}:`));
    throw error;
  }
}

export function objectOf(bytes: Buffer, what: string): JsonObject {
  const value = isUtf8(bytes) ? readJson(bytes, what) : undefined;
  if (!isObject(value)) throw malformed(`${what} must be a JSON object`);
  return value;
}

/** RFC 8555 §6.4: 401, since the request may have been meant for another server. */
export function checkUrl(header: JsonObject, url: string, what: string): void {
  if (typeof header.url !== 'string') throw malformed(`${what}: url is missing`);
  if (header.url !== url) throw notAuthorized(`${what}: url must be the URL of this request, ${url}`, 401);
}

export function algorithmOf(header: JsonObject, what: string): SignatureAlgorithm {
  const known = ACME_ALGORITHMS.find((name) => name === header.alg);
  if (known) return known;
  const detail = `${what}: alg must be one of ${ACME_ALGORITHMS.join(', ')}`;
  throw new AcmeProblem('badSignatureAlgorithm', detail, { members: { algorithms: ACME_ALGORITHMS } });
}

/** Exactly one of the two (RFC 8555 §6.2). */
export function keyNamed(header: JsonObject, what: string): { kid: string } | { jwk: unknown } {
  const [hasKid, hasJwk] = [Object.hasOwn(header, 'kid'), Object.hasOwn(header, 'jwk')];
  if (hasKid === hasJwk) throw malformed(`${what}: there must be either jwk or kid`);
  if (hasJwk) return { jwk: header.jwk };
  if (typeof header.kid !== 'string' || header.kid.length > KID_CHARACTERS_MAX)
    throw malformed(`${what}: kid must be a string of at most ${KID_CHARACTERS_MAX} characters`);
  return { kid: header.kid };
}

/** Judged before anything is imported (RFC 8725 §3.4). */
export function verifyingKey(jwk: unknown, what: string): VerifyingKey {
  const key = readKey(jwk, what);
  return { jwk: key, thumbprint: thumbprintOf(key) };
}

function readKey(jwk: unknown, what: string): PublicJwk {
  try {
    return readPublicJwk(jwk);
  } catch (error) {
    if (!(error instanceof JwkRefused)) throw error;
    throw new AcmeProblem('badPublicKey', `${what}, jwk: ${error.message}`);
  }
}

export function checkSignature(
  { signed, signature }: FlattenedJws,
  algorithm: SignatureAlgorithm,
  key: VerifyingKey,
  signatures: SignatureVerifier,
  what: string,
): void {
  if (!isKeyOf(algorithm, key.jwk)) {
    const detail = `${what}: alg is none of its key`;
    throw new AcmeProblem('badSignatureAlgorithm', detail, { members: { algorithms: ACME_ALGORITHMS } });
  }
  const isGood =
    isSignatureForm(algorithm, key.jwk, signature) && signatures.verify(key, algorithm, signed, signature);
  if (!isGood) throw malformed(`${what}: the signature is not one of its key`);
}

function bytesOf(what: string, text: unknown): Buffer {
  if (typeof text !== 'string') throw malformed(`${what} must be a string`);
  const bytes = decodeBase64Url(text);
  if (bytes === null) throw malformed(`${what} must be base64url without padding`);
  return bytes;
}
