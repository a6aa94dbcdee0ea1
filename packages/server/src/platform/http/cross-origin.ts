import type { FastifyInstance, FastifyReply } from 'fastify';
import type { MountedRoute } from './mounts.js';

const PREFLIGHT_SECONDS = 600;
/** Of an answer; a page sees no other header that is ours. */
const EXPOSED = 'X-Request-Id, Retry-After';

/** Pages of that origin may read the answer, whatever it is (Fetch §3.3.3). No cookie comes with their calls. */
export function allowOrigin(reply: FastifyReply, origin: string): void {
  reply.header('access-control-allow-origin', origin).header('access-control-expose-headers', EXPOSED);
}

/**
 * The question that a browser asks before it sends a token or JSON from a page of another origin. It brings no token, so
 * that nothing can be known of the page yet: any may call, and its call is judged by its token and its `Origin`.
 */
export function registerPreflight(
  app: FastifyInstance,
  { path, definition }: Pick<MountedRoute, 'path' | 'definition'>,
): void {
  app.options(path, async (_request, reply) =>
    reply
      .headers({
        'access-control-allow-origin': '*',
        'access-control-allow-methods': definition.method,
        'access-control-allow-headers': 'Authorization, Content-Type, KnoxCall-Version',
        'access-control-max-age': String(PREFLIGHT_SECONDS),
      })
      .code(200)
      .send(''),
  );
}
