import type { RateLimitStatus } from '../../kernel/rate-limit.js';

/** Codes of RFC 6749 §5.2 and the standards on top of it, each with its one status (contract README §1.3). */
export const OAUTH_ERROR_STATUS = {
  invalid_request: 400,
  invalid_grant: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  invalid_scope: 400,
  invalid_target: 400,
  invalid_dpop_proof: 400,
  use_dpop_nonce: 400,
  authorization_pending: 400,
  slow_down: 400,
  expired_token: 400,
  access_denied: 400,
  invalid_client: 401,
  rate_limit_exceeded: 429,
  server_error: 500,
  temporarily_unavailable: 503,
  /** Of the exchange on a tenant host alone, in the shape of the AI plane (auth.md §2.8). */
  ai_gateway_unavailable: 503,
} as const;

export type OAuthErrorCode = keyof typeof OAUTH_ERROR_STATUS;

export interface OAuthErrorOptions {
  /** Where the contract has another one than that of the code. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A refusal in the shape of RFC 6749 §5.2: thrown by the checks, written by the OAuth API alone. */
export class OAuthError extends Error {
  override readonly name = 'OAuthError';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly code: OAuthErrorCode,
    /** For the developer of the client; never a secret. */
    readonly description: string,
    options: OAuthErrorOptions = {},
  ) {
    super(description, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = options.status ?? OAUTH_ERROR_STATUS[code];
    this.headers = options.headers ?? {};
  }
}

export function invalidRequest(description: string): OAuthError {
  return new OAuthError('invalid_request', description);
}

/** Which of name and secret is wrong is not said. With Basic the scheme is named (RFC 6749 §5.2). */
export function invalidClient(usedBasic: boolean, description = 'Client authentication failed'): OAuthError {
  return new OAuthError('invalid_client', description, {
    headers: usedBasic ? { 'www-authenticate': 'Basic realm="knoxcall"' } : {},
  });
}

export function invalidGrant(description: string): OAuthError {
  return new OAuthError('invalid_grant', description);
}

export function invalidScope(description: string): OAuthError {
  return new OAuthError('invalid_scope', description);
}

/** A token of a tenant that is paused or cancelled (auth.md §2.2). */
export function tenantInactive(): OAuthError {
  return new OAuthError('unauthorized_client', 'The subscription of this tenant is not active', {
    status: 403,
  });
}

export function proofRequired(): OAuthError {
  return new OAuthError('invalid_dpop_proof', 'This request needs a DPoP proof');
}

export function tooManyFailures(wait: Pick<RateLimitStatus, 'retryAfterMs'>): OAuthError {
  return new OAuthError('rate_limit_exceeded', 'Too many failed authentications of this client', {
    headers: { 'retry-after': String(Math.max(1, Math.ceil(wait.retryAfterMs / 1000))) },
  });
}
