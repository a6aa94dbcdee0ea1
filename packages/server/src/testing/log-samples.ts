import type { RequestId } from '../kernel/ids.js';
import type { World } from './matrix-rig.js';
import type { RouteSample } from './route-sample.js';

const REQUEST_IDS = '00000000-0000-4000-8000-0001';
/** On PostgreSQL a row is in the feed once it is older than this (README of api-logs). */
const FEED_WATERMARK_MS = 5_001;

let made = 0;

/** What a proxied call leaves behind; no endpoint makes such a row. */
export async function newLog(
  { tenant, mode, installation }: World,
  { routeId = null }: { readonly routeId?: string | null } = {},
): Promise<string> {
  const requestId = `${REQUEST_IDS}${String(++made).padStart(8, '0')}` as RequestId;
  const { apiLogs } = installation.services;
  apiLogs.append({
    scope: { tenantId: tenant.id, sandbox: mode === 'test' },
    requestId,
    routeId,
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
    signatureValid: null,
    warning: null,
  });
  await apiLogs.flush();
  installation.clock.advance(FEED_WATERMARK_MS);
  return requestId;
}

export const LOG_SAMPLES: Readonly<Record<string, RouteSample>> = {
  'GET /v1/logs/:request_id': { path: async (world) => `/v1/logs/${await newLog(world)}` },
  'GET /v1/logs/:request_id/proof': { path: async (world) => `/v1/logs/${await newLog(world)}/proof` },
};

export const LOG_KINDS = {
  '/v1/logs': { make: async (world: World) => ({ list: '/v1/logs', id: await newLog(world) }) },
};
