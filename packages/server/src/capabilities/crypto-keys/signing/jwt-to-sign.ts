import { validationError } from '../../../kernel/errors.js';
import type { JsonObject } from '../../../kernel/strict-json.js';
import type { ActiveKey } from '../store.js';
import { kidOf, REFUSED_MEMBERS, writeSigned } from './jws.js';
import { JWT_SCHEMES, type JwtAlgorithm, jwtAlgorithmsOf } from './jwt-algorithms.js';
import { requireSignable } from './jwt-claims.js';
import type { Signing } from './versions.js';

export interface JwtInput {
  readonly claims: JsonObject;
  readonly headerOverrides: JsonObject;
}

export interface JwtToSign {
  readonly alg: JwtAlgorithm;
  readonly signing: Signing & { readonly message: Buffer };
}

const CLAIMS_BYTES_MAX = 64 * 1024;
const OVERRIDES_BYTES_MAX = 4 * 1024;
const TYPE_CHARACTERS_MAX = 255;
/** Those that verification refuses, and those by which a token would be taken for an encrypted one (RFC 7516 §9). */
const NOT_TO_SET: readonly string[] = ['kid', ...REFUSED_MEMBERS, 'enc', 'zip'];

/** Signed are the claims as they were sent: none is added. */
export function jwtToSign(key: ActiveKey, { claims, headerOverrides }: JwtInput): JwtToSign {
  requireSize('claims', claims, CLAIMS_BYTES_MAX);
  requireSignable('claims', claims);
  requireHeader(headerOverrides);
  const alg = algorithmOf(key, headerOverrides['alg']);
  const kid = kidOf(key.id, key.currentVersion);
  const header = { typ: 'JWT', ...headerOverrides, alg, kid };
  return {
    alg,
    signing: { scheme: JWT_SCHEMES[alg], form: 'ieee-p1363', message: writeSigned(header, claims) },
  };
}

function requireHeader(overrides: JsonObject): void {
  requireSize('header_overrides', overrides, OVERRIDES_BYTES_MAX);
  const refused = NOT_TO_SET.find((member) => Object.hasOwn(overrides, member));
  if (refused !== undefined) throw validationError(`header_overrides.${refused}`, 'cannot be set');
  for (const member of ['typ', 'cty'])
    if (Object.hasOwn(overrides, member) && !isShortText(overrides[member]))
      throw validationError(
        `header_overrides.${member}`,
        `must be a string of 1 to ${TYPE_CHARACTERS_MAX} characters`,
      );
}

function isShortText(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0 && value.length <= TYPE_CHARACTERS_MAX;
}

function algorithmOf({ keyType }: Pick<ActiveKey, 'keyType'>, wanted: unknown): JwtAlgorithm {
  const [usual, ...others] = jwtAlgorithmsOf(keyType) as [JwtAlgorithm, ...JwtAlgorithm[]];
  if (wanted === undefined) return usual;
  const alg = [usual, ...others].find((each) => each === wanted);
  if (alg === undefined)
    throw validationError(
      'header_overrides.alg',
      `must be ${[usual, ...others].join(' or ')} with a key of type ${keyType}`,
    );
  return alg;
}

function requireSize(field: string, value: JsonObject, bytesMax: number): void {
  if (Buffer.byteLength(JSON.stringify(value)) > bytesMax)
    throw validationError(field, `must be at most ${bytesMax} bytes of JSON`);
}
