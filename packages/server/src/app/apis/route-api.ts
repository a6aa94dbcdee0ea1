import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { RouteEntry, RouteProxy } from '../../capabilities/proxy/index.js';
import type { RequestId } from '../../kernel/ids.js';
import type { Caller } from '../../kernel/principal.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';
import { visitorOf } from '../../platform/http/caller.js';
import type { Hosts, ResolvedHost } from '../../platform/http/hosts.js';
import { routeEntry } from './route-entry.js';
import { createCallsUnderWay } from './under-way.js';

export interface RouteApiDeps {
  readonly proxy: RouteProxy;
  readonly hosts: Hosts;
  /** Version header, host, credential and mode; the rest is the pipeline's to judge. */
  authenticate(request: FastifyRequest, rawHeaders: readonly string[]): Promisable<Caller>;
  /** Version header and host alone. */
  host(request: FastifyRequest): ResolvedHost;
  refuse(
    request: FastifyRequest,
    response: ServerResponse,
    cause: unknown,
    rateLimit: RateLimitStatus | null,
    block: Readonly<Record<string, string>>,
  ): void;
}

export interface RouteApi {
  /** Resolves when every call that has begun is over and has its log row queued. */
  settled(): Promise<void>;
  isCall(request: IncomingMessage): boolean;
}

/** Where logs, metrics and traces find calls of routes, whose own paths are anybody's. */
const KNOWN_AS = '/proxy';

/**
 * Every entry of a call of a route (dataplane §5.2). Looked for before anything is routed to an endpoint: with the header
 * a call may have any path.
 */
export function registerRouteApi(app: FastifyInstance, deps: RouteApiDeps): RouteApi {
  const underWay = createCallsUnderWay();
  function take(request: FastifyRequest, reply: FastifyReply): boolean {
    const entry = routeEntry(request.raw, deps.hosts);
    if (entry === null) return false;
    reply.hijack();
    request.knownAs = KNOWN_AS;
    const call = deps.proxy.serveRoute(exchangeOf(deps, request, reply.raw, entry));
    underWay.add(call);
    return true;
  }
  app.addHook('onRequest', (request, reply, done) => {
    if (!take(request, reply)) done();
  });
  app.unrouted.push(take);
  return {
    settled: underWay.settled,
    isCall: (request) => routeEntry(request, deps.hosts) !== null,
  };
}

function exchangeOf(
  deps: RouteApiDeps,
  request: FastifyRequest,
  response: ServerResponse,
  entry: RouteEntry,
): Parameters<RouteProxy['serveRoute']>[0] {
  return {
    request: request.raw,
    response,
    requestId: request.id as RequestId,
    trace: request.trace,
    entry,
    source: request.source,
    authenticate: (rawHeaders) => deps.authenticate(request, rawHeaders),
    host: () => deps.host(request),
    recognise(principal) {
      const caller: Caller = { principal, ...visitorOf(request) };
      request.caller = caller;
      return caller;
    },
    refusedCaller: () => request.caller,
    refuse: (cause, rateLimit, block) => deps.refuse(request, response, cause, rateLimit, block),
  };
}
