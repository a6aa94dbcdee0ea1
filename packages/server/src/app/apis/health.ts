import type { FastifyPluginAsync } from 'fastify';

/** Each resolves when its part works, and rejects when it does not. */
export interface HealthDeps {
  readonly checks: Readonly<Record<string, () => Promise<unknown>>>;
  /** True once shutdown has begun: a balancer must send nothing more. */
  isStopping(): boolean;
}

/** Bare bodies, without a credential and without a word of why: this is open to everybody (contract README §5). */
export function createHealth({ checks, isStopping }: HealthDeps): FastifyPluginAsync {
  return async (scope) => {
    scope.get('/healthz', async (_request, reply) => {
      reply.header('cache-control', 'no-store');
      return { status: 'ok' };
    });

    scope.get('/readyz', async (request, reply) => {
      const results = await Promise.all(
        Object.entries(checks).map(async ([name, check]) => {
          try {
            await check();
            return [name, 'ok'] as const;
          } catch (error) {
            request.log.warn({ err: error, check: name }, 'not ready');
            return [name, 'unavailable'] as const;
          }
        }),
      );
      const stopping = isStopping();
      const ready = !stopping && results.every(([, result]) => result === 'ok');
      reply.code(ready ? 200 : 503).header('cache-control', 'no-store');
      if (!ready) reply.header('retry-after', '1');
      return {
        status: stopping ? 'stopping' : ready ? 'ready' : 'unavailable',
        checks: Object.fromEntries(results),
      };
    });
  };
}
