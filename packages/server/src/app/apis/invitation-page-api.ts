import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { InvitationPage, InvitationPageRequest } from '../../capabilities/account-pages/index.js';
import { INVITATION_PATH } from '../../capabilities/accounts/index.js';
import { LIMITS } from '../../kernel/limits.js';
import { visitorOf } from '../../platform/http/caller.js';
import { formOf, queryOf, sendPage, takeForms, withPageHeaders } from './pages.js';

export function createInvitationPageApi(page: InvitationPage): FastifyPluginAsync {
  return async (scope) => {
    takeForms(scope);
    scope.route({
      method: ['GET', 'POST'],
      url: INVITATION_PATH,
      bodyLimit: LIMITS.publicBodyBytesMax,
      handler: async (request, reply) => {
        const { status, html } = await page.answer(read(request));
        return sendPage(withPageHeaders(reply, null), status, html);
      },
    });
  };
}

function read(request: FastifyRequest): InvitationPageRequest {
  const visitor = visitorOf(request);
  if (request.method !== 'POST') {
    const token = new URLSearchParams(queryOf(request)).get('token') ?? '';
    return { token, password: null, visitor };
  }
  const form = formOf(request);
  return { token: form.get('token') ?? '', password: form.get('password') ?? '', visitor };
}
