import { AppError, notFound, rateLimitExceeded, validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Principal } from '../../kernel/principal.js';

/** Unknown, revoked, ended, of another host or mode: one text for every cause. */
export function invalidGatewayToken(): AppError {
  return new AppError('invalid_token', 'The gateway token is not valid for this call');
}

/** Of a network that guesses; whoever has a token that is in memory is served there all the same. */
export function tooManyInvalidTokens(waitMs: number): AppError {
  return rateLimitExceeded('Too many gateway tokens that are not valid; try again later', {
    retryAfterSeconds: waitMs / 1000,
  });
}

/** Never 401: a client would throw a good token away (auth.md §12 case 9). */
export function revocationsUnread(): AppError {
  return new AppError('dependency_unavailable', 'Credentials cannot be checked at the moment', {
    dependency: 'database',
    retryAfterSeconds: 1,
  });
}

export function gatewaySubscriptionInactive(principal: Principal): AppError {
  return new AppError('subscription_inactive', 'The subscription of this tenant is not active', {
    principal,
  });
}

export function wrapTokenNotFound(): AppError {
  return notFound('Gateway token');
}

export function secretOfTokenNotFound(): AppError {
  return notFound('Secret');
}

export function unusableSecret(rule: string): AppError {
  return validationError('secret', rule);
}

export function hostIsDue(): AppError {
  return validationError('host', 'is required, since the credential may go to more than one host');
}

export function hostNotCovered(name: string): AppError {
  return validationError('host', `is not covered by the allowed_hosts of the secret "${name}"`);
}

export function noSubdomains(): AppError {
  return validationError('style', 'subdomain is off: KNOX_WRAP_SUBDOMAINS turns it on');
}

export function unknownEnvironment(name: string): AppError {
  return validationError('environment', `"${name}" is not an environment of this mode`);
}

export function tooManyTokens(): AppError {
  return new AppError('conflict', `At most ${LIMITS.wrapTokensMax} gateway tokens can live in one mode`);
}
