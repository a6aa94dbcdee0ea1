import { LIMITS } from '../../../kernel/limits.js';
import type { JsonObject } from '../../../kernel/strict-json.js';
import { type CompactJws, type JwsFault, readCompactJws } from '../../../platform/crypto/compact-jws.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import { isSignatureAlgorithm, type SignatureAlgorithm } from '../../../platform/crypto/jws.js';
import type { Presented } from '../matching/matching.js';

/** An identity token as it was read; nothing of it is believed before its signature is good. */
export interface Assertion extends Presented {
  readonly audiences: readonly string[];
  readonly expiresAtMs: number;
  readonly notBeforeMs: number | null;
  readonly issuedAtMs: number;
  readonly alg: SignatureAlgorithm;
  readonly kid: string | null;
  readonly signed: Buffer;
  readonly signature: Buffer;
  /** Of what was signed: another signature of the same does not make another assertion (docs/decisions/0072). */
  readonly hash: Buffer;
}

/** Which check an assertion fails, and why, fit for whoever sent it. */
export class AssertionRefused extends Error {
  override readonly name = 'AssertionRefused';
  constructor(
    readonly check: string,
    reason: string,
  ) {
    super(reason);
  }
}

const AUDIENCES_MAX = 50;
/** Each is something that bindings are looked for by; platforms write some thirty. */
const CLAIMS_MAX = 200;
const SECONDS_MAX = 1e11;

/** Size, form, algorithm and claims, in this order; no look-up and no signature. */
export function readAssertion(text: string): Assertion {
  if (Buffer.byteLength(text) > LIMITS.oidcAssertionBytesMax)
    refuse('size', `is longer than ${LIMITS.oidcAssertionBytesMax} bytes`);
  const { header, payload, signed, signature } = partsOf(text);
  if (Object.keys(payload).length > CLAIMS_MAX) refuse('form', `has more than ${CLAIMS_MAX} claims`);
  return {
    alg: algorithmOf(header),
    kid: textOf('kid', header.kid, 'header') ?? null,
    issuer: textOf('iss', payload.iss, 'iss') ?? refuse('iss', 'has no iss'),
    subject: textOf('sub', payload.sub, 'sub') ?? refuse('sub', 'has no sub'),
    audiences: audiencesOf(payload.aud),
    expiresAtMs: timeOf('exp', payload) ?? refuse('exp', 'has no exp'),
    notBeforeMs: timeOf('nbf', payload),
    issuedAtMs: timeOf('iat', payload) ?? refuse('iat', 'has no iat'),
    payload,
    signed,
    signature,
    hash: sha256(signed),
  };
}

/** Times, each with 60 s for clocks that differ (auth.md §4). */
export function requireTimely({ expiresAtMs, notBeforeMs, issuedAtMs }: Assertion, nowMs: number): void {
  const skewMs = LIMITS.oidcAssertionSkewMs;
  if (expiresAtMs + skewMs <= nowMs) refuse('exp', 'has expired');
  if (notBeforeMs !== null && notBeforeMs - skewMs > nowMs) refuse('nbf', 'is not valid yet');
  if (issuedAtMs - skewMs > nowMs) refuse('iat', 'was issued in the future');
  if (issuedAtMs + LIMITS.oidcAssertionAgeMaxMs + skewMs < nowMs)
    refuse('iat', 'was issued more than an hour ago');
}

const FORM_RULES: Readonly<Record<JwsFault, string>> = {
  parts: 'is no signed JWT',
  header: 'has a header that is no JSON object in base64url, or has a member twice',
  payload: 'has a payload that is no JSON object in base64url, or has a member twice',
  signature: 'has a signature that is not base64url',
};

function partsOf(text: string): CompactJws {
  const jws = readCompactJws(text);
  if (typeof jws === 'string') refuse('form', FORM_RULES[jws]);
  if (jws.signature.length === 0) refuse('form', FORM_RULES.parts);
  return jws;
}

function algorithmOf({ alg, typ, crit, b64 }: JsonObject): SignatureAlgorithm {
  // RFC 8725 §3.11: a JWT that says what it is for is for nothing else.
  const isIdentity = typ === undefined || (typeof typ === 'string' && /^(?:application\/)?jwt$/i.test(typ));
  if (!isIdentity) refuse('form', 'has a typ other than JWT');
  // RFC 7515 §4.1.11: an extension that is not understood is not passed over.
  if (crit !== undefined || b64 !== undefined) refuse('form', 'has header extensions');
  if (!isSignatureAlgorithm(alg)) refuse('alg', 'is signed with an algorithm that is not taken');
  return alg;
}

/** Texts that are looked up or written into audit rows: no database and no reader of a log should meet what is not text. */
function textOf(name: string, value: unknown, check: string): string | undefined {
  if (value === undefined) return undefined;
  const isText =
    typeof value === 'string' &&
    value !== '' &&
    value.length <= LIMITS.oidcSubjectCharactersMax &&
    !/[\0-\x1f\x7f]|\p{Surrogate}/u.test(value);
  return isText
    ? value
    : refuse(check, `has a ${name} that is no text of 1 to ${LIMITS.oidcSubjectCharactersMax} characters`);
}

function audiencesOf(value: unknown): string[] {
  const audiences = typeof value === 'string' ? [value] : value;
  const isList =
    Array.isArray(audiences) &&
    audiences.length <= AUDIENCES_MAX &&
    audiences.every((audience) => typeof audience === 'string');
  return isList ? audiences : refuse('aud', 'has no aud that is a text or a list of texts');
}

function timeOf(name: string, payload: JsonObject): number | null {
  const value = payload[name];
  if (value === undefined) return null;
  if (typeof value !== 'number' || !(value >= 0 && value <= SECONDS_MAX))
    refuse(name, `has an ${name} that is no time`);
  return value * 1_000;
}

function refuse(check: string, reason: string): never {
  throw new AssertionRefused(check, `The assertion ${reason}`);
}
