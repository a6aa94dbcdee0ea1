import { LIMITS } from '../../kernel/limits.js';
import { isPending } from '../../kernel/promisable.js';
import type { JsonObject } from '../../kernel/strict-json.js';
import type { Lru } from '../../platform/cache/lru.js';
import {
  type CompactJws,
  headerTextOf,
  type JwsFault,
  readCompactJws,
} from '../../platform/crypto/compact-jws.js';
import { sha256 } from '../../platform/crypto/hashing.js';
import { JwkRefused, type PublicJwk, readPublicJwk, thumbprintOf } from '../../platform/crypto/jwk.js';
import {
  isKeyOf,
  isSignatureAlgorithm,
  isSignatureForm,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  type SignatureVerifier,
  type VerifyingKey,
} from '../../platform/crypto/jws.js';
import { DpopError } from './errors.js';
import { normalizedHtu } from './htu.js';
import type { Nonces } from './nonces.js';
import type { Replays } from './replays.js';

export interface ProofRequest {
  /** The values of the `DPoP` headers, raw: each header one. */
  readonly proofs: readonly string[];
  readonly method: string;
  /** Public origin and path that the caller used; never made of a raw `Host`. */
  readonly url: string;
  /** Of an API call: what `ath` is the hash of. */
  readonly accessToken?: string;
  readonly isNonceRequired: boolean;
}

export interface VerifiedProof {
  /** RFC 7638 thumbprint of its key. */
  readonly jkt: string;
  readonly jti: string;
  /** Seconds. */
  readonly iat: number;
  readonly replayKey: Buffer;
  readonly expiresAtMs: number;
  /** Where a nonce was required and a newer one is to be sent as `DPoP-Nonce` (RFC 9449 §8.2). */
  readonly nextNonce?: string;
}

/** In the order in which they run: cheap before dear, the signature last (contract auth.md §3). */
export const PROOF_CHECKS = [
  'size',
  'count',
  'form',
  'typ',
  'alg',
  'crit',
  'jwk',
  'claims',
  'htm',
  'htu',
  'iat',
  'exp',
  'ath',
  'nonce',
  'replay',
  'signature',
] as const;

export type ProofCheck = (typeof PROOF_CHECKS)[number];

/** Runs each check. A rule that is broken is thrown as `DpopError`. */
export interface CheckRunner {
  /** One that later checks cannot do without. */
  need<T>(name: ProofCheck, check: () => T): T;
  /** One that stands by itself. */
  check(name: ProofCheck, check: () => void): void;
}

/** The header of a proof whose signature was good, and the key in it. */
export interface KnownHeader {
  readonly header: JsonObject;
  readonly key: VerifyingKey;
}

export interface ProofRules {
  readonly nowMs: number;
  readonly iatWindowMs: number;
  readonly nonces: Nonces;
  readonly replays: Pick<Replays, 'has'>;
  readonly signatures: SignatureVerifier;
  /** By their text: most clients send the same one each time. */
  readonly headers: Pick<Lru<string, KnownHeader>, 'get' | 'put'>;
}

