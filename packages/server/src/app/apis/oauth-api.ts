import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import {
  formParams,
  invalidRequest,
  jsonParams,
  metadataOf,
  type OAuthAnswer,
  OAuthError,
  type OAuthRequest,
  type Params,
} from '../../capabilities/oauth/index.js';
import type { AppError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import { visitorOf } from '../../platform/http/caller.js';
import { logError, retryAfterSeconds, toAppError } from '../../platform/http/error-handler.js';
import type { Hosts } from '../../platform/http/hosts.js';
import { parseJsonBody } from '../../platform/http/json-body.js';
import type { Origins } from '../../platform/http/origins.js';
import type { Services } from '../services.js';

export interface OAuthApiDeps {
  readonly hosts: Hosts;
  readonly origins: Origins;
  readonly oauth: Services['oauth'];
}

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';

/** What an endpoint takes as its body: `/oauth/*` forms alone, the tenant host's JSON too (auth.md §2.1, §2.8). */
type BodyReader = (request: FastifyRequest) => Params;

/**
 * The endpoints of the authorization server: a scope of its own, because bodies are forms, answers bare and errors those
 * of RFC 6749 §5.2.
 */
export function createOAuthApi({ hosts, origins, oauth }: OAuthApiDeps): FastifyPluginAsync {
  function read(request: FastifyRequest, params: Params): OAuthRequest {
    const { raw } = request;
    const host = hosts.resolve(raw.rawHeaders, raw.httpVersion);
    return {
      method: request.method,
      rawHeaders: raw.rawHeaders,
      host,
      origin: origins.of(host),
      path: (raw.url ?? '').split('?', 1)[0]!,
      params,
      ...visitorOf(request),
    };
  }

  return async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      '*',
      { parseAs: 'buffer' },
      (_request: FastifyRequest, body: Buffer, done: (error: null, body: Buffer) => void) => done(null, body),
    );
    scope.setErrorHandler((error, request, reply) => refuse(request, reply, error));
    await scope.register(
      async (inner) => {
        // In the shape of this API: those of others would be in theirs.
        inner.setNotFoundHandler((request, reply) => refuse(request, reply, notHere(inner, request)));
        post(inner, '/token', formBody, (request) => oauth.tokenEndpoint.answer(request, 'management'));
        post(inner, '/introspect', formBody, async (request) => ({ body: await oauth.introspect(request) }));
        post(inner, '/revoke', formBody, async (request) => ({ body: await oauth.revoke(request) }));
        post(inner, '/device_authorization', formBody, async (request) => ({
          body: await oauth.consent.beginDevice(request),
        }));
      },
      { prefix: '/oauth' },
    );
    get(scope, '/.well-known/oauth-authorization-server', async ({ origin }) => ({
      body: metadataOf(origin, oauth.metadata),
    }));
    post(scope, '/v1/oauth/token', formOrJsonBody, async (request) => {
      // Not 404: the path is there, on the hosts of tenants (auth.md §2.8).
      if (request.host.kind !== 'tenant')
        throw new OAuthError('invalid_client', 'This endpoint is served on the host of a tenant');
      return oauth.tokenEndpoint.answer(request, 'gateway');
    });
  };

  type Answer = (request: OAuthRequest) => Promise<OAuthAnswer>;

  function post(scope: FastifyInstance, url: string, bodyOf: BodyReader, answer: Answer): void {
    scope.route({
      method: 'POST',
      url,
      bodyLimit: LIMITS.oauthBodyBytesMax,
      handler: async (request, reply) => send(reply, await answer(read(request, bodyOf(request)))),
    });
  }

  function get(scope: FastifyInstance, url: string, answer: Answer): void {
    scope.route({
      method: 'GET',
      url,
      handler: async (request, reply) => send(reply, await answer(read(request, NO_PARAMS))),
    });
  }
}

const NO_PARAMS: Params = new Map();

function formBody(request: FastifyRequest): Params {
  if (mediaTypeOf(request) !== FORM) throw invalidRequest(`The body must be ${FORM}`);
  return formParams(textOf(request));
}

function formOrJsonBody(request: FastifyRequest): Params {
  return mediaTypeOf(request) === JSON_TYPE ? jsonParams(parseJsonBody(bytesOf(request))) : formBody(request);
}

function mediaTypeOf({ raw }: FastifyRequest): string {
  return (raw.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase();
}

function bytesOf({ body }: FastifyRequest): Buffer {
  return (body as Buffer | undefined) ?? Buffer.alloc(0);
}

function textOf(request: FastifyRequest): string {
  return bytesOf(request).toString('utf8');
}

function send(reply: FastifyReply, { body, headers = {} }: OAuthAnswer): FastifyReply {
  return reply
    .headers(headers)
    .headers({
      'cache-control': 'no-store',
      pragma: 'no-cache',
      'content-type': 'application/json; charset=utf-8',
    })
    .send(JSON.stringify(body));
}

function notHere(scope: FastifyInstance, request: FastifyRequest): OAuthError {
  const allow = scope.allowedMethods(request);
  if (allow.length === 0) return new OAuthError('invalid_request', 'There is nothing here', { status: 404 });
  const text = `Only ${allow.join(', ')} is allowed here`;
  return new OAuthError('invalid_request', text, { status: 405, headers: { allow: allow.join(', ') } });
}

/** RFC 6749 §5.2; nothing else writes it. */
function refuse(request: FastifyRequest, reply: FastifyReply, cause: unknown): void {
  const error = cause instanceof OAuthError ? cause : oauthErrorOf(request, toAppError(cause));
  request.refusal = { type: error.code };
  const body = {
    error: error.code,
    error_description: error.description,
    // The shape of the AI plane names it twice (contract README §1.1).
    ...(error.code === 'ai_gateway_unavailable' && { code: error.code }),
  };
  send(reply.code(error.status), { body, headers: error.headers });
}

/** What floors below refuse in their own words, in those of this API. */
function oauthErrorOf(request: FastifyRequest, error: AppError): OAuthError {
  logError(request, error);
  const retryAfter = retryAfterSeconds(error);
  const headers: Record<string, string> =
    retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) };
  if (error.status === 503)
    return new OAuthError('temporarily_unavailable', error.publicMessage, { headers });
  if (error.status === 429) return new OAuthError('rate_limit_exceeded', error.publicMessage, { headers });
  if (error.status >= 500) return new OAuthError('server_error', error.publicMessage);
  return new OAuthError('invalid_request', error.publicMessage, {
    status: error.status === 413 || error.status === 404 ? error.status : 400,
    headers: error.status === 413 ? { connection: 'close' } : {},
  });
}
