import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { MagicLinkPage, MagicLinkPageRequest } from '../../capabilities/account-pages/index.js';
import { MAGIC_LINK_PATH } from '../../capabilities/accounts/index.js';
import { LIMITS } from '../../kernel/limits.js';
import { visitorOf } from '../../platform/http/caller.js';
import { formOf, queryOf, sendPage, takeForms, withPageHeaders } from './pages.js';

export function createMagicLinkPageApi(page: MagicLinkPage): FastifyPluginAsync {
  return async (scope) => {
    takeForms(scope);
    scope.route({
      method: ['GET', 'POST'],
      url: MAGIC_LINK_PATH,
      bodyLimit: LIMITS.publicBodyBytesMax,
      handler: async (request, reply) => {
        const { status, html, cookies, retryAfterSeconds } = await page.answer(read(request));
        if (retryAfterSeconds !== null) reply.header('retry-after', String(Math.ceil(retryAfterSeconds)));
        for (const cookie of cookies) reply.header('set-cookie', cookie);
        return sendPage(withPageHeaders(reply, null), status, html);
      },
    });
  };
}

function read(request: FastifyRequest): MagicLinkPageRequest {
  const { headers } = request.raw;
  return {
    token: new URLSearchParams(queryOf(request)).get('token') ?? '',
    form: request.method === 'POST' ? formOf(request) : null,
    cookies: headers.cookie,
    userAgent: headers['user-agent'] ?? null,
    visitor: visitorOf(request),
    isSecure: request.source.isSecure,
  };
}
