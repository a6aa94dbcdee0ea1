import { AppError, rateLimitExceeded } from '../../kernel/errors.js';
import type { Principal } from '../../kernel/principal.js';

export function tokenRequired(): AppError {
  return new AppError(
    'authentication_required',
    'Send a token of POST /v1/client-tokens as "Authorization: Bearer <token>"',
  );
}

/** Unknown, used, ended, of another act, or of a maker who could not make it now: one text for every cause. */
export function invalidClientToken(): AppError {
  return new AppError('invalid_token', 'The client token is not valid for this call');
}

export function wrongMode(principal: Principal): AppError {
  const [own, other] = principal.scope.sandbox ? ['test', 'live'] : ['live', 'sandbox'];
  return new AppError('wrong_key_type', `A ${own} token is not accepted on a ${other} host`, { principal });
}

export function tooManyFailures(waitMs: number): AppError {
  return rateLimitExceeded('Too many tokens that are not valid; try again later', {
    retryAfterSeconds: waitMs / 1000,
  });
}