/** RFC 9449 §4.3; the numbers are those of its list. */
export async function checkProof(
  request: ProofRequest,
  rules: ProofRules,
  run: CheckRunner,
): Promise<VerifiedProof> {
  run.need('size', () => checkSize(request.proofs));
  const text = run.need('count', () => theOnlyOne(request.proofs)); // 1
  const headerText = headerTextOf(text);
  const known = rules.headers.get(headerText);
  const jws = run.need('form', () => partsOf(text, known)); // 2
  run.check('typ', () => checkType(jws.header)); // 4
  const algorithm = run.need('alg', () => algorithmOf(jws.header)); // 5
  run.check('crit', () => checkExtensions(jws.header));
  const key = run.need('jwk', () => known?.key ?? keyOf(jws.header, algorithm)); // 7
  const claims = run.need('claims', () => claimsOf(jws.payload)); // 3
  run.check('htm', () => checkMethod(claims, request)); // 8
  run.check('htu', () => checkUri(claims, request)); // 9
  run.check('iat', () => checkAge(claims, rules)); // 11
  run.check('exp', () => checkExpiry(jws.payload, rules));
  run.check('ath', () => checkTokenHash(jws.payload, request)); // 12
  run.check('nonce', () => checkNonce(jws.payload, request, rules.nonces)); // 10
  const replayKey = sha256(`${key.thumbprint}.${claims.jti}`);
  const found = rules.replays.has(replayKey);
  const isReplayed = isPending(found) ? await found : found;
  run.check('replay', () => refuseReplay(isReplayed)); // §11.1
  run.check('signature', () => {
    checkSignature(jws, algorithm, key, rules.signatures); // 6
    if (!known && headerText.length <= HEADER_CHARACTERS_KEPT_MAX)
      rules.headers.put(unsliced(headerText), { header: jws.header, key });
  });
  return {
    jkt: key.thumbprint,
    jti: claims.jti,
    iat: claims.iat,
    replayKey,
    // From `iat` on, not from now: a proof from the future is good for longer.
    expiresAtMs: Math.ceil(claims.iat * 1000) + rules.iatWindowMs + LIMITS.dpopReplayMarginMs,
    ...nextNonce(jws.payload, request, rules.nonces),
  };
}

/** Above what the largest key takes. */
const HEADER_CHARACTERS_KEPT_MAX = 1_200;

