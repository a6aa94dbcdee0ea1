import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { assert } from '../../kernel/assert.js';
import { validationError } from '../../kernel/errors.js';
import { writeJson } from '../../kernel/json-text.js';
import type { Caller, CapabilityCaller, SessionCaller } from '../../kernel/principal.js';
import type { CallerSteps } from './caller.js';
import { allowOrigin, registerPreflight } from './cross-origin.js';
import { envelope } from './envelope.js';
import { type Answer, type Idempotency, idempotencyKeyOf, type KeyedAct } from './idempotency.js';
import { checkTexts, isJsonMediaType, parseJsonBody, unsupportedMediaType } from './json-body.js';
import type { MountedRoute } from './mounts.js';
import { rateLimitHeaders } from './rate-limit-headers.js';
import { type Access, bodyBytesMaxOf, type RouteDefinition, type RouteRequest, TextStream } from './route.js';
import { STEP_UP_HEADER, type StepUpCheck, type StepUpHolder } from './step-up.js';
import { strict, validateAll } from './validate.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller of whichever access its route has; `route()` tied the two together. */
    identified: AnyCaller | null;
  }
}

type AnyCaller = Caller & SessionCaller & CapabilityCaller;

export interface RoutesDeps {
  readonly steps: CallerSteps;
  readonly idempotency: Idempotency;
  /** Of `/admin`. */
  readonly stepUp?: StepUpCheck;
}

/**
 * Registers the routes of one mount in a Fastify scope of their own. The order of checks of auth.md §5 is the order of
 * Fastify's hooks: version, credential, limits, permission and step-up in `onRequest`, before a byte of the body is read; media
 * type and size in the parser; then the idempotency key, which is judged by the body's bytes; then JSON and the schemas.
 */
export function registerRoutes(
  app: FastifyInstance,
  routes: readonly MountedRoute[],
  deps: RoutesDeps,
): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    if (body.length > 0 && !isJsonMediaType(request.headers['content-type'] ?? ''))
      throw unsupportedMediaType();
    return body;
  });
  app.decorateRequest('identified', null);
  for (const mounted of routes) {
    registerRoute(app, mounted, deps);
    if (mounted.definition.capability) registerPreflight(app, mounted);
  }
}

function registerRoute(
  app: FastifyInstance,
  mounted: MountedRoute,
  { steps, idempotency, stepUp }: RoutesDeps,
): void {
  const { definition } = mounted;
  const { method, audit, access = 'tenant', worksSealed = false } = definition;
  const identify = callerStep(mounted, steps);
  const rule = definition.stepUp;
  assert(!rule || stepUp, `${mounted.path}: nobody checks its step-up`);
  const actOf = createAct(mounted, stepUp);
  // A record belongs to a credential of a tenant; who signs in has none yet.
  const keyOf = (request: FastifyRequest) =>
    access === 'tenant' ? idempotencyKeyOf(method, request.raw.headers) : undefined;
  app.route({
    method,
    url: mounted.path,
    bodyLimit: bodyBytesMaxOf(definition),
    onRequest: async (request, reply) => {
      refuseQueryCredential(request);
      const caller = (await identify(request, reply)) as AnyCaller;
      request.identified = caller;
      if (rule) await stepUp!.check(stepUpHolder(caller), stepUpTokenOf(request), rule);
      keyOf(request);
      refuseForeignMediaType(request);
    },
    handler: async (request, reply) => {
      const { identified: caller } = request;
      assert(caller, 'a route ran without a caller');
      const act = actOf(request);
      const key = keyOf(request);
      if (key === undefined) {
        const result = await act.run(caller);
        if (result instanceof TextStream) return sendStream(reply, definition, result);
        for (const cookie of definition.cookies?.(result as never, request.source) ?? [])
          reply.header('set-cookie', cookie);
        if (isKnown(request, reply, definition.etag?.(result as never))) return sendNotModified(reply);
        return send(reply, definition, act.answerTo(result).answer);
      }
      const call = {
        caller,
        key,
        method,
        ...targetOf(request),
        body: bodyOf(request),
        audit,

        worksSealed,
      };
      return send(reply, definition, await idempotency.answer(call, act));
    },
  });
}

type Identify = (request: FastifyRequest, reply: FastifyReply) => unknown;

function callerStep({ definition, path }: MountedRoute, steps: CallerSteps): Identify {
  const { access = 'tenant', permission, capability } = definition;
  if (capability) return capabilityStep(path, capability, permission, steps);
  assert(access !== 'capability', `${path}: nothing says which act its tokens are for`);
  if (access === 'tenant') return (request: FastifyRequest) => steps.tenant(request, definition);
  const step = steps[access];
  assert(step && permission === null, `${path}: a permission is held in a tenant, a session under /admin`);
  return step;
}

function capabilityStep(
  path: string,
  { action, readers }: NonNullable<RouteDefinition['capability']>,
  permission: string | null,
  { capability: step }: CallerSteps,
): Identify {
  assert(step && permission === null, `${path}: its token says what may be done`);
  return (request, reply) => {
    const allow = (origin: string) => allowOrigin(reply, origin);
    if (readers === 'any') allow('*');
    else reply.header('vary', 'Origin');
    return step(request, action, readers === 'any' ? () => {} : allow);
  };
}

/** A principal under `/admin` is a user; of a session the caller itself is the holder. */
function stepUpHolder(caller: AnyCaller): StepUpHolder {
  const { principal } = caller;
  if (principal === undefined) return caller;
  assert(principal.kind === 'user', 'a step-up of somebody who is no user');
  return { ...principal, tenantId: principal.scope.tenantId };
}

