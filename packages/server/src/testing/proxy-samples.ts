import type { World } from './matrix-rig.js';
import { freshName, type Kind, type RouteSample } from './route-sample.js';

const PAN = { type: 'builtin', value: 'pan' };
const RULE = {
  enabled: true,
  target: 'both',
  match: PAN,
  content_types: ['application/json'],
  route_ids: null,
  proxy_modes: ['ephemeral'],
  replacement: '*',
  action: 'partial_last4',
  priority: 1,
};

const newRule = async ({ create }: World) =>
  `/v1/redaction-rules/${(await create('/v1/redaction-rules', { name: freshName(), match: PAN })).id}`;

export const PROXY_SAMPLES: Readonly<Record<string, RouteSample>> = {
  'PUT /v1/egress/allowlist': { bodies: () => [{ hosts: [] }] },
  'POST /v1/redaction-rules': { bodies: () => [{ name: freshName(), ...RULE }] },
  'POST /v1/redaction-rules/test': {
    bodies: () => [{ sample: '{}', content_type: 'application/json', rules: [{ name: 'n', ...RULE }] }],
  },
  'GET /v1/redaction-rules/:id': { path: newRule },
  'PATCH /v1/redaction-rules/:id': { path: newRule, bodies: () => [{ name: freshName(), ...RULE }] },
  'DELETE /v1/redaction-rules/:id': { path: newRule },
};

export const PROXY_KINDS: Readonly<Record<string, Kind>> = {
  '/v1/redaction-rules': {
    make: async ({ create }, name) => ({
      list: '/v1/redaction-rules',
      id: (await create('/v1/redaction-rules', { name, match: PAN })).id,
    }),
  },
};
