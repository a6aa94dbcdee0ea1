import type { Clock } from '../../../kernel/clock.js';
import type { Scope } from '../../../kernel/ids.js';
import type { JsonObject } from '../../../kernel/strict-json.js';
import type { KeyIdentity } from '../store.js';
import { readHeader, readJws } from './jws.js';
import { JWT_SCHEMES, type JwtAlgorithm } from './jwt-algorithms.js';
import { type ExpectedClaims, judgeClaims } from './jwt-claims.js';
import type { JwtError } from './jwt-errors.js';
import type { Judgement, SigningVersions } from './versions.js';

export interface JwtToVerify {
  readonly token: string;
  readonly expected: ExpectedClaims;
  readonly leewaySeconds: number;
}

export interface VerifiedJwt {
  /** Null: the token is valid. */
  readonly error: JwtError | null;
  /** Of a valid token alone: what is not proven is not handed on. */
  readonly claims?: JsonObject;
  readonly alg?: JwtAlgorithm;
  readonly version?: number;
  /** As the token says it, also where it is not this key's. */
  readonly kid?: string;
}

export interface JwtVerifier {
  verify(scope: Scope, key: KeyIdentity, input: JwtToVerify): Promise<VerifiedJwt>;
}

const KID_CHARACTERS_MAX = 255;
const ERRORS: Readonly<Record<Exclude<Judgement, 'good'>, JwtError>> = {
  unknown: 'unknown_key',
  destroyed: 'key_version_destroyed',
  bad: 'invalid_signature',
};

export function createJwtVerifier(deps: {
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly versions: Pick<SigningVersions, 'judge'>;
}): JwtVerifier {
  const { clock, versions } = deps;
  return {
    async verify(scope, key, { token, expected, leewaySeconds }) {
      const jws = readJws(token);
      if (jws === null) return { error: 'malformed' };
      const kid = kidIn(jws.header);
      const made = readHeader(jws.header, key);
      if (typeof made === 'string') return { error: made, ...kid };
      const known = { alg: made.alg, version: made.version, ...kid };
      const signing = { scheme: JWT_SCHEMES[made.alg], form: 'ieee-p1363', message: jws.signed } as const;
      const judgement = await versions.judge(scope, key, made.version, signing, jws.signature);
      if (judgement === 'unknown') return { error: ERRORS[judgement], ...kid };
      if (judgement !== 'good') return { error: ERRORS[judgement], ...known };
      const error = judgeClaims(jws.payload, expected, clock.nowMs(), leewaySeconds);
      return error === null ? { error, claims: jws.payload, ...known } : { error, ...known };
    },
  };
}

function kidIn({ kid }: JsonObject): Pick<VerifiedJwt, 'kid'> {
  return typeof kid === 'string' && kid.length <= KID_CHARACTERS_MAX ? { kid } : {};
}
