import { LIMITS } from '../../kernel/limits.js';
import type { Describe } from '../../platform/http/openapi/document.js';
import { HOOKS_METHODS, HOOKS_PATH } from './hooks-api.js';

/** What senders call. */
export const describeHooks: Describe = () => {
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
    answers: { default: { description: 'The answer of the target.', content: { '*/*': { schema: {} } } } },
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
