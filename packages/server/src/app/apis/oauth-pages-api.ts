import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { formParams, OAuthError } from '../../capabilities/oauth/index.js';
import {
  type ConsentPages,
  type PageAnswer,
  type PageRequest,
  STYLE_SOURCE,
} from '../../capabilities/oauth-consent/index.js';
import { AppError, validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import { visitorOf } from '../../platform/http/caller.js';
import type { Hosts } from '../../platform/http/hosts.js';
import type { Origins } from '../../platform/http/origins.js';

export interface OAuthPagesApiDeps {
  readonly hosts: Hosts;
  readonly origins: Origins;
  readonly pages: ConsentPages;
}

const FORM = 'application/x-www-form-urlencoded';

/** Pages for people: no script, nothing from elsewhere, in no frame (RFC 9700 §4.16). */
export function createOAuthPagesApi({ hosts, origins, pages }: OAuthPagesApiDeps): FastifyPluginAsync {
  function read(request: FastifyRequest): PageRequest {
    const { raw } = request;
    const host = hosts.resolve(raw.rawHeaders, raw.httpVersion);
    const url = raw.url ?? '';
    const mark = url.indexOf('?');
    return {
      method: request.method === 'POST' ? 'POST' : 'GET',
      host,
      origin: origins.of(host),
      query: mark === -1 ? '' : url.slice(mark + 1),
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
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      FORM,
      { parseAs: 'buffer' },
      async (_request: FastifyRequest, body: Buffer) => body,
    );
    register(scope, '/oauth/authorize', 'authorize');
    register(scope, '/oauth/activate', 'activate');
  };
}

function formOf({ body }: FastifyRequest) {
  try {
    return formParams(((body as Buffer | undefined) ?? Buffer.alloc(0)).toString('utf8'));
  } catch (error) {
    throw error instanceof OAuthError ? validationError('body', error.description) : error;
  }
}

function send(reply: FastifyReply, answer: PageAnswer): FastifyReply {
  const { status, cookies, html, location, formTarget, retryAfterSeconds } = answer;
  if (retryAfterSeconds !== null) reply.header('retry-after', String(Math.ceil(retryAfterSeconds)));
  for (const cookie of cookies) reply.header('set-cookie', cookie);
  reply.headers({
    'cache-control': 'no-store',
    'content-security-policy': policyOf(formTarget),
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  });
  if (location !== null) return reply.code(status).header('location', location).send('');
  if (html === null) throw new AppError('internal_error', 'An internal error occurred');
  return reply.code(status).header('content-type', 'text/html; charset=utf-8').send(html.text);
}

/** A form may be answered by a way back to the client, which the policy of its page is asked about too. */
function policyOf(formTarget: string | null): string {
  return [
    "default-src 'none'",
    `style-src ${STYLE_SOURCE}`,
    'img-src data:',
    `form-action 'self'${formTarget === null ? '' : ` ${formTarget}`}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
