import { AppError, notFound, validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Principal } from '../../kernel/principal.js';

/** Unknown, revoked, ended, of another host or mode: one text for every cause. */
export function invalidGatewayToken(): AppError {
  return new AppError('invalid_token', 'The gateway token is not valid for this call');
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
