import type { FastifyPluginAsync } from 'fastify';
import type { JsonObject } from '../../platform/http/openapi/components.js';
import type { Describe } from '../../platform/http/openapi/document.js';
import type { Described } from '../../platform/http/openapi/operation.js';

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

    scope.get('/readyz', async (_request, reply) => {
      const results = await Promise.all(
        Object.entries(checks).map(async ([name, check]) => {
          try {
            await check();
            return [name, 'ok'] as const;
          } catch (error) {
            scope.logger.warn({ err: error, check: name }, 'not ready');
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

export const describeHealth: Describe = (components) => {
  const health = components.add('schemas', 'Health', {
    type: 'object',
    required: ['status'],
    properties: { status: { type: 'string', const: 'ok' } },
  });
  const readiness = components.add('schemas', 'Readiness', {
    type: 'object',
    required: ['status', 'checks'],
    properties: {
      status: { type: 'string', enum: ['ready', 'stopping', 'unavailable'] },
      checks: {
        type: 'object',
        description: 'What the server depends on, by name.',
        additionalProperties: { type: 'string', enum: ['ok', 'unavailable'] },
      },
    },
  });
  const answer = (description: string, schema: JsonObject): JsonObject => ({
    description,
    content: { 'application/json': { schema } },
  });
  const described: readonly Described[] = [
    {
      method: 'GET',
      path: '/healthz',
      operationId: 'getHealth',
      summary: 'Whether the process answers',
      credential: 'none',
      permission: null,
      answers: { 200: answer('It does.', health) },
      errors: ['validation_error'],
    },
    {
      method: 'GET',
      path: '/readyz',
      operationId: 'getReadiness',
      summary: 'Whether the server can do its work: for load balancers',
      credential: 'none',
      permission: null,
      answers: {
        200: answer('It can.', readiness),
        503: answer('It cannot, or is about to stop.', readiness),
      },
      errors: ['validation_error'],
    },
  ];
  return described;
};
