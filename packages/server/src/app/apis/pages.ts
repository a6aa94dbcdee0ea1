import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { formParams, OAuthError, type Params } from '../../capabilities/oauth/index.js';
import { type Html, STYLE_SOURCE } from '../../capabilities/oauth-consent/index.js';
import { validationError } from '../../kernel/errors.js';

/** Pages for people: no script but one that is named, nothing from elsewhere, in no frame (RFC 9700 §4.16). */
const HEADERS = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** What is posted to a page is a form. */
export function takeForms(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, body: Buffer) => body,
  );
}

export function formOf({ body }: FastifyRequest): Params {
  try {
    return formParams(((body as Buffer | undefined) ?? Buffer.alloc(0)).toString('utf8'));
  } catch (error) {
    throw error instanceof OAuthError ? validationError('body', error.description) : error;
  }
}

/** As it was sent, without the question mark. */
export function queryOf({ raw }: FastifyRequest): string {
  const url = raw.url ?? '';
  const mark = url.indexOf('?');
  return mark === -1 ? '' : url.slice(mark + 1);
}

/**
 * `formTarget`: where a form may lead besides this server; the policy of a page counts for what a form is redirected to.
 * `script`: the hash of the one script of a page.
 */
export function withPageHeaders(
  reply: FastifyReply,
  formTarget: string | null,
  script: string | null = null,
): FastifyReply {
  return reply.headers({ ...HEADERS, 'content-security-policy': policyOf(formTarget, script) });
}

export function sendPage(reply: FastifyReply, status: number, { text }: Html): FastifyReply {
  return reply.code(status).header('content-type', 'text/html; charset=utf-8').send(text);
}

function policyOf(formTarget: string | null, script: string | null): string {
  return [
    "default-src 'none'",
    `style-src ${STYLE_SOURCE}`,
    ...(script === null ? [] : [`script-src ${script}`]),
    'img-src data:',
    `form-action 'self'${formTarget === null ? '' : ` ${formTarget}`}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
