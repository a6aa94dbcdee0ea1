/** Why a token is not valid: the first of these that holds. A closed list (docs/decisions/0085). */
export const JWT_ERRORS = [
  'malformed',
  'unsupported_header',
  'alg_not_allowed',
  'unknown_key',
  'key_version_destroyed',
  'invalid_signature',
  'invalid_claims',
  'expired',
  'not_yet_valid',
  'issuer_mismatch',
  'audience_mismatch',
  'subject_mismatch',
] as const;

export type JwtError = (typeof JWT_ERRORS)[number];
