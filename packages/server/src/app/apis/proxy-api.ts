import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { EphemeralProxy } from '../../capabilities/proxy/index.js';
import type { RequestId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Caller } from '../../kernel/principal.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';
import type { Describe } from '../../platform/http/openapi/document.js';
import { versionParameter } from '../../platform/http/openapi/operation.js';
import { createCallsUnderWay } from './under-way.js';

export interface ProxyApiDeps {
  readonly proxy: EphemeralProxy;
  /**
   * Version header, host, credential and mode; limits and permission are the pipeline's to judge. The credential is
   * looked for in `rawHeaders`, from which an `x-api-key` that is meant for the upstream has been left out.
   */
  authenticate(request: FastifyRequest, rawHeaders: readonly string[]): Promisable<Caller>;
  /** Other calls whose bodies are invited by their pipeline. */
  readonly invitesItself?: (request: IncomingMessage) => boolean;
  /** Writes an error on an answer that Fastify no longer owns. */
  refuse(
    request: FastifyRequest,
    response: ServerResponse,
    cause: unknown,
    rateLimit: RateLimitStatus | null,
    block: Readonly<Record<string, string>>,
  ): void;
}

export interface ProxyApi {
  /** Resolves when every call that has begun is over and has its log row queued. */
  settled(): Promise<void>;
}

const PATH = '/v1/proxy';

/**
 * `ANY /v1/proxy`. The call leaves Fastify before a body parser or serialiser is reached: bytes go between the
 * sockets' streams alone.
 */
export function registerProxyApi(app: FastifyInstance, deps: ProxyApiDeps): ProxyApi {
  const underWay = createCallsUnderWay();
  deferContinue(app, deps.invitesItself ?? (() => false));
  app.route({
    method: app.supportedMethods,
    url: PATH,
    config: { hasLongBody: true },
    onRequest: (request, reply) => {
      reply.hijack();
      const call = deps.proxy.serveEphemeral({
        request: request.raw,
        response: reply.raw,
        requestId: request.id as RequestId,
        trace: request.trace,
        authenticate: (rawHeaders) => deps.authenticate(request, rawHeaders),
        refusedCaller: () => request.caller,
        refuse: (cause, rateLimit, block) => deps.refuse(request, reply.raw, cause, rateLimit, block),
      });
      underWay.add(call);
    },
    // Never reached; a route must have one.
    handler: () => undefined,
  });
  return {
    settled: underWay.settled,
  };
}

/** Node would invite every body at once; on the proxy's path the pipeline does, after its checks. */
function deferContinue(app: FastifyInstance, invitesItself: (request: IncomingMessage) => boolean): void {
  app.server.on('checkContinue', (request, response) => {
    const url = request.url ?? '';
    if (url !== PATH && !url.startsWith(`${PATH}?`) && !invitesItself(request)) response.writeContinue();
    app.server.emit('request', request, response);
  });
}

/** Those that OpenAPI can name; the proxy takes every other one too. */
const DESCRIBED_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