/** A slice would keep the whole proof. */
function unsliced(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

export function refuseReplay(isReplayed: boolean): void {
  if (isReplayed)
    refuse('replay', 'this proof was used before; make a new one with a new jti for each request');
}

function checkSize(proofs: readonly string[]): void {
  const bytes = proofs.reduce((sum, proof) => sum + proof.length, 0);
  if (bytes > LIMITS.dpopProofBytesMax) refuse('size', `must be at most ${LIMITS.dpopProofBytesMax} bytes`);
}

/** What joins equal headers puts commas between them; no proof contains one. */
function theOnlyOne(proofs: readonly string[]): string {
  const [proof, ...others] = proofs;
  if (proof === undefined || proof === '') refuse('count', 'the DPoP header is missing');
  if (others.length > 0 || proof.includes(','))
    refuse('count', 'there must be one DPoP header with one proof');
  return proof;
}

const FORM_RULES: Readonly<Record<JwsFault, string>> = {
  parts: 'must be three parts with dots between them',
  header: 'the header must be a JSON object in base64url, no member of it twice',
  payload: 'the payload must be a JSON object in base64url, no member of it twice',
  signature: 'the signature must be base64url',
};

function partsOf(text: string, known: KnownHeader | undefined): CompactJws {
  const jws = readCompactJws(text, known?.header);
  return typeof jws === 'string' ? refuse('form', FORM_RULES[jws]) : jws;
}

/** RFC 7515 §4.1.9: a media type, so without regard to case, `application/` left out or not. */
function checkType({ typ }: JsonObject): void {
  const type = typeof typ === 'string' ? typ.toLowerCase() : '';
  if (type !== 'dpop+jwt' && type !== 'application/dpop+jwt') refuse('typ', 'must be dpop+jwt');
}

function algorithmOf({ alg }: JsonObject): SignatureAlgorithm {
  if (!isSignatureAlgorithm(alg)) refuse('alg', `must be one of ${SIGNATURE_ALGORITHMS.join(', ')}`);
  return alg;
}

/** RFC 7515 §4.1.11, RFC 7797 §6: what we do not understand must be refused, and we understand none. */
function checkExtensions(header: JsonObject): void {
  if (Object.hasOwn(header, 'crit')) refuse('crit', 'no extension is understood here');
  if (Object.hasOwn(header, 'b64') && header.b64 !== true) refuse('crit', 'b64 must be absent or true');
}

/** The bounds are judged before anything is imported (RFC 8725 §3.4). */
function keyOf({ jwk }: JsonObject, algorithm: SignatureAlgorithm): VerifyingKey {
  const key = readKey(jwk);
  if (!isKeyOf(algorithm, key)) refuse('jwk', `is no key of ${algorithm}`);
  return { jwk: key, thumbprint: thumbprintOf(key) };
}

function readKey(jwk: unknown): PublicJwk {
  try {
    return readPublicJwk(jwk);
  } catch (error) {
    return refuse('jwk', error instanceof JwkRefused ? error.message : 'cannot be read');
  }
}

interface Claims {
  readonly jti: string;
  readonly htm: string;
  readonly htu: string;
  readonly iat: number;
}

function claimsOf({ jti, htm, htu, iat }: JsonObject): Claims {
  if (typeof jti !== 'string' || jti === '') refuse('claims', 'jti must be a string that is not empty');
  if (Buffer.byteLength(jti) > LIMITS.dpopJtiBytesMax)
    refuse('claims', `jti must be at most ${LIMITS.dpopJtiBytesMax} bytes`);
  if (typeof htm !== 'string') refuse('claims', 'htm must be a string');
  if (typeof htu !== 'string') refuse('claims', 'htu must be a string');
  if (typeof iat !== 'number' || !Number.isFinite(iat)) refuse('claims', 'iat must be a number');
  return { jti, htm, htu, iat };
}

/** Methods are compared with their case (RFC 9110 §9.1). */
function checkMethod({ htm }: Claims, { method }: ProofRequest): void {
  if (htm !== method) refuse('htm', `must be ${method}, the method of this request`);
}

function checkUri({ htu }: Claims, { url }: ProofRequest): void {
  // The target of a request may hold characters that no URI has: then only the same text is the same.
  if (htu === url) return;
  const wanted = normalizedHtu(url);
  if (wanted === null || normalizedHtu(htu) !== wanted)
    refuse('htu', `must be the URL of this request${wanted === null ? '' : `, ${wanted}`}`);
}

function checkAge({ iat }: Claims, { nowMs, iatWindowMs }: ProofRules): void {
  const ageMs = nowMs - iat * 1000;
  if (Math.abs(ageMs) <= iatWindowMs) return;
  const where = ageMs > 0 ? 'past' : 'future';
  refuse(
    'iat',
    `is more than ${iatWindowMs / 1000} s in the ${where} of the clock here, ${Math.floor(nowMs / 1000)}`,
  );
}

/** Not asked for; one who says when the proof ends is taken at their word. `nbf` says nothing that `iat` does not. */
function checkExpiry({ exp }: JsonObject, { nowMs }: ProofRules): void {
  if (typeof exp === 'number' && exp * 1000 <= nowMs) refuse('exp', 'the proof has expired');
}

function checkTokenHash({ ath }: JsonObject, { accessToken }: ProofRequest): void {
  if (accessToken !== undefined && ath !== sha256(accessToken).toString('base64url'))
    refuse('ath', 'must be the base64url SHA-256 of the access token of this request');
}

function checkNonce({ nonce }: JsonObject, { isNonceRequired }: ProofRequest, nonces: Nonces): void {
  if (!isNonceRequired || (typeof nonce === 'string' && nonces.isRecent(nonce))) return;
  throw new DpopError(
    'use_dpop_nonce',
    'nonce',
    'must be the nonce of the DPoP-Nonce header of this answer',
    nonces.current(),
  );
}

function nextNonce(
  { nonce }: JsonObject,
  { isNonceRequired }: ProofRequest,
  nonces: Nonces,
): { nextNonce?: string } {
  const current = nonces.current();
  return isNonceRequired && nonce !== current ? { nextNonce: current } : {};
}

function checkSignature(
  { signed, signature }: CompactJws,
  algorithm: SignatureAlgorithm,
  key: VerifyingKey,
  signatures: SignatureVerifier,
): void {
  if (!isSignatureForm(algorithm, key.jwk, signature))
    refuse('signature', `is not of the form and length of ${algorithm}`);
  if (!signatures.verify(key, algorithm, signed, signature))
    refuse('signature', 'is not one of this proof by the key in jwk');
}

function refuse(check: ProofCheck, rule: string): never {
  throw new DpopError('invalid_dpop_proof', check, rule);
}
