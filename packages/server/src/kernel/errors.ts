import type { Principal } from './principal.js';
import type { RateLimitStatus } from './rate-limit.js';

/**
 * Every error type that reaches the wire, with its one status (contract README §1.2).
 * Adding one here is what makes it exist: the union, the docs page and the coverage test follow from it.
 */
export const ERROR_STATUS = {
  validation_error: 400,
  invalid_api_version: 400,
  invalid_type: 400,
  missing_proxy_url: 400,
  invalid_proxy_url: 400,
  too_many_tokens: 400,
  template_error: 400,
  secret_not_found: 400,
  secret_expired: 400,
  decryption_failed: 400,
  kms_verify_failed: 400,
  static_credentials_rejected: 400,
  authentication_required: 401,
  invalid_api_key: 401,
  invalid_token: 401,
  invalid_dpop_proof: 401,
  use_dpop_nonce: 401,
  invalid_credentials: 401,
  step_up_required: 401,
  step_up_expired: 401,
  plan_limit: 402,
  plan_feature: 402,
  wrong_key_type: 403,
  subscription_inactive: 403,
  forbidden: 403,
  privilege_escalation: 403,
  ssrf_blocked: 403,
  egress_blocked: 403,
  client_not_authorized: 403,
  ip_not_allowed: 403,
  signature_missing: 403,
  signature_expired: 403,
  invalid_signature: 403,
  replay_window_exceeded: 403,
  not_found: 404,
  route_not_found: 404,
  environment_not_configured: 404,
  environment_disabled: 404,
  no_rewrap: 404,
  tenant_not_found: 404,
  token_not_found: 404,
  no_kms_config: 404,
  method_not_allowed: 405,
  conflict: 409,
  idempotency_conflict: 409,
  deletion_not_allowed: 409,
  version_active: 409,
  not_sealed: 409,
  version_in_use: 409,
  vault_disabled: 409,
  connection_disabled: 409,
  token_space_exhausted: 409,
  token_erased: 410,
  key_version_destroyed: 410,
  payload_too_large: 413,
  unsupported_media_type: 415,
  rate_limit_exceeded: 429,
  headers_too_large: 431,
  internal_error: 500,
  token_error: 500,
  upstream_unreachable: 502,
  dns_failure: 502,
  upstream_tls_error: 502,
  redaction_failed: 502,
  egress_unavailable: 502,
  database_error: 502,
  unseal_failed: 502,
  kms_wrap_failed: 502,
  dependency_unavailable: 503,
  tenant_sealed: 503,
  upstream_timeout: 504,
  loop_detected: 508,
} as const;

export type ErrorType = keyof typeof ERROR_STATUS;

/** Field name → one or more sentences saying which rule it broke. */
export type FieldErrors = Record<string, string[]>;

export interface AppErrorOptions {
  /** For operators only: logged, never sent. May name internal addresses; must never hold a secret. */
  detail?: string;
  fields?: FieldErrors;
  retryAfterSeconds?: number;
  /** Which rule refused, of a list in the code: for metrics. */
  reason?: string;
  /** Which of the server's own dependencies failed (503). */
  dependency?: string;
  /** The limit that refused (429): its headers, `Retry-After` and `error.limit` are written from it. */
  rateLimit?: RateLimitStatus;
  /** Whose valid credential was refused: their log rows tell of it. */
  principal?: Principal;
  /** Sent with it: the challenge of a 401. */
  headers?: Readonly<Record<string, string>>;
  /** The permission that is missing (403). */
  permission?: string;
  /** Further members of the wire `error` object that the contract names for this type. */
  extra?: Record<string, unknown>;
  cause?: unknown;
}

/** What the caller or the world can cause. What only a bug can cause is an `assert` failure instead. */
export class AppError extends Error {
  readonly type: ErrorType;
  readonly status: number;
  readonly publicMessage: string;
  readonly detail: string | undefined;
  readonly fields: FieldErrors | undefined;
  readonly reason: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly dependency: string | undefined;
  readonly rateLimit: RateLimitStatus | undefined;
  readonly principal: Principal | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly permission: string | undefined;
  readonly extra: Record<string, unknown> | undefined;

  constructor(type: ErrorType, publicMessage: string, options: AppErrorOptions = {}) {
    super(publicMessage, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.type = type;
    this.status = ERROR_STATUS[type];
    this.publicMessage = publicMessage;
    this.detail = options.detail;
    this.fields = options.fields;
    this.reason = options.reason;
    this.retryAfterSeconds =
      options.retryAfterSeconds ?? (options.rateLimit && options.rateLimit.retryAfterMs / 1000);
    this.dependency = options.dependency;
    this.rateLimit = options.rateLimit;
    this.principal = options.principal;
    this.headers = options.headers;
    this.permission = options.permission;
    this.extra = options.extra;
  }
}

export function isAppError(error: unknown, type?: ErrorType): error is AppError {
  return error instanceof AppError && (type === undefined || error.type === type);
}

/** One refused field: the message names the field and the rule. */
export function validationError(field: string, rule: string): AppError {
  return new AppError('validation_error', `${field}: ${rule}`, { fields: { [field]: [rule] } });
}

/** All refused fields of a request in one answer; the message names the first. */
export function validationErrors(fields: ReadonlyMap<string, string[]>): AppError {
  const [[name, [rule]]] = [...fields] as [[string, [string]]];
  const more = fields.size > 1 ? ` (and ${fields.size - 1} more)` : '';
  return new AppError('validation_error', `${name}: ${rule}${more}`, { fields: Object.fromEntries(fields) });
}

/** Every limiter's refusal says when to come again, or is told by the limit itself (contract README §1.2). */
export function rateLimitExceeded(
  publicMessage: string,
  wait: { readonly retryAfterSeconds: number } | { readonly rateLimit: RateLimitStatus },
): AppError {
  return new AppError('rate_limit_exceeded', publicMessage, wait);
}

export function permissionMissing(permission: string): AppError {
  return new AppError('forbidden', `This credential lacks the permission ${permission}`, { permission });
}

/** Unknown, foreign and wrong-mode rows all answer with this one text (contract README §1.2). */
export function notFound(what = 'Resource'): AppError {
  return new AppError('not_found', `${what} not found`);
}
