import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { Html } from '../../capabilities/oauth-consent/index.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Visitor } from '../../kernel/principal.js';
import { visitorOf } from '../../platform/http/caller.js';
import { formOf, queryOf, sendPage, takeForms, withPageHeaders } from './pages.js';

/** The page that a mailed link leads to. */
interface LinkPage {
  answer(request: LinkPageRequest): Promise<{ readonly status: number; readonly html: Html }>;
}

interface LinkPageRequest {
  readonly token: string;
  readonly password: string | null;
  readonly visitor: Visitor;
}

export function createLinkPageApi(path: string, page: LinkPage): FastifyPluginAsync {
  return async (scope) => {
    takeForms(scope);
    scope.route({
      method: ['GET', 'POST'],
      url: path,
      bodyLimit: LIMITS.publicBodyBytesMax,
      handler: async (request, reply) => {
        const { status, html } = await page.answer(read(request));
        return sendPage(withPageHeaders(reply, null), status, html);
      },
    });
  };
}

function read(request: FastifyRequest): LinkPageRequest {
  const visitor = visitorOf(request);
  if (request.method !== 'POST') {
    const token = new URLSearchParams(queryOf(request)).get('token') ?? '';
    return { token, password: null, visitor };
  }
  const form = formOf(request);
  return { token: form.get('token') ?? '', password: form.get('password') ?? '', visitor };
}
