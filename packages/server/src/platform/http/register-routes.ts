import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { assert } from '../../kernel/assert.js';
import { validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Caller, SessionCaller } from '../../kernel/principal.js';
import type { CallerSteps } from './caller.js';
import { envelope } from './envelope.js';
import { checkTexts, isJsonMediaType, parseJsonBody, unsupportedMediaType } from './json-body.js';
import type { MountedRoute } from './mounts.js';
import { rateLimitHeaders } from './rate-limit-headers.js';
import type { RouteDefinition } from './route.js';
import { strict, validateAll } from './validate.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller of whichever access its route has; `route()` tied the two together. */
    identified: (Caller & SessionCaller) | null;
  }
}

/**
 * Registers the routes of one mount in a Fastify scope of their own. The order of checks of auth.md §5 is the order of
 * Fastify's hooks: version, credential, limits and permission in `onRequest`, before a byte of the body is read; media type,
 * size and JSON in the parser; then the schemas.
 */
export function registerRoutes(
  app: FastifyInstance,
  routes: readonly MountedRoute[],
  steps: CallerSteps,
): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    if (body.length === 0) return undefined;
    if (!isJsonMediaType(request.headers['content-type'] ?? '')) throw unsupportedMediaType();
    return parseJsonBody(body);
  });
  app.decorateRequest('identified', null);
  for (const mounted of routes) registerRoute(app, mounted, steps);
}

function registerRoute(app: FastifyInstance, mounted: MountedRoute, steps: CallerSteps): void {
  const { definition } = mounted;
  const identify = callerStep(mounted, steps);
  const check = requestCheck(definition);
  const answer = envelope(mounted);
  app.route({
    method: definition.method,
    url: mounted.path,
    bodyLimit: definition.bodyBytesMax ?? LIMITS.managementBodyBytesMax,
    onRequest: async (request) => {
      refuseQueryCredential(request);
      request.identified = (await identify(request)) as FastifyRequest['identified'];
      refuseForeignMediaType(request);
    },
    handler: async (request, reply) => {
      const { identified: caller } = request;
      assert(caller, 'a route ran without a caller');
      const { headers } = request.raw;
      const result = await definition.handle({ caller, headers, ...check(request) });
      reply.headers(rateLimitHeaders(request.caller?.rateLimit));
      if (definition.noStore) reply.header('cache-control', 'no-store');
      if (definition.cookies) reply.header('set-cookie', definition.cookies(result as never));
      reply.code(definition.status ?? 200).header('content-type', 'application/json; charset=utf-8');
      return reply.send(JSON.stringify(answer(result, request.id)));
    },
  });
}

function callerStep({ definition, path }: MountedRoute, steps: CallerSteps) {
  const { access = 'tenant', permission } = definition;
  if (access === 'tenant') return (request: FastifyRequest) => steps.tenant(request, definition);
  const step = steps[access];
  assert(step && permission === null, `${path}: a permission is held in a tenant, a session under /admin`);
  return step;
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
