import { type IncomingMessage, METHODS, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import Fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type HookHandlerDoneFunction,
} from 'fastify';
import type { Clock } from '../../kernel/clock.js';
import { AppError, notFound } from '../../kernel/errors.js';
import type { IdSource } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Caller } from '../../kernel/principal.js';
import type { Logger } from '../log/logger.js';
import { maskCredentials } from '../log/mask.js';
import type { RequestLog } from '../log/request-log.js';
import type { Instruments } from '../telemetry/instruments.js';
import type { RequestTrace, Tracing } from '../telemetry/tracing.js';
import { boundBody, CONNECTION_LIMITS, type ConnectionLimits, limitConnections } from './connections.js';
import { replyWithError } from './error-handler.js';
import { framingFault } from './framing.js';
import { refuseMalformed } from './malformed.js';
import { createMethodTable } from './method-table.js';
import { createSourceReader, NO_TRUSTED_PEERS, type ReadSource, type TrustedPeers } from './read-source.js';
import type { Refusal, RequestMetrics } from './request-metrics.js';
import type { ConnectionSource } from './request-source.js';
import type { TlsListener } from './tls-listener.js';

declare module 'fastify' {
  interface FastifyInstance {
    readonly logger: Logger;
    /** Of the path of a request that found none. */
    readonly allowedMethods: (request: FastifyRequest) => string[];
    /**
     * Asked of every request before an endpoint serves it, in their order. True: it is taken, and all that is left of it is
     * the taker's. `isRouted` is false where its path is one that no endpoint can have: badly encoded, or with a segment too long.
     */
    readonly takers: ((request: FastifyRequest, reply: FastifyReply, isRouted: boolean) => boolean)[];
    /** One for all answers. */
    readonly logAnswerFailure: (error: Error) => void;
  }
  interface FastifyRequest {
    /** Set by the caller step; `null` until then and on calls without a credential. */
    caller: Caller | null;
    source: ConnectionSource;
    /** With what it was refused; `null` while it is not. */
    refusal: Refusal | null;
    /** What logs and metrics know it by, where the path holds a credential or is an upstream's; `null` = the path. */
    knownAs: string | null;
    /** `null` where no traces are kept. */
    trace: RequestTrace | null;
  }
}

export interface HttpServerDeps {
  readonly logger: Logger;
  readonly requestLog: RequestLog;
  readonly ids: IdSource;
  readonly clock: Clock;
  readonly metrics?: RequestMetrics;
  /** Where connections are counted. */
  readonly instruments?: Instruments;
  readonly connectionLimits?: ConnectionLimits;
  /** Nobody's word is taken unless it says so. */
  readonly trustedPeers?: TrustedPeers;
  readonly tracing?: Tracing | null;
  /** The path that a request is served by. */
  readonly rewriteUrl?: (request: IncomingMessage) => string;
}

const INBOUND_ID_CHARACTERS_MAX = 128;

/**
 * As every request begins. Decorations give it to those that are routed; those whose path no endpoint can have are made by
 * Fastify of the class without them, and would have `undefined` where all code asks for `null`.
 */
const UNDECIDED = {
  caller: null,
  refusal: null,
  knownAs: null,
  trace: null,
} satisfies Partial<FastifyRequest>;

