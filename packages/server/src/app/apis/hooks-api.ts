import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { InboundEntry } from '../../capabilities/inbound-webhooks/index.js';
import { notFound } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import { visitorOf } from '../../platform/http/caller.js';
import { writeErrorRaw } from '../../platform/http/error-handler.js';
import type { Hosts } from '../../platform/http/hosts.js';
import { createCallsUnderWay } from './under-way.js';

export interface HooksApiDeps {
  readonly hosts: Hosts;
  readonly entry: InboundEntry;
}

export interface HooksApi {
  readonly plugin: FastifyPluginAsync;
  /** Resolves when every request that has begun is over and has its log row queued. */
  settled(): Promise<void>;
}

export const HOOKS_PATH = '/hooks/:tenant/:name';
export const HOOKS_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
const EMPTY = Buffer.alloc(0);

/**
 * Inbound webhooks (dataplane.md §11.3): on plain addresses, and on the `hooks.` host, whose paths `hooksPath` has brought under
 * the same prefix.
 */
export function createHooksApi({ hosts, entry }: HooksApiDeps): HooksApi {
  const underWay = createCallsUnderWay();

  function requireServed({ raw: { rawHeaders, httpVersion } }: FastifyRequest): void {
    if (hosts.isHooks(rawHeaders)) return;
    if (hosts.resolve(rawHeaders, httpVersion).kind !== 'plain') throw notFound();
  }

  const plugin: FastifyPluginAsync = async (scope) => {
    scope.removeAllContentTypeParsers();
    // Signed is what was sent, byte by byte.
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, async (_: FastifyRequest, body: Buffer) => body);
    scope.route({
      method: HOOKS_METHODS,
      url: HOOKS_PATH,
      exposeHeadRoute: false,
      bodyLimit: LIMITS.inboundWebhookBodyBytesMax,
      async onRequest(request) {
        requireServed(request);
        entry.admit(visitorOf(request).ip);
      },
      async handler(request, reply) {
        const { tenant, name } = request.params as { readonly tenant: string; readonly name: string };
        const { raw } = request;
        const at = (raw.url ?? '').indexOf('?');
        reply.hijack();
        const served = entry.serve({
          ...visitorOf(request),
          method: raw.method ?? 'GET',
          tenant,
          name,
          query: at === -1 ? '' : raw.url!.slice(at),
          rawHeaders: raw.rawHeaders,
          body: (request.body as Buffer | undefined) ?? EMPTY,
          response: reply.raw,
        });
        underWay.add(served);
        try {
          await served;
        } catch (error) {
          if (!reply.raw.destroyed) writeErrorRaw(request, reply.raw, error);
        }
      },
    });
  };
  return {
    plugin,
    settled: underWay.settled,
  };
}

/** Nothing else is served at the `hooks.` host: every path of it is one of a webhook. */
export function hooksPath(
  hosts: Pick<Hosts, 'isHooks'>,
): (request: { readonly url?: string; readonly rawHeaders: string[] }) => string {
  return ({ url = '/', rawHeaders }) =>
    hosts.isHooks(rawHeaders) && url.startsWith('/') ? `/hooks${url}` : url;
}