export const describeProxy: Describe = (components) => {
  const parameters = [
    versionParameter(components),
    components.add('parameters', 'ProxyUrl', {
      name: 'X-Knox-Proxy-URL',
      in: 'header',
      required: true,
      description: `Where the call goes: \`https:\`, a DNS name, at most ${LIMITS.proxyUrlBytesMax} bytes. Its query may hold expressions.`,
      schema: { type: 'string', format: 'uri', examples: ['https://payments.example.com/charge?v=2'] },
    }),
    components.add('parameters', 'ProxyTimeout', {
      name: 'X-Knox-Timeout-Ms',
      in: 'header',
      description:
        'From name resolution to the upstream’s headers, in milliseconds; then the longest silence of the stream.',
      schema: {
        type: 'integer',
        minimum: 1,
        maximum: LIMITS.upstreamTimeoutMaxMs,
        default: LIMITS.upstreamTimeoutDefaultMs,
      },
    }),
    components.add('parameters', 'ProxyMode', {
      name: 'X-Knox-Proxy-Mode',
      in: 'header',
      description: `\`transparent\`: bytes go on as they are, nothing is rendered; up to ${LIMITS.transparentBodyBytesMax / 1024 / 1024} MiB.`,
      schema: { type: 'string', enum: ['transparent'] },
    }),
    components.add('parameters', 'ProxyEncrypted', {
      name: 'X-Knox-Encrypted',
      in: 'header',
      description:
        'Base64 of a JSON document, which `{{ encrypted | json: $.path }}` reads. It is not sent on and stands in no log.',
      schema: { type: 'string', contentEncoding: 'base64', contentMediaType: 'application/json' },
    }),
    components.add('parameters', 'ProxyUpstreamAuthorization', {
      name: 'X-Knox-Upstream-Authorization',
      in: 'header',
      description: 'Becomes the `Authorization` header of the upstream as it is. Stands in no log.',
      schema: { type: 'string' },
    }),
    components.add('parameters', 'ProxyUpstreamAuthSecret', {
      name: 'X-Knox-Upstream-Auth-Secret',
      in: 'header',
      description:
        'Name of a stored secret that becomes the `Authorization` header of the upstream; its `allowed_hosts` must cover the host. Not together with `X-Knox-Upstream-Authorization`.',
      schema: { type: 'string' },
    }),
    components.add('parameters', 'ProxyUpstreamAuthScheme', {
      name: 'X-Knox-Upstream-Auth-Scheme',
      in: 'header',
      description: 'What stands before the value of that secret; `none`: nothing does.',
      schema: { type: 'string', default: 'Bearer' },
    }),
    components.add('parameters', 'ProxyDryRun', {
      name: 'X-Knox-Dry-Run',
      in: 'header',
      description:
        '`1`: judge and render everything and send nothing. The answer is ours, 200 with `data`: what would be sent (`method`, `url`, `headers`, `body_preview`; values and credentials masked; null where nothing would be), `address_class`, `rules` (`target`, `egress_allowlist`, `address`, `template`, `values`, each with its `verdict`: `passed`, `refused` or `not_judged`), `would_send`, and `refusal` with `type`, `status` and `message`, or null. No operation is counted and no token read.',
      schema: { type: 'string', enum: ['1'] },
    }),
  ];
  const answer = components.add('responses', 'UpstreamAnswer', {
    description: 'The answer of the upstream: its status, its headers and, after redaction, its body.',
    headers: {
      'X-Request-Id': {
        description: 'Ours, in every answer and log row.',
        required: true,
        schema: { type: 'string', format: 'uuid' },
      },
      'X-Knox-Destination-Status': {
        description: 'The upstream’s status. Without it the answer is ours.',
        required: true,
        schema: { type: 'integer', minimum: 100, maximum: 999 },
      },
      'X-Knox-Upstream-Request-Id': {
        description: 'The upstream’s own `X-Request-Id`, where it sent one.',
        schema: { type: 'string' },
      },
    },
    content: { '*/*': { schema: {} } },
  });
  return DESCRIBED_METHODS.map((method) => ({
    method,
    path: PATH,
    operationId: `proxy${method[0]}${method.slice(1).toLowerCase()}`,
    summary: `Send a ${method} request through the proxy`,
    description: `Every method is sent as it is, and every header but ours and those of one hop. \`{{ token: vault.token }}\` in a JSON, form or text body or in the query becomes the value; each vault touched needs \`vaults:detokenize\` as well. \`{{ encrypted | json: key:value }}\` becomes a sealed text, \`{{ encrypted | json: $.path }}\` what the document of \`X-Knox-Encrypted\` has there. A string of a JSON body that is a sealed text is opened, which needs \`crypto:decrypt\`.`,
    credential: 'key',
    permission: 'proxy:invoke',
    parameters,
    ...(method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
      ? {}
      : {
          requestBody: {
            description: `For the upstream. At most ${LIMITS.templatedBodyBytesMax / 1024 / 1024} MiB unless transparent; without a \`Content-Type\` it is taken for JSON.`,
            content: { '*/*': { schema: {} } },
          },
        }),
    answers: { default: answer },
    errors: [
      'plan_feature',
      'plan_limit',
      'missing_proxy_url',
      'invalid_proxy_url',
      'template_error',
      'too_many_tokens',
      'secret_not_found',
      'secret_expired',
      'decryption_failed',
      'ssrf_blocked',
      'egress_blocked',
      'token_not_found',
      'secret_not_found',
      'secret_expired',
      'key_version_destroyed',
      'vault_disabled',
      'payload_too_large',
      'upstream_unreachable',
      'dns_failure',
      'upstream_tls_error',
      'redaction_failed',
      'egress_unavailable',
      'tenant_sealed',
      'upstream_timeout',
      'loop_detected',
    ],
  }));
};