/** The one Fastify instance: request ids, error shape, 404 and 405, one log line a request. No routes of its own. */
export function createHttpServer(deps: HttpServerDeps): FastifyInstance {
  const limits = deps.connectionLimits ?? CONNECTION_LIMITS;
  const app: FastifyInstance = Fastify({
    // Our own line says it; with a logger of its own Fastify watches the end of each answer once more.
    logger: false,
    genReqId: () => deps.ids.uuid(),
    requestIdHeader: false,
    ...(deps.rewriteUrl && { rewriteUrl: deps.rewriteUrl }),
    trustProxy: false,
    return503OnClosing: false,
    requestTimeout: limits.requestMs,
    connectionTimeout: limits.silentMs,
    keepAliveTimeout: limits.keepAliveMs,
    bodyLimit: LIMITS.managementBodyBytesMax,
    routerOptions: { maxParamLength: LIMITS.tokenParamCharactersMax },
    http: {
      headersTimeout: limits.requestHeadMs,
      connectionsCheckingInterval: limits.checkEveryMs,
      maxHeaderSize: LIMITS.requestHeadersBytesMax,
      insecureHTTPParser: false,
      // Node would answer 400 with an empty body; `hosts.ts` answers in our shape.
      requireHostHeader: false,
    },
    frameworkErrors: (error, request, reply) => {
      Object.assign(request, UNDECIDED);
      begin(request, reply, (fault) => replyWithError(request, reply, fault ?? error), false);
    },
    clientErrorHandler: (error, socket) => refuseMalformed(deps, error, socket),
  });
  // Every method that Node parses, so that all can be answered, and forwarded by the proxy.
  const unknownMethods = METHODS.filter(
    (method) => method !== 'CONNECT' && !app.supportedMethods.includes(method),
  );
  for (const method of unknownMethods) app.addHttpMethod(method, { hasBody: true });
  const methods = createMethodTable();
  app.addHook('onRoute', (route) => methods.add(route.method, route.url));
  app.decorate('logger', deps.logger);
  app.decorate('allowedMethods', (request: FastifyRequest) => methods.allowed(pathOf(request)));
  app.decorate('takers', []);
  app.decorate('logAnswerFailure', (error: Error) => deps.logger.error({ err: error }, 'answer failed'));
  for (const [name, value] of Object.entries(UNDECIDED)) app.decorateRequest(name, value);
  // Set before a request is routed: nothing that is asked for it comes earlier.
  app.decorateRequest('source');
  const sourceOf = createSourceReader(deps.trustedPeers ?? NO_TRUSTED_PEERS, (peer, header) =>
    deps.logger.info({ peer, header }, 'client certificate header ignored: its peer may not send it'),
  );
  const begin = createBeginning(app, deps, sourceOf, limits.requestBodyMs);
  app.addHook('onRequest', (request, reply, done) => begin(request, reply, done, true));
  // Where there is no endpoint there is no body to read: an unknown path is 404 whatever is sent to it.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  app.setErrorHandler((error, request, reply) => replyWithError(request, reply, error));
  app.setNotFoundHandler((request, reply) => {
    const allow = app.allowedMethods(request);
    replyWithError(request, reply, allow.length === 0 ? notFound() : methodNotAllowed(request.method, allow));
  });
  limitConnections(app.server, limits.connectionsMax, deps.instruments);
  // One more than is allowed is kept, so that too many are seen: Node drops what is above without a word.
  app.server.maxHeadersCount = LIMITS.requestHeadersMax + 1;
  closeQueuedAnswers(app.server);
  // RFC 9110 §10.1.1 lets a server ignore an expectation it does not know; Node's 417 is not a status we have.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response));
  return app;
}

/**
 * Node tells only the answer whose turn it is that its connection has closed. Those of pipelined requests behind it
 * would wait for a client that has gone.
 */
function closeQueuedAnswers(server: FastifyInstance['server']): void {
  const queued = new WeakMap<Socket, Set<ServerResponse>>();
  server.on('request', ({ socket }, response: ServerResponse) => {
    if (response.socket !== null) return;
    let answers = queued.get(socket);
    if (!answers) {
      answers = new Set();
      queued.set(socket, answers);
      socket.once('close', () => {
        for (const answer of queued.get(socket) ?? []) {
          // From Node 22 on it tells those too.
          if (answer.socket !== null || answer.destroyed) continue;
          // As Node does it: whoever listens sees an answer that nobody broke off.
          answer.emit('close');
          answer.destroy();
        }
      });
    }
    answers.add(response);
    response.once('close', () => queued.get(socket)?.delete(response));
  });
}

function methodNotAllowed(method: string, allow: readonly string[]): AppError {
  return new AppError('method_not_allowed', `${method} is not allowed here`, { extra: { allow } });
}

type Begin = (
  request: FastifyRequest,
  reply: FastifyReply,
  done: HookHandlerDoneFunction,
  isRouted: boolean,
) => void;

