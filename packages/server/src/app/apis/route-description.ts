import { LIMITS } from '../../kernel/limits.js';
import type { Describe } from '../../platform/http/openapi/document.js';
import { versionParameter } from '../../platform/http/openapi/operation.js';

const PATH = '/proxy/{route}/{path}';
/** Those that OpenAPI can name; a route takes every other one too. */
const DESCRIBED_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const BODILESS = new Set(['GET', 'HEAD', 'OPTIONS']);

export const describeRouteCalls: Describe = (components) => {
  const parameters = [
    versionParameter(components),
    components.add('parameters', 'CalledRoute', {
      name: 'route',
      in: 'path',
      required: true,
      description:
        'Its id, slug or name. The header `x-knoxcall-route` names it on any host and with any path.',
      schema: { type: 'string' },
    }),
    components.add('parameters', 'CalledPath', {
      name: 'path',
      in: 'path',
      required: true,
      description: 'Put behind the path of the route’s target, byte for byte, slashes included.',
      schema: { type: 'string' },
    }),
    components.add('parameters', 'CalledEnvironment', {
      name: 'x-knoxcall-environment',
      in: 'header',
      description: 'Name of an environment; the route’s base environment when absent.',
      schema: { type: 'string' },
    }),
  ];
  const answer = components.add('responses', 'RouteAnswer', {
    description: 'The answer of the upstream: its status, its headers and, after redaction, its body.',
    headers: {
      'X-Knox-Upstream-Status': {
        description: 'The upstream’s status. Without it the answer is ours.',
        required: true,
        schema: { type: 'integer', minimum: 100, maximum: 999 },
      },
      'X-Knox-Route-Id': { required: true, schema: { type: 'string', format: 'uuid' } },
      'X-Knox-Environment': { required: true, schema: { type: 'string' } },
    },
    content: { '*/*': { schema: {} } },
  });
  return DESCRIBED_METHODS.map((method) => ({
    method,
    path: PATH,
    operationId: `callRoute${method[0]}${method.slice(1).toLowerCase()}`,
    summary: `Send a ${method} request to a route`,
    description:
      'Also by the header `x-knoxcall-route`, and as `/{route}/{path}` on the host of a tenant. In a JSON, form or text body of POST, PUT and PATCH `{{secret:NAME}}`, `{{secret_id:ID}}` and `{{var:KEY}}` become the values of the environment. A client that is known by address or certificate needs no key.',
    credential: 'key',
    permission: 'routes:invoke',
    parameters,
    ...(BODILESS.has(method)
      ? {}
      : {
          requestBody: {
            description: `For the upstream: at most ${LIMITS.transparentBodyBytesMax / 1024 / 1024} MiB, ${LIMITS.templatedBodyBytesMax / 1024 / 1024} where it is changed or signed.`,
            content: { '*/*': { schema: {} } },
          },
        }),
    answers: { default: answer },
    errors: [
      'tenant_not_found',
      'route_not_found',
      'environment_not_configured',
      'environment_disabled',
      'client_not_authorized',
      'ip_not_allowed',
      'method_not_allowed',
      'egress_unavailable',
      'signature_missing',
      'signature_expired',
      'invalid_signature',
      'secret_not_found',
      'secret_expired',
      'template_error',
      'decryption_failed',
      'ssrf_blocked',
      'egress_blocked',
      'token_not_found',
      'payload_too_large',
      'upstream_unreachable',
      'dns_failure',
      'upstream_tls_error',
      'redaction_failed',
      'tenant_sealed',
      'upstream_timeout',
      'loop_detected',
    ],
  }));
};
