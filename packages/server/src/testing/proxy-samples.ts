import type { RequestId } from '../kernel/ids.js';
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

const REQUEST_IDS = '00000000-0000-4000-8000-';
const newRule = async ({ create }: World) =>
  `/v1/redaction-rules/${(await create('/v1/redaction-rules', { name: freshName(), match: PAN })).id}`;

/** On PostgreSQL a row is in the feed once it is older than this (README of api-logs). */
const FEED_WATERMARK_MS = 5_001;

let logged = 0;
/** What a proxied call leaves behind; no endpoint makes such a row. */
async function newLog({ tenant, mode, installation }: World): Promise<string> {
  const requestId = `${REQUEST_IDS}${String(++logged).padStart(12, '0')}` as RequestId;
  const { apiLogs } = installation.services;
  apiLogs.append({
    scope: { tenantId: tenant.id, sandbox: mode === 'test' },
    requestId,
    routeId: null,
    matchedClientId: null,
    identificationMethod: 'api_key',
    method: 'GET',
    statusCode: 200,
    srcIp: null,
    environment: null,
    tsMs: installation.clock.nowMs(),
    path: '/',
    latencyMs: 1,
    upstreamHost: 'example.com',
    error: null,
    rateLimited: false,
    proxyMode: 'ephemeral',
    clientOrigin: 'direct',
    echo: null,
  });
  await apiLogs.flush();
  installation.clock.advance(FEED_WATERMARK_MS);
  return requestId;
}

export const PROXY_SAMPLES: Readonly<Record<string, RouteSample>> = {
  'GET /v1/logs/:request_id': { path: async (world) => `/v1/logs/${await newLog(world)}` },
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
  '/v1/logs': { make: async (world) => ({ list: '/v1/logs', id: await newLog(world) }) },
  '/v1/redaction-rules': {
    make: async ({ create }, name) => ({
      list: '/v1/redaction-rules',
      id: (await create('/v1/redaction-rules', { name, match: PAN })).id,
    }),
  },
};