/** What is done with every request before anything else. */
function createBeginning(
  app: FastifyInstance,
  deps: HttpServerDeps,
  sourceOf: ReadSource,
  bodyMs: number,
): Begin {
  const lastOf = watchLast(app.server);

  function refuse(request: FastifyRequest, reply: FastifyReply, fault: Error, done: HookHandlerDoneFunction) {
    boundBody(app, deps.clock, request, reply, bodyMs);
    done(fault);
  }

  /** A body that is taken has all the time of its request. */
  const handOver: Begin = (request, reply, done, isRouted) => {
    try {
      if (app.takers.some((take) => take(request, reply, isRouted))) return;
    } catch (error) {
      refuse(request, reply, error as Error, done);
      return;
    }
    boundBody(app, deps.clock, request, reply, bodyMs);
    done();
  };

  return (request, reply, done, isRouted) => {
    const { raw } = request;
    if ((lastOf.get(raw.socket) ?? raw) !== raw) {
      // Never carried out; its answer, which nobody waits for, ends with the connection.
      reply.hijack();
      return;
    }
    request.source = sourceOf(raw);
    watchEnd(app, deps, request, reply.raw);
    reply.header('x-request-id', request.id);
    const fault = faultOf(raw, lastOf);
    if (fault) {
      refuse(request, reply, fault, done);
    } else if (raw.headers['transfer-encoding'] === undefined) {
      handOver(request, reply, done, isRouted);
    } else {
      // Node trims `chunked<tab>` yet does not read chunks then; the parser's complaint about what follows comes in
      // this turn, and must win over our answer, else peers disagree on where the message ends (case P03).
      setImmediate(() => {
        if (!raw.socket.destroyed) handOver(request, reply, done, isRouted);
      });
    }
  };
}

function faultOf(raw: IncomingMessage, lastOf: WeakMap<Socket, IncomingMessage>): AppError | null {
  const fault = lastOf.has(raw.socket) ? framingFault(raw) : null;
  if (fault) return fault;
  return raw.url?.startsWith('/')
    ? null
    : new AppError('validation_error', 'The request target must be a path');
}

/**
 * Connections of a message whose end is in doubt, with that message: what follows it there may be part of it, or of
 * another. Looked at before anything is routed, which a malformed path is not.
 */
function watchLast(server: FastifyInstance['server']): WeakMap<Socket, IncomingMessage> {
  const lastOf = new WeakMap<Socket, IncomingMessage>();
  server.prependListener('request', (request, response: ServerResponse) => {
    if (lastOf.has(request.socket)) return;
    // Node's parser drops what came in one piece with an upgrade, so that the next piece may begin within a request.
    if (framingFault(request) === null && request.headers.upgrade === undefined) return;
    lastOf.set(request.socket, request);
    response.shouldKeepAlive = false;
  });
  return lastOf;
}

function pathOf(request: FastifyRequest): string {
  const url = request.raw.url ?? '/';
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** One line a request, when the answer is out or the client has gone. No query, header or body. */
function watchEnd(
  app: FastifyInstance,
  deps: HttpServerDeps,
  request: FastifyRequest,
  response: ServerResponse,
): void {
  const { clock, requestLog, metrics, tracing } = deps;
  // A write behind the end would otherwise end the process.
  response.on('error', app.logAnswerFailure);
  const startedMs = clock.monotonicMs();
  if (tracing) request.trace = tracing.begin(request.raw, request.id);
  response.once('close', () => {
    const { caller, refusal } = request;
    const principal = caller?.principal;
    const durationMs = clock.monotonicMs() - startedMs;
    const { knownAs } = request;
    metrics?.(request.method, knownAs ?? request.raw.url ?? '', response, refusal, durationMs);
    request.trace?.end(knownAs ?? request.routeOptions.url, response, refusal?.type ?? null, caller);
    const inboundId = request.raw.headers['x-request-id'];
    requestLog({
      method: request.method,
      path: knownAs ?? maskCredentials(pathOf(request).slice(0, LIMITS.logPathCharactersMax)),
      status: response.statusCode,
      durationMs,
      requestId: request.id,
      tenant: principal?.tenantSlug,
      keyId: principal?.keyId ?? undefined,
      userId: principal?.userId ?? undefined,
      oauthTokenId: principal?.kind === 'oauth_token' ? principal.tokenId : undefined,
      inboundRequestId:
        typeof inboundId === 'string'
          ? maskCredentials(inboundId.slice(0, INBOUND_ID_CHARACTERS_MAX))
          : undefined,
      isAborted: !response.writableEnded,
    });
    // A stop has ended the connections that were idle; this one would be kept alive. Not at once: it is idle only when
    // Node has let go of the answer.
    if (!app.server.listening) setImmediate(() => app.server.closeIdleConnections());
  });
}

/**
 * Stops accepting, ends idle connections, waits for the calls in flight, and destroys what is left after `timeoutMs`.
 */
export async function closeHttpServer(
  app: FastifyInstance,
  clock: Clock,
  timeoutMs: number,
  tls: TlsListener | null = null,
): Promise<void> {
  const cancel = clock.setTimer(timeoutMs, () => {
    app.server.closeAllConnections();
    tls?.destroyConnections();
  });
  await Promise.all([app.close(), tls?.close()]);
  cancel();
}
