import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { CALLBACK_PATH, type CallbackPage, SCRIPT_SOURCE } from '../../capabilities/secrets/index.js';
import { isUuid } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { visitorOf } from '../../platform/http/caller.js';
import { queryOf, sendPage, takeForms, withPageHeaders } from './pages.js';

/** Where providers of OAuth2 secrets send browsers back to. */
export function createOAuth2CallbackApi(page: CallbackPage): FastifyPluginAsync {
  return async (scope) => {
    takeForms(scope);
    scope.route({
      method: ['GET', 'POST'],
      url: `${CALLBACK_PATH}:id`,
      bodyLimit: LIMITS.oauthBodyBytesMax,
      handler: async (request, reply) => {
        const { id } = request.params as { readonly id: string };
        // What is no id of ours would stand in a page.
        const secretId = isUuid(id) ? id.toLowerCase() : 'unknown';
        const answer = await page.answer({
          secretId,
          params: paramsOf(request),
          visitor: visitorOf(request),
        });
        const { status, html, hasScript } = answer;
        return sendPage(withPageHeaders(reply, null, hasScript ? SCRIPT_SOURCE : null), status, html);
      },
    });
  };
}

/** RFC 6749 §4.1.2: in the query; or in a form (`response_mode` `form_post`). */
function paramsOf(request: FastifyRequest): URLSearchParams {
  if (request.method !== 'POST') return new URLSearchParams(queryOf(request));
  return new URLSearchParams(((request.body as Buffer | undefined) ?? Buffer.alloc(0)).toString('utf8'));
}
