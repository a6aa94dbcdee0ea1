import type { ServerResponse } from 'node:http';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, type FieldErrors } from '../../kernel/errors.js';
import type { Principal } from '../../kernel/principal.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';
import { maskCredentials } from '../log/mask.js';
import { payloadTooLarge, unsupportedMediaType } from './json-body.js';
import { rateLimitHeaders, rateLimitMember } from './rate-limit-headers.js';

interface ErrorAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

const RETRY_AFTER_DEFAULT_SECONDS = 1;

/** The common error shape (contract README §1.1). Nothing else writes it; `AppError.detail` never enters it. */
export function errorAnswer(
  error: AppError,
  requestId: string,
  rateLimit: RateLimitStatus | null = null,
  principal: Principal | null = null,
): ErrorAnswer {
  const retryAfter = retryAfterSeconds(error);
  const { allow: _, ...extra } = error.extra ?? {};
  const members: Record<string, unknown> = {
    type: error.type,
    message: error.publicMessage,
    request_id: requestId,
    ...(error.dependency === undefined ? {} : { dependency: error.dependency }),
    ...(error.status === 503 ? { retry_after: retryAfter } : {}),
    ...(error.rateLimit ? { limit: rateLimitMember(error.rateLimit) } : {}),
    ...extra,
  };
  const body: { error: typeof members; fields?: FieldErrors } = { error: members };
  if (error.fields) body.fields = error.fields;
  return {
    status: error.status,
    headers: {
      ...errorHeaders(error, requestId, retryAfter),
      ...scopeChallenge(error, principal),
      ...rateLimitHeaders(error.rateLimit ?? rateLimit),
    },
    body: JSON.stringify(body),
  };
}

export function retryAfterSeconds(error: AppError): number | undefined {
  const given = error.retryAfterSeconds;
  if (given !== undefined) return Math.max(1, Math.ceil(given));
  return error.status === 503 || error.status === 429 ? RETRY_AFTER_DEFAULT_SECONDS : undefined;
}

function errorHeaders(
  error: AppError,
  requestId: string,
  retryAfter: number | undefined,
): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': 'application/json; charset=utf-8',
    'x-request-id': requestId,
  };
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter);
  // RFC 6750 §3: no error code when the request carried no token at all.
  if (error.type === 'authentication_required' || error.type === 'invalid_credentials')
    headers['www-authenticate'] = 'Bearer';
  else if (error.status === 401) headers['www-authenticate'] = 'Bearer error="invalid_token"';
  const allow = error.type === 'method_not_allowed' ? error.extra?.['allow'] : undefined;
  if (Array.isArray(allow)) headers['allow'] = allow.join(', ');
  return { ...headers, ...error.headers };
}

/** RFC 6750 §3.1: of an access token that is good, and lacks what the call needs. */
function scopeChallenge({ permission }: AppError, principal: Principal | null): Record<string, string> {
  if (permission === undefined || principal?.kind !== 'oauth_token') return {};
  const scheme = principal.isBound ? 'DPoP' : 'Bearer';
  return { 'www-authenticate': `${scheme} error="insufficient_scope", scope="${permission}"` };
}

/** Logs what operators need and answers the caller. Safe to call once an answer has begun: then it ends it hard. */
export function replyWithError(request: FastifyRequest, reply: FastifyReply, cause: unknown): void {
  const error = toAppError(cause);
  logError(request, error);
  if (reply.raw.headersSent) {
    reply.raw.destroy();
    return;
  }
  const { caller } = request;
  const answer = errorAnswer(error, request.id, caller?.rateLimit, caller?.principal);
  for (const name of ['cache-control', 'content-length', 'content-encoding']) reply.removeHeader(name);
  if (error.type === 'payload_too_large') reply.header('connection', 'close');
  reply.code(answer.status).headers(answer.headers).send(answer.body);
}

/** The same for an answer that Fastify no longer owns (`reply.hijack()`): the proxy's streams. */
export function writeErrorRaw(
  request: FastifyRequest,
  response: ServerResponse,
  cause: unknown,
  rateLimit: RateLimitStatus | null = null,
  block: Readonly<Record<string, string>> = {},
): void {
  const error = toAppError(cause);
  logError(request, error);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const answer = errorAnswer(error, request.id, rateLimit, request.caller?.principal);
  const length = String(Buffer.byteLength(answer.body));
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.writeHead(answer.status, { ...answer.headers, ...block, 'content-length': length });
  response.end(request.method === 'HEAD' ? undefined : answer.body);
}

const FRAMEWORK_ERRORS: Record<string, () => AppError> = {
  FST_ERR_CTP_BODY_TOO_LARGE: () => payloadTooLarge(),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () => unsupportedMediaType(),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () =>
    new AppError('validation_error', 'Request body size did not match Content-Length'),
  // Node's word for a client that left before its body was whole; the database's and upstreams' are wrapped.
  ECONNRESET: () => new AppError('validation_error', 'The request ended before its body was whole'),
  // Where no tree of paths has the method: those of RTSP, which Node's parser lets through.
  FST_ERR_NOT_FOUND: () => new AppError('validation_error', 'The request method is not one of HTTP'),
  FST_ERR_BAD_URL: () => new AppError('validation_error', 'The path is not valid percent-encoded UTF-8'),
  FST_ERR_MAX_PARAM_LENGTH: () => new AppError('not_found', 'Resource not found'),
};

/** What is no AppError is a bug, or the framework's own refusal of a request. */
export function toAppError(cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const code = (cause as Partial<FastifyError> | null)?.code;
  const known = typeof code === 'string' ? FRAMEWORK_ERRORS[code] : undefined;
  return known ? known() : new AppError('internal_error', 'An internal error occurred', { cause });
}

/** What the request's log line, metrics and trace need to know of it. */
export function logError(request: FastifyRequest, error: AppError): void {
  request.refusal = error;
  if (error.status >= 500) {
    const fields = { request_id: request.id, type: error.type, detail: maskedDetail(error) };
    if (error.type === 'internal_error')
      request.server.logger.error({ ...fields, err: error.cause ?? error }, 'internal error');
    else
      request.server.logger.warn(
        { ...fields, ...(error.cause ? { err: error.cause } : {}) },
        'request failed',
      );
  } else if (error.detail !== undefined) {
    request.server.logger.info(
      { request_id: request.id, type: error.type, detail: maskedDetail(error) },
      'request refused',
    );
  }
}

function maskedDetail(error: AppError): string | undefined {
  return error.detail === undefined ? undefined : maskCredentials(error.detail);
}
