import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { Authorities } from '../../capabilities/authorities/index.js';
import { AppError, notFound, rateLimitExceeded } from '../../kernel/errors.js';
import type { TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { visitorOf } from '../../platform/http/caller.js';

export interface PkiApiDeps {
  readonly authorities: Pick<Authorities, 'admitReader' | 'list' | 'ocsp' | 'ocspTryLater'>;
}

const OCSP_REQUEST = 'application/ocsp-request';
const OCSP_RESPONSE = 'application/ocsp-response';
/** Whoever keeps an answer hears of a revocation so much later; its own dates say how long it may be believed. */
export const CACHED_SECONDS = 300;

interface Address {
  readonly tenantId: TenantId;
  readonly rootId: string;
  readonly keyId: string;
}

/**
 * What verifiers of certificates read, without a credential and on plain HTTP, in DER (clients-pki.md §3.4, §3.6): revocation lists
 * and OCSP.
 */
export function createPkiApi({ authorities }: PkiApiDeps): FastifyPluginAsync {
  const waitMs = (request: FastifyRequest) => authorities.admitReader(visitorOf(request).ip);

  async function admitReader(request: FastifyRequest): Promise<void> {
    const leftMs = waitMs(request);
    if (leftMs !== null)
      throw rateLimitExceeded('Too many requests from this network', {
        retryAfterSeconds: secondsOf(leftMs),
      });
  }

  /** Those who ask by OCSP read its refusals, and few of them those of HTTP (RFC 6960 §2.3). */
  async function admitAsker(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const leftMs = waitMs(request);
    if (leftMs === null) return undefined;
    const { der } = await authorities.ocspTryLater();
    reply.header('retry-after', String(secondsOf(leftMs))).header('cache-control', 'no-store');
    return reply.type(OCSP_RESPONSE).send(der);
  }

  return async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, async (_: FastifyRequest, body: Buffer) => body);

    scope.get('/pki/:tenantId/:rootId/:list', { onRequest: admitReader }, async (request, reply) => {
      const { tenantId, rootId, list } = request.params as Address & { readonly list: string };
      if (!list.endsWith('.crl')) throw notFound();
      const der = await authorities.list(tenantId, rootId, list.slice(0, -'.crl'.length));
      return cached(reply).type('application/pkix-crl').send(der);
    });

    async function answer(request: FastifyRequest, reply: FastifyReply, question: Buffer) {
      const { tenantId, rootId, keyId } = request.params as Address;
      const { der, isCacheable } = await authorities.ocsp(tenantId, rootId, keyId, question);
      const answering = isCacheable ? cached(reply) : reply.header('cache-control', 'no-store');
      return answering.type(OCSP_RESPONSE).send(der);
    }

    scope.route({
      method: 'POST',
      url: '/pki/:tenantId/:rootId/:keyId/ocsp',
      bodyLimit: LIMITS.publicBodyBytesMax,
      onRequest: async (request, reply) => {
        const mediaType = (request.raw.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase();
        if (mediaType !== OCSP_REQUEST)
          throw new AppError('unsupported_media_type', `The request body must be ${OCSP_REQUEST}`);
        return admitAsker(request, reply);
      },
      handler: (request, reply) => answer(request, reply, (request.body as Buffer | undefined) ?? EMPTY),
    });
    scope.get('/pki/:tenantId/:rootId/:keyId/ocsp/*', { onRequest: admitAsker }, (request, reply) =>
      answer(request, reply, questionIn(request)),
    );
  };
}

const EMPTY = Buffer.alloc(0);
const secondsOf = (leftMs: number) => Math.max(1, Math.ceil(leftMs / 1_000));

/** RFC 6960 appendix A.1: base64, percent-encoded; some leave its slashes as they are. */
function questionIn({ raw }: FastifyRequest): Buffer {
  const [path = ''] = (raw.url ?? '').split('?', 1);
  const encoded = path.slice(path.indexOf('/ocsp/') + '/ocsp/'.length);
  try {
    return Buffer.from(decodeURIComponent(encoded), 'base64');
  } catch {
    return EMPTY;
  }
}

function cached(reply: FastifyReply): FastifyReply {
  return reply.header('cache-control', `public, max-age=${CACHED_SECONDS}`);
}
