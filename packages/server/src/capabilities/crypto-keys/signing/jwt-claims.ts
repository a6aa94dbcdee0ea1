import { validationError } from '../../../kernel/errors.js';
import { isObject, type JsonObject } from '../../../kernel/strict-json.js';
import type { JwtError } from './jwt-errors.js';

export interface ExpectedClaims {
  readonly iss?: string | undefined;
  /** One of these has to be among the token's. */
  readonly aud?: string | readonly string[] | undefined;
  readonly sub?: string | undefined;
}

interface ClaimRule {
  readonly holds: (value: unknown) => boolean;
  readonly text: string;
}

const TIME: ClaimRule = { holds: Number.isFinite, text: 'must be a number of seconds since 1970' };
const TEXT: ClaimRule = { holds: isText, text: 'must be a string' };

/** RFC 7519 §4.1. */
const RULES: Readonly<Record<string, ClaimRule>> = {
  iss: TEXT,
  sub: TEXT,
  aud: {
    holds: (value) => isText(value) || (Array.isArray(value) && value.every(isText)),
    text: 'must be a string or an array of strings',
  },
  exp: TIME,
  nbf: TIME,
  iat: TIME,
  jti: TEXT,
};

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function brokenClaim(claims: JsonObject): readonly [string, ClaimRule] | undefined {
  return Object.entries(RULES).find(
    ([name, rule]) => Object.hasOwn(claims, name) && !rule.holds(claims[name]),
  );
}

/** Refused is what our own verification would refuse, and numbers that would be signed as others than were sent. */
export function requireSignable(field: string, claims: JsonObject): void {
  const broken = brokenClaim(claims);
  if (broken) throw validationError(`${field}.${broken[0]}`, broken[1].text);
  const inexact = Object.keys(claims).find((name) => hasInexactNumber(claims[name]));
  if (inexact !== undefined)
    throw validationError(
      `${field}.${inexact}`,
      'has a number beyond ±(2^53 - 1), which would not be signed as it was sent; send it as a string',
    );
}

function hasInexactNumber(value: unknown): boolean {
  if (typeof value === 'number') return Math.abs(value) > Number.MAX_SAFE_INTEGER;
  return (Array.isArray(value) || isObject(value)) && Object.values(value).some(hasInexactNumber);
}

/** Of claims whose signature is good: what is wrong with them, or null. Times count from and until, as RFC 7519 §4.1 says. */
export function judgeClaims(
  claims: JsonObject,
  expected: ExpectedClaims,
  nowMs: number,
  leewaySeconds: number,
): JwtError | null {
  if (brokenClaim(claims)) return 'invalid_claims';
  const now = nowMs / 1_000;
  const { exp, nbf, iss, aud, sub } = claims;
  if (typeof exp === 'number' && now >= exp + leewaySeconds) return 'expired';
  if (typeof nbf === 'number' && now < nbf - leewaySeconds) return 'not_yet_valid';
  if (expected.iss !== undefined && iss !== expected.iss) return 'issuer_mismatch';
  if (expected.aud !== undefined && !isMember(aud, expected.aud)) return 'audience_mismatch';
  if (expected.sub !== undefined && sub !== expected.sub) return 'subject_mismatch';
  return null;
}

function isMember(aud: unknown, wanted: string | readonly string[]): boolean {
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  return (typeof wanted === 'string' ? [wanted] : wanted).some((one) => audiences.includes(one));
}
