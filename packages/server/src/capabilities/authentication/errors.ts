import { AppError, type AppErrorOptions, notFound, validationError } from '../../kernel/errors.js';
import type { Principal } from '../../kernel/principal.js';
import type { DpopError } from '../dpop/index.js';

/** Both schemes of an access token, and no error code: the request carried none (RFC 6750 §3.1, RFC 9449 §7.1). */
export function authenticationRequired(): AppError {
  return new AppError(
    'authentication_required',
    'Send an API key or an access token as "Authorization: Bearer <key>" or "x-api-key: <key>"',
    { headers: { 'www-authenticate': 'Bearer, DPoP' } },
  );
}

export function adminTokenRequired(): AppError {
  return new AppError(
    'authentication_required',
    'Sign in at POST /admin/auth/login and send its token as "Authorization: Bearer <token>"',
  );
}

/** Unknown, revoked, expired and, on a tenant host, another tenant's: one answer (auth.md §1.3). */
export function invalidApiKey(): AppError {
  return new AppError('invalid_api_key', 'The API key is not valid');
}

export function invalidToken(): AppError {
  return new AppError('invalid_token', 'The access token is not valid');
}

/** Valid, and not of the tenant whose host was called: as if it did not exist. */
export function foreignCredential({ kind }: Principal): AppError {
  return kind === 'oauth_token' ? invalidToken() : invalidApiKey();
}

/** A token that is bound to a key, without a proof of that key (RFC 9449 §7.2). */
export function invalidBoundToken(principal: Principal, algorithms: readonly string[]): AppError {
  return new AppError(
    'invalid_token',
    'The access token is bound to a key: send "Authorization: DPoP <token>" and a DPoP proof of that key',
    { principal, headers: { 'www-authenticate': dpopChallenge('invalid_token', algorithms) } },
  );
}

/** Bound to none, and sent as if it were (RFC 9449 §7.1). */
export function tokenNotBound(principal: Principal): AppError {
  const text = 'The access token is bound to no key: send "Authorization: Bearer <token>"';
  return new AppError('invalid_token', text, { principal });
}

export function proofRefused(
  { code, reason, nonce }: DpopError,
  principal: Principal,
  algorithms: readonly string[],
): AppError {
  return new AppError(code, reason, {
    principal,
    headers: {
      'www-authenticate': dpopChallenge(code, algorithms),
      ...(nonce !== null && { 'dpop-nonce': nonce }),
    },
  });
}

function dpopChallenge(error: string, algorithms: readonly string[]): string {
  return `DPoP error="${error}", algs="${algorithms.join(' ')}"`;
}

export function wrongKeyType(principal: Principal): AppError {
  const what = principal.kind === 'oauth_token' ? 'token' : 'key';
  const text = principal.scope.sandbox
    ? `A test ${what} is not accepted on a live host`
    : `A live ${what} is not accepted on a sandbox host`;
  return new AppError('wrong_key_type', text, { principal });
}

export function wrongMode(): AppError {
  return new AppError('wrong_key_type', 'The sandbox host serves test mode alone');
}

/** A user of several tenants, or of none, has to say which one is meant (kms-admin.md §4). */
export function tenantNotNamed(): AppError {
  return validationError(
    'X-Tenant-ID',
    'is required, since you belong to none or to several tenants: the id of one that GET /admin/auth/me lists',
  );
}

/** Unknown, or one that the user does not belong to: one answer. */
export function tenantNotYours(): AppError {
  return notFound('Tenant');
}

export function subscriptionInactive(principal?: Principal): AppError {
  return new AppError('subscription_inactive', 'The subscription of this tenant is not active', {
    ...(principal && { principal }),
  });
}

export function tenantNotFound(): AppError {
  return new AppError('tenant_not_found', 'No tenant has this host');
}

/** Never 401: a client would throw a good key away (auth.md §12 case 9). */
export function revocationsUnread(options: AppErrorOptions = {}): AppError {
  return new AppError('dependency_unavailable', 'Credentials cannot be checked at the moment', {
    dependency: 'database',
    retryAfterSeconds: 1,
    ...options,
  });
}
