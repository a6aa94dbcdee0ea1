import { LIMITS } from '../../kernel/limits.js';
import type { JsonObject } from '../../platform/http/openapi/components.js';
import type { Describe } from '../../platform/http/openapi/document.js';
import { HOOKS_METHODS, HOOKS_PATH } from './hooks-api.js';

const KEPT: JsonObject = {
  type: 'object',
  required: ['data', 'meta'],
  properties: {
    data: {
      type: 'object',
      required: ['accepted', 'delivery_id'],
      properties: {
        accepted: { type: 'boolean', const: true },
        delivery_id: { type: 'string', format: 'uuid', description: 'Of its delivery to the route.' },
      },
    },
    meta: { $ref: '#/components/schemas/Meta' },
  },
};

/** What senders call. */
export const describeHooks: Describe = (components) => {
  const named = (name: string, description: string) => ({
    name,
    in: 'path',
    required: true,
    description,
    schema: { type: 'string' },
  });
  return HOOKS_METHODS.map((method) => ({
    method,
    path: HOOKS_PATH,
    operationId: `inboundWebhook${method[0]}${method.slice(1).toLowerCase()}`,
    summary: `Send a signed ${method} to an inbound webhook`,
    description: `Verified over the bytes of the body, at most ${LIMITS.inboundWebhookBodyBytesMax / 1024 / 1024} MiB, and passed on with \`X-Knox-Verified: true\`; the answer is that of the target, of one that leads to a route 202 once it is kept. At the \`hooks.\` host the path is \`/{tenant}/{name}\`. Where there is no such webhook the answer is that of a signature that does not fit.`,
    credential: 'none' as const,
    permission: null,
    parameters: [
      named('tenant', 'Slug of the tenant; of test mode with `sandbox-` before it.'),
      named('name', 'Of the inbound webhook.'),
    ],
    ...(method === 'GET' || method === 'DELETE'
      ? {}
      : { requestBody: { description: 'As the sender has signed it.', content: { '*/*': { schema: {} } } } }),
    answers: {
      202: {
        description: 'Verified and kept, to be carried to the route of the webhook.',
        content: { 'application/json': { schema: components.add('schemas', 'KeptInboundDelivery', KEPT) } },
      },
      default: { description: 'The answer of the target.', content: { '*/*': { schema: {} } } },
    },
    errors: [
      'signature_missing' as const,
      'invalid_signature' as const,
      'replay_window_exceeded' as const,
      'ssrf_blocked' as const,
      'egress_blocked' as const,
      'dns_failure' as const,
      'upstream_tls_error' as const,
      'loop_detected' as const,
      'rate_limit_exceeded' as const,
      'payload_too_large' as const,
      'tenant_sealed' as const,
      'upstream_unreachable' as const,
      'upstream_timeout' as const,
      'dependency_unavailable' as const,
    ],
  }));
};
