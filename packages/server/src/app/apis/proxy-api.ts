import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { EphemeralProxy } from '../../capabilities/proxy/index.js';
import type { RequestId } from '../../kernel/ids.js';
import type { Caller } from '../../kernel/principal.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';

export interface ProxyApiDeps {
  readonly proxy: EphemeralProxy;
  /**
   * Version header, host, credential and mode; limits and permission are the pipeline's to judge. The credential is
   * looked for in `rawHeaders`, from which an `x-api-key` that is meant for the upstream has been left out.
   */
  authenticate(request: FastifyRequest, rawHeaders: readonly string[]): Promise<Caller>;
  /** Writes an error on an answer that Fastify no longer owns. */
  refuse(
    request: FastifyRequest,
    response: ServerResponse,
    cause: unknown,
    rateLimit: RateLimitStatus | null,
  ): void;
}

export interface ProxyApi {
  /** Resolves when every call that has begun is over and has its log row queued. */
  settled(): Promise<void>;
}

const PATH = '/v1/proxy';

/**
 * `ANY /v1/proxy`. The call leaves Fastify before a body parser or serialiser is reached: bytes go between the
 * sockets' streams alone.
 */
export function registerProxyApi(app: FastifyInstance, deps: ProxyApiDeps): ProxyApi {
  // The HTTP server knows only of sockets; the last of them may close before a call has written its row.
  const underWay = new Set<Promise<void>>();
  deferContinue(app);
  app.route({
    method: app.supportedMethods,
    url: PATH,
    onRequest: (request, reply) => {
      reply.hijack();
      const call = deps.proxy.serveEphemeral({
        request: request.raw,
        response: reply.raw,
        requestId: request.id as RequestId,
        authenticate: (rawHeaders) => deps.authenticate(request, rawHeaders),
        refuse: (cause, rateLimit) => deps.refuse(request, reply.raw, cause, rateLimit),
      });
      underWay.add(call);
      // It never rejects.
      void call.then(() => underWay.delete(call));
    },
    // Never reached; a route must have one.
    handler: () => undefined,
  });
  return {
    async settled() {
      await Promise.all(underWay);
    },
  };
}

/** Node would invite every body at once; on the proxy's path the pipeline does, after its checks. */
function deferContinue(app: FastifyInstance): void {
  app.server.on('checkContinue', (request, response) => {
    const url = request.url ?? '';
    if (url !== PATH && !url.startsWith(`${PATH}?`)) response.writeContinue();
    app.server.emit('request', request, response);
  });
}
