import { OAuthError } from '../oauth/index.js';

/** A refusal that is shown to the user and told to nobody else: where it would go is not known to be the client's. */
export class PageError extends Error {
  override readonly name = 'PageError';

  constructor(
    readonly status: number,
    /** For the user. */
    readonly text: string,
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(text);
  }
}

/** RFC 6749 §4.1.2.1, and OpenID Connect Core §3.1.2.6 for the two that name request objects. */
export type RedirectErrorCode =
  | 'invalid_request'
  | 'unauthorized_client'
  | 'access_denied'
  | 'unsupported_response_type'
  | 'invalid_scope'
  | 'request_not_supported'
  | 'request_uri_not_supported';

/** A refusal that the client is told, by way of the user's browser. */
export class RedirectError extends Error {
  override readonly name = 'RedirectError';

  constructor(
    readonly code: RedirectErrorCode,
    readonly description: string,
    readonly redirectUri: string,
    readonly state: string | null,
  ) {
    super(description);
  }
}

export function authorizationPending(): OAuthError {
  return new OAuthError('authorization_pending', 'Nobody has answered for this device yet');
}

export function slowDown(): OAuthError {
  return new OAuthError('slow_down', 'The device asks more often than it was told to');
}

export function deviceExpired(): OAuthError {
  return new OAuthError('expired_token', 'The device code has expired');
}

export function deviceDenied(): OAuthError {
  return new OAuthError('access_denied', 'The user has turned the device away');
}

export function tooManyDevices(retryAfterSeconds: number): OAuthError {
  return new OAuthError('rate_limit_exceeded', 'Too many devices wait for an answer', {
    headers: { 'retry-after': String(retryAfterSeconds) },
  });
}
