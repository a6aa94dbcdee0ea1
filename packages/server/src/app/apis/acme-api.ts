import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import {
  type Acme,
  type AcmeAnswer,
  AcmeProblem,
  type AcmeUrls,
  acmeUrls,
  type DirectoryPath,
  isDirectoryPath,
} from '../../capabilities/acme/index.js';
import { type AppError, notFound } from '../../kernel/errors.js';
import { isUuid } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { visitorOf } from '../../platform/http/caller.js';
import { logError, retryAfterSeconds, toAppError } from '../../platform/http/error-handler.js';
import type { Hosts } from '../../platform/http/hosts.js';
import type { Origins } from '../../platform/http/origins.js';

export interface AcmeApiDeps {
  readonly hosts: Hosts;
  readonly origins: Origins;
  readonly acme: Acme;
}

export const ACME_PREFIX = '/pki/:tenantId/:rootId/:roleId/acme';

export const JOSE = 'application/jose+json';
const JSON_TYPE = 'application/json';
export const PROBLEM = 'application/problem+json';
export const PEM_CHAIN = 'application/pem-certificate-chain';
const EMPTY = Buffer.alloc(0);

/** RFC 8555: a scope of its own, because bodies are JWS, answers bare, and refusals problem documents (contract README §1.1). */
export function createAcmeApi({ hosts, origins, acme }: AcmeApiDeps): FastifyPluginAsync {
  function calledAt(request: FastifyRequest) {
    const host = hosts.resolve(request.raw.rawHeaders, request.raw.httpVersion);
    const path = request.params as DirectoryPath;
    return { host, origin: origins.of(host), path };
  }

  async function directoryOf(request: FastifyRequest) {
    const called = calledAt(request);
    return { ...called, ...(await acme.directory(called)) };
  }

  /** RFC 8555 §6.5: with every answer to a POST, a refusal too, so that the client can go on. */
  function withNonce(reply: FastifyReply, urls: AcmeUrls): FastifyReply {
    return withIndex(reply, urls)
      .header('replay-nonce', acme.nonce(urls))
      .header('cache-control', 'no-store');
  }

  function refuse(request: FastifyRequest, reply: FastifyReply, cause: unknown): void {
    const problem = cause instanceof AcmeProblem ? cause : problemOf(request, toAppError(cause));
    request.refusal = { type: problem.type };
    const { origin, path } = calledAt(request);
    // What is no directory's path may hold what no header can.
    if (request.method === 'POST' && isDirectoryPath(path)) withNonce(reply, acmeUrls(origin, path));
    void reply
      .code(problem.status)
      .headers(problem.options.headers ?? {})
      .header('content-type', PROBLEM)
      .send(jsonBytes(problem.document()));
  }

  function registerNonce(scope: FastifyInstance): void {
    for (const [method, status] of [
      ['HEAD', 200],
      ['GET', 204],
    ] as const)
      scope.route({
        method,
        url: '/new-nonce',
        exposeHeadRoute: false,
        async handler(request, reply) {
          const { urls } = await directoryOf(request);
          return withNonce(reply, urls).code(status).send();
        },
      });
  }

  return async (app) => {
    await app.register(
      async (scope) => {
        scope.removeAllContentTypeParsers();
        scope.addContentTypeParser(
          '*',
          { parseAs: 'buffer' },
          async (_: FastifyRequest, body: Buffer) => body,
        );
        scope.setErrorHandler((error, request, reply) => refuse(request, reply, error));
        scope.setNotFoundHandler((request, reply) => refuse(request, reply, notHere(scope, request)));
        scope.get('/directory', async (request, reply) => {
          const { urls, target } = await directoryOf(request);
          return withIndex(reply, urls)
            .type(JSON_TYPE)
            .send(jsonBytes(acme.describe(urls, target)));
        });
        registerNonce(scope);
        for (const { path: url, answer } of acme.endpoints)
          scope.route({
            method: 'POST',
            url,
            bodyLimit: LIMITS.acmeBodyBytesMax,
            async handler(request, reply) {
              requireJose(request);
              const { urls, target, origin } = await directoryOf(request);
              const call = {
                target,
                urls,
                url: origin + request.raw.url,
                body: (request.body as Buffer | undefined) ?? EMPTY,
                visitor: visitorOf(request),
              };
              return send(withNonce(reply, urls), await answer(call, paramsOf(request)));
            },
          });
      },
      { prefix: ACME_PREFIX },
    );
  };
}

function paramsOf(request: FastifyRequest): { readonly id: string; readonly cursor: string | null } {
  const { id } = request.params as { readonly id?: string };
  const { cursor } = request.query as { readonly cursor?: unknown };
  return { id: idIn(id), cursor: typeof cursor === 'string' ? idIn(cursor) : null };
}

/** What is no id is nothing's, and may be what no store takes. */
function idIn(text = ''): string {
  return isUuid(text) ? text : '';
}

/** RFC 8555 §7.1: whatever was asked, the way to everything else. */
function withIndex(reply: FastifyReply, urls: AcmeUrls): FastifyReply {
  return reply.header('link', `<${urls.directory}>;rel="index"`);
}

function send(reply: FastifyReply, { status, headers = {}, body }: AcmeAnswer): FastifyReply {
  const { link, ...others } = headers;
  // A list of header lines: the one to the directory is there already.
  if (link !== undefined) reply.header('link', [reply.getHeader('link') as string, link]);
  reply.code(status).headers(others);
  if (body === null) return reply.send();
  return typeof body === 'string'
    ? reply.type(PEM_CHAIN).send(Buffer.from(body, 'utf8'))
    : reply.type(JSON_TYPE).send(jsonBytes(body));
}

/** As bytes: to a text Fastify adds a charset, which none of these media types has. */
function jsonBytes(value: object): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

/** RFC 8555 §6.2. */
function requireJose({ raw }: FastifyRequest): void {
  const mediaType = (raw.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase();
  if (mediaType !== JOSE)
    throw new AcmeProblem('malformed', `The request body must be ${JOSE}`, { status: 415 });
}

function notHere(scope: FastifyInstance, request: FastifyRequest): AcmeProblem | AppError {
  const allow = scope.allowedMethods(request).join(', ');
  if (allow === '') return notFound();
  // RFC 8555 §6.3: what others read by GET is read by POST here.
  return new AcmeProblem('malformed', `Only ${allow} is allowed here`, { status: 405, headers: { allow } });
}

/** What floors below refuse in their own words, in those of this API. */
function problemOf(request: FastifyRequest, error: AppError): AcmeProblem {
  logError(request, error);
  const retryAfter = retryAfterSeconds(error);
  const headers: Record<string, string> = {
    ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
    ...(error.status === 413 && { connection: 'close' }),
  };
  const type = error.status === 429 ? 'rateLimited' : error.status >= 500 ? 'serverInternal' : 'malformed';
  return new AcmeProblem(type, error.publicMessage, { status: error.status, headers });
}
