import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { ConsentPages, PageAnswer, PageRequest } from '../../capabilities/oauth-consent/index.js';
import { AppError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import { visitorOf } from '../../platform/http/caller.js';
import type { Hosts } from '../../platform/http/hosts.js';
import type { Origins } from '../../platform/http/origins.js';
import { formOf, queryOf, sendPage, takeForms, withPageHeaders } from './pages.js';

export interface OAuthPagesApiDeps {
  readonly hosts: Hosts;
  readonly origins: Origins;
  readonly pages: ConsentPages;
}

export function createOAuthPagesApi({ hosts, origins, pages }: OAuthPagesApiDeps): FastifyPluginAsync {
  function read(request: FastifyRequest): PageRequest {
    const { raw } = request;
    const host = hosts.resolve(raw.rawHeaders, raw.httpVersion);
    return {
      method: request.method === 'POST' ? 'POST' : 'GET',
      host,
      origin: origins.of(host),
      query: queryOf(request),
      form: request.method === 'POST' ? formOf(request) : new Map(),
      cookies: raw.headers.cookie,
      userAgent: raw.headers['user-agent'] ?? null,
      visitor: visitorOf(request),
    };
  }

  function register(scope: FastifyInstance, url: string, answer: keyof ConsentPages): void {
    scope.route({
      method: ['GET', 'POST'],
      url,
      bodyLimit: LIMITS.oauthBodyBytesMax,
      handler: async (request, reply) => send(reply, await pages[answer](read(request))),
    });
  }

  return async (scope) => {
    takeForms(scope);
    register(scope, '/oauth/authorize', 'authorize');
    register(scope, '/oauth/activate', 'activate');
  };
}

function send(reply: FastifyReply, answer: PageAnswer): FastifyReply {
  const { status, cookies, html, location, formTarget, retryAfterSeconds } = answer;
  if (retryAfterSeconds !== null) reply.header('retry-after', String(Math.ceil(retryAfterSeconds)));
  for (const cookie of cookies) reply.header('set-cookie', cookie);
  withPageHeaders(reply, formTarget);
  if (location !== null) return reply.code(status).header('location', location).send('');
  if (html === null) throw new AppError('internal_error', 'An internal error occurred');
  return sendPage(reply, status, html);
}