function stepUpTokenOf({ raw }: FastifyRequest): string | undefined {
  const given = raw.headers[STEP_UP_HEADER];
  return typeof given === 'string' && given !== '' ? given : undefined;
}

/** The handler and the writing of its answer, which an idempotency key lets happen at another time or not at all. */
function createAct(
  mounted: MountedRoute,
  stepUp: StepUpCheck | undefined,
): (request: FastifyRequest) => KeyedAct {
  const { definition, body: shape } = mounted;
  const { status = 200, notReplayed = [], jsonTexts } = definition;
  const write = jsonTexts ? writeJson : JSON.stringify;
  const check = requestCheck(definition);
  const enveloped = envelope(mounted);
  return (request) => {
    let checked: CheckedRequest | undefined;
    return {
      async run(caller) {
        // `route()` tied the definition's access to the step that identified the caller.
        const { source, raw } = request;
        checked = { caller: caller as AnyCaller, source, headers: raw.headers, ...check(request) };
        // Not before the call is known to be well formed, and of two at once by one alone.
        if (definition.stepUp?.isConsumed) await stepUp!.consume(stepUpTokenOf(request)!, definition.stepUp);
        return definition.handle(checked);
      },
      answerTo(result) {
        assert(checked, 'an answer before its call');
        const wired = definition.wire ? definition.wire(result, checked) : result;
        const whole = enveloped(wired, request.id);
        const body = definition.text ? String(whole) : write(whole);
        const kept = notReplayed.length === 0 ? body : JSON.stringify(without(whole, shape, notReplayed));
        const answered = definition.isPending?.(result as never) ? 202 : status;
        return { answer: { status: answered, body, requestId: request.id, isReplay: false }, kept };
      },
    };
  };
}

/** A field that the answer has not got is none of the replay's either. */
function without(whole: unknown, shape: MountedRoute['body'], fields: readonly string[]): object {
  const emptied = (data: object) =>
    Object.fromEntries(
      Object.entries(data).map(([name, value]) => [name, fields.includes(name) ? null : value]),
    );
  if (shape === 'bare') return emptied(whole as object);
  const { data, ...rest } = whole as { data: object };
  return { data: emptied(data), ...rest };
}

function send(reply: FastifyReply, definition: RouteDefinition, answer: Answer): FastifyReply {
  reply.headers(rateLimitHeaders(reply.request.caller?.rateLimit));
  if (definition.noStore && answer.status < 400) reply.header('cache-control', 'no-store');
  if (answer.isReplay) {
    // The answer is that of the first call, its id in header and body alike; the log joins the two calls.
    reply.header('x-request-id', answer.requestId).header('x-idempotent-replay', 'true');
    const ids = { request_id: reply.request.id, replayed_request_id: answer.requestId };
    reply.server.logger.info(ids, 'answer replayed');
  }
  reply.code(answer.status).header('content-type', `${definition.text ?? 'application/json'}; charset=utf-8`);
  return reply.send(answer.body);
}

/** Whether the caller has what it would be sent; sets the validator. */
function isKnown(request: FastifyRequest, reply: FastifyReply, etag: string | undefined): boolean {
  if (etag === undefined) return false;
  // It depends on who asks.
  reply.header('etag', etag).header('cache-control', 'private, no-cache');
  const named = request.raw.headers['if-none-match'];
  if (named === undefined) return false;
  return named.trim() === '*' || named.split(',').some((one) => opaqueTag(one) === opaqueTag(etag));
}

/** Compared weakly (RFC 9110 §8.8.3.2); no tag of ours holds a comma. */
function opaqueTag(text: string): string {
  return text.trim().replace(/^W\//, '');
}

function sendNotModified(reply: FastifyReply): FastifyReply {
  reply.headers(rateLimitHeaders(reply.request.caller?.rateLimit));
  return reply.code(304).send();
}

function sendStream(reply: FastifyReply, definition: RouteDefinition, stream: TextStream): FastifyReply {
  reply.headers(rateLimitHeaders(reply.request.caller?.rateLimit));
  if (definition.noStore) reply.header('cache-control', 'no-store');
  reply.header('content-disposition', `attachment; filename="${stream.filename}"`);
  reply.code(definition.status ?? 200).header('content-type', `${definition.text}; charset=utf-8`);
  const body = Readable.from(stream.pieces, { highWaterMark: 1 });
  body.once('close', stream.release);
  return reply.send(body);
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

type CheckedRequest = RouteRequest<undefined, undefined, undefined, Access>;
type CheckedParts = Omit<CheckedRequest, 'caller' | 'source' | 'headers'>;

function requestCheck(definition: RouteDefinition): (request: FastifyRequest) => CheckedParts {
  const params = definition.params ?? z.unknown();
  const query = strict(definition.query ?? z.object({}));
  const body = strict(definition.body ?? z.object({}));
  return (request) => {
    const sent = parseJsonBody(bodyOf(request), definition.jsonTexts);
    checkTexts(request.params, 'path');
    checkTexts(request.query, 'query');
    const [validParams, validQuery, validBody] = validateAll([
      { schema: params, value: request.params, rootName: 'path' },
      { schema: query, value: { ...(request.query as object) }, rootName: 'query' },
      { schema: body, value: sent === undefined ? {} : sent, rootName: 'body' },
    ]);
    // `RouteDefinition` in a list has forgotten its schemas; `route()` tied them to the handler's types.
    return { params: validParams, query: validQuery, body: validBody } as CheckedParts;
  };
}
