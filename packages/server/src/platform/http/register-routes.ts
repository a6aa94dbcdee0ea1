import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { assert } from '../../kernel/assert.js';
import { validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import type { AuthenticateCaller } from './caller.js';
import { envelope } from './envelope.js';
import { type Answer, type Idempotency, idempotencyKeyOf, type KeyedAct } from './idempotency.js';
import { checkTexts, isJsonMediaType, parseJsonBody, unsupportedMediaType } from './json-body.js';
import type { RouteDefinition, RouteRequest } from './route.js';
import { strict, validateAll } from './validate.js';

export interface RoutesDeps {
  readonly authenticate: AuthenticateCaller;
  readonly idempotency: Idempotency;
}

/**
 * Registers definitions in a Fastify scope of their own. The order of checks of auth.md §5 is the order of Fastify's
 * hooks: version, credential and permission in `onRequest`, before a byte of the body is read; media type and size in
 * the parser; then the idempotency key, which is judged by the body's bytes; then JSON and the schemas.
 */
export function registerRoutes(
  app: FastifyInstance,
  routes: readonly RouteDefinition[],
  deps: RoutesDeps,
): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    if (body.length > 0 && !isJsonMediaType(request.headers['content-type'] ?? ''))
      throw unsupportedMediaType();
    return body;
  });
  for (const definition of routes) registerRoute(app, definition, deps);
}

function registerRoute(
  app: FastifyInstance,
  definition: RouteDefinition,
  { authenticate, idempotency }: RoutesDeps,
): void {
  const { method, path, audit } = definition;
  const actOf = createAct(definition);
  app.route({
    method,
    url: path,
    bodyLimit: definition.bodyBytesMax ?? LIMITS.managementBodyBytesMax,
    onRequest: async (request) => {
      refuseQueryCredential(request);
      await authenticate(request, definition.permission);
      idempotencyKeyOf(method, request.raw.headers);
      refuseForeignMediaType(request);
    },
    handler: async (request, reply) => {
      const { caller } = request;
      assert(caller, 'a route ran without a caller');
      const act = actOf(request);
      const key = idempotencyKeyOf(method, request.raw.headers);
      if (key === undefined) return send(reply, definition, act.answerTo(await act.run(caller)).answer);
      const call = { caller, key, method, ...targetOf(request), body: bodyOf(request), audit };
      return send(reply, definition, await idempotency.answer(call, act));
    },
  });
}

/** The handler and the writing of its answer, which an idempotency key lets happen at another time or not at all. */
function createAct(definition: RouteDefinition): (request: FastifyRequest) => KeyedAct {
  const { status = 200, notReplayed = [] } = definition;
  const check = requestCheck(definition);
  const enveloped = envelope(definition);
  return (request) => {
    let checked: CheckedRequest | undefined;
    return {
      async run(caller) {
        checked = { caller, ...check(request) };
        return definition.handle(checked);
      },
      answerTo(result) {
        assert(checked, 'an answer before its call');
        const wired = definition.wire ? definition.wire(result, checked) : result;
        const whole = enveloped(wired, request.id);
        const body = JSON.stringify(whole);
        const kept = notReplayed.length === 0 ? body : JSON.stringify(without(whole, notReplayed));
        return { answer: { status, body, requestId: request.id, isReplay: false }, kept };
      },
    };
  };
}

function without(whole: object, fields: readonly string[]): object {
  const { data } = whole as { data: object };
  return { ...whole, data: { ...data, ...Object.fromEntries(fields.map((field) => [field, null])) } };
}

function send(reply: FastifyReply, definition: RouteDefinition, answer: Answer): FastifyReply {
  if (definition.noStore && answer.status < 400) reply.header('cache-control', 'no-store');
  if (answer.isReplay) {
    // The answer is that of the first call, its id in header and body alike; the log joins the two calls.
    reply.header('x-request-id', answer.requestId).header('x-idempotent-replay', 'true');
    const { id, log } = reply.request;
    log.info({ request_id: id, replayed_request_id: answer.requestId }, 'answer replayed');
  }
  reply.code(answer.status).header('content-type', 'application/json; charset=utf-8');
  return reply.send(answer.body);
}

function targetOf(request: FastifyRequest): { path: string; query: string } {
  const [path = '', ...query] = (request.raw.url ?? '').split('?');
  return { path, query: query.join('?') };
}

const NO_BODY = Buffer.alloc(0);

function bodyOf(request: FastifyRequest): Buffer {
  return (request.body as Buffer | undefined) ?? NO_BODY;
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

type CheckedRequest = RouteRequest<undefined, undefined, undefined>;

function requestCheck(
  definition: RouteDefinition,
): (request: FastifyRequest) => Omit<CheckedRequest, 'caller'> {
  const params = definition.params ?? z.unknown();
  const query = strict(definition.query ?? z.object({}));
  const body = strict(definition.body ?? z.object({}));
  return (request) => {
    const sent = parseJsonBody(bodyOf(request));
    checkTexts(request.params, 'path');
    checkTexts(request.query, 'query');
    const [validParams, validQuery, validBody] = validateAll([
      { schema: params, value: request.params, rootName: 'path' },
      { schema: query, value: { ...(request.query as object) }, rootName: 'query' },
      { schema: body, value: sent ?? {}, rootName: 'body' },
    ]);
    // `RouteDefinition` in a list has forgotten its schemas; `route()` tied them to the handler's types.
    return { params: validParams, query: validQuery, body: validBody } as Omit<CheckedRequest, 'caller'>;
  };
}
