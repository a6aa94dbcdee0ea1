import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { CONFIRM_PATH, type SignupPageRequest, type SignupPages } from '../../capabilities/signup/index.js';
import { LIMITS } from '../../kernel/limits.js';
import { visitorOf } from '../../platform/http/caller.js';
import { formOf, queryOf, sendPage, takeForms, withPageHeaders } from './pages.js';

export function createSignupPageApi(pages: SignupPages): FastifyPluginAsync {
  return async (scope) => {
    takeForms(scope);
    scope.route({
      method: ['GET', 'POST'],
      url: CONFIRM_PATH,
      bodyLimit: LIMITS.publicBodyBytesMax,
      handler: async (request, reply) => {
        const { status, html } = await pages.answer(read(request));
        return sendPage(withPageHeaders(reply, null), status, html);
      },
    });
  };
}

function read(request: FastifyRequest): SignupPageRequest {
  const visitor = visitorOf(request);
  if (request.method !== 'POST') {
    const token = new URLSearchParams(queryOf(request)).get('token') ?? '';
    return { token, password: null, visitor };
  }
  const form = formOf(request);
  return { token: form.get('token') ?? '', password: form.get('password') ?? '', visitor };
}
