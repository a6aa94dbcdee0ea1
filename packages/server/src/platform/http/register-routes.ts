import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { assert } from '../../kernel/assert.js';
import { validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import type { AuthenticateCaller } from './caller.js';
import { envelope } from './envelope.js';
import { checkTexts, isJsonMediaType, parseJsonBody, unsupportedMediaType } from './json-body.js';
import { rateLimitHeaders } from './rate-limit-headers.js';
import type { RouteDefinition } from './route.js';
import { strict, validateAll } from './validate.js';

/**
 * Registers definitions in a Fastify scope of their own. The order of checks of auth.md §5 is the order of Fastify's
 * hooks: version, credential, limits and permission in `onRequest`, before a byte of the body is read; media type, size and
 * JSON in the parser; then the schemas.
 */
export function registerRoutes(
  app: FastifyInstance,
  routes: readonly RouteDefinition[],
  authenticate: AuthenticateCaller,
): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    if (body.length === 0) return undefined;
    if (!isJsonMediaType(request.headers['content-type'] ?? '')) throw unsupportedMediaType();
    return parseJsonBody(body);
  });
  for (const definition of routes) registerRoute(app, definition, authenticate);
}

function registerRoute(
  app: FastifyInstance,
  definition: RouteDefinition,
  authenticate: AuthenticateCaller,
): void {
  const check = requestCheck(definition);
  const answer = envelope(definition);
  app.route({
    method: definition.method,
    url: definition.path,
    bodyLimit: definition.bodyBytesMax ?? LIMITS.managementBodyBytesMax,
    onRequest: async (request) => {
      refuseQueryCredential(request);
      await authenticate(request, definition);
      refuseForeignMediaType(request);
    },
    handler: async (request, reply) => {
      assert(request.caller, 'a route ran without a caller');
      const parts = check(request);
      const result = await definition.handle({ caller: request.caller, ...parts });
      reply.headers(rateLimitHeaders(request.caller.rateLimit));
      if (definition.noStore) reply.header('cache-control', 'no-store');
      reply.code(definition.status ?? 200).header('content-type', 'application/json; charset=utf-8');
      return reply.send(JSON.stringify(answer(result, request.id)));
    },
  });
}

/** auth.md §1.4: a token in the query is no credential, and would stand in logs on the way. */
function refuseQueryCredential(request: FastifyRequest): void {
  const query = request.query as Record<string, unknown>;
  if (query['access_token'] !== undefined)
    throw validationError('access_token', 'a credential is sent in a header, never in the query');
}

/** Before the body is read, so that 415 does not wait for an upload. */
function refuseForeignMediaType(request: FastifyRequest): void {
  const { headers } = request.raw;
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? '0') > 0;
  if (hasBody && !isJsonMediaType(headers['content-type'] ?? '')) throw unsupportedMediaType();
}

interface RequestParts {
  readonly params: undefined;
  readonly query: undefined;
  readonly body: undefined;
}

function requestCheck(definition: RouteDefinition): (request: FastifyRequest) => RequestParts {
  const params = definition.params ?? z.unknown();
  const query = strict(definition.query ?? z.object({}));
  const body = strict(definition.body ?? z.object({}));
  return (request) => {
    checkTexts(request.params, 'path');
    checkTexts(request.query, 'query');
    const [validParams, validQuery, validBody] = validateAll([
      { schema: params, value: request.params, rootName: 'path' },
      { schema: query, value: { ...(request.query as object) }, rootName: 'query' },
      { schema: body, value: request.body ?? {}, rootName: 'body' },
    ]);
    // `RouteDefinition` in a list has forgotten its schemas; `route()` tied them to the handler's types.
    return { params: validParams, query: validQuery, body: validBody } as RequestParts;
  };
}
