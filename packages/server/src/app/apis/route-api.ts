import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { RouteEntry, RouteExchange, RouteProxy } from '../../capabilities/proxy/index.js';
import type { RequestId } from '../../kernel/ids.js';
import type { Caller, Principal } from '../../kernel/principal.js';
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
    const call = deps.proxy.serveRoute(new RouteRequest(deps, request, reply.raw, entry));
    underWay.add(call);
    return true;
  }
  app.takers.push(take);
  return {
    settled: underWay.settled,
    isCall: (request) => routeEntry(request, deps.hosts) !== null,
  };
}

/** A class, so that what a call hands over is made with one object and no function of its own. */
class RouteRequest implements RouteExchange {
  readonly #deps: RouteApiDeps;
  readonly #request: FastifyRequest;
  readonly request: IncomingMessage;
  readonly requestId: RequestId;
  readonly trace: FastifyRequest['trace'];
  readonly source: FastifyRequest['source'];

  constructor(
    deps: RouteApiDeps,
    request: FastifyRequest,
    readonly response: ServerResponse,
    readonly entry: RouteEntry,
  ) {
    this.#deps = deps;
    this.#request = request;
    this.request = request.raw;
    this.requestId = request.id as RequestId;
    this.trace = request.trace;
    this.source = request.source;
  }

  authenticate(rawHeaders: readonly string[]): Promisable<Caller> {
    return this.#deps.authenticate(this.#request, rawHeaders);
  }

  host(): ResolvedHost {
    return this.#deps.host(this.#request);
  }

  recognise(principal: Principal): Caller {
    const caller: Caller = { principal, ...visitorOf(this.#request) };
    this.#request.caller = caller;
    return caller;
  }

  refusedCaller(): Caller | null {
    return this.#request.caller;
  }

  refuse(cause: unknown, rateLimit: RateLimitStatus | null, block: Readonly<Record<string, string>>): void {
    this.#deps.refuse(this.#request, this.response, cause, rateLimit, block);
  }
}
