import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  apiLogRoutes,
  migrations as apiLogsMigrations,
  createApiLogs,
} from '../../capabilities/api-logs/index.js';
import {
  createCryptoKeys,
  migrations as cryptoKeysMigrations,
} from '../../capabilities/crypto-keys/index.js';
import {
  createVaults,
  vaultRoutes,
  migrations as vaultsMigrations,
} from '../../capabilities/vaults/index.js';
import type { RequestId } from '../../kernel/ids.js';
import { createHarness, type Floor, type Harness } from '../../testing/harness.js';
import { describeRouteMatrix } from '../../testing/route-matrix.js';

const LOGGED_REQUEST = '00000000-0000-4000-8000-00000000000a' as RequestId;
const TOKENS = '/v1/vaults/cards/tokens';

let harness: Harness;
let apiLogs: ReturnType<typeof createApiLogs>;
let token: string;

function furtherRoutes(floor: Floor) {
  const { db, clock, ids, random, auditLogs, generations, kms } = floor;
  const cryptoKeys = createCryptoKeys({ db, clock, ids, random, tenantKeys: kms });
  const vaults = createVaults({ db, clock, ids, random, cryptoKeys, auditLogs, generations });
  apiLogs = createApiLogs({
    db,
    clock,
    retention: floor.plans,
    onLostRow: (_entry, cause) => {
      throw cause;
    },
  });
  return [...vaultRoutes(vaults), ...apiLogRoutes(apiLogs)];
}

beforeAll(async () => {
  harness = await createHarness({
    migrations: [...cryptoKeysMigrations, ...vaultsMigrations, ...apiLogsMigrations],
    routes: furtherRoutes,
  });
  const key = harness.tenant.live;
  await harness.call('POST', '/v1/vaults', { key, body: { name: 'cards' } });
  const tokenized = await harness.call('POST', TOKENS, { key, body: { value: 'canary' } });
  token = String(tokenized.json['data']?.['token']);
  apiLogs.append({
    scope: { tenantId: harness.tenant.id, sandbox: false },
    requestId: LOGGED_REQUEST,
    routeId: null,
    matchedClientId: null,
    identificationMethod: 'api_key',
    method: 'GET',
    statusCode: 200,
    srcIp: null,
    environment: null,
    tsMs: harness.clock.nowMs(),
    path: '/',
    latencyMs: 1,
    upstreamHost: 'example.com',
    error: null,
    rateLimited: false,
    proxyMode: 'ephemeral',
    clientOrigin: 'direct',
  });
  await apiLogs.flush();
});
afterAll(() => harness.close());

describeRouteMatrix(
  () => harness,
  () => ({
    'DELETE /v1/api-keys/:id': { path: `/v1/api-keys/${harness.tenant.live.id}` },
    'GET /v1/logs/:request_id': { path: `/v1/logs/${LOGGED_REQUEST}` },
    'GET /v1/vaults/:nameOrId': { path: '/v1/vaults/cards' },
    'PATCH /v1/vaults/:nameOrId': { path: '/v1/vaults/cards', body: { description: 'x' } },
    'DELETE /v1/vaults/:nameOrId': { path: '/v1/vaults/cards' },
    'GET /v1/vaults/:nameOrId/tokens': { path: TOKENS },
    'POST /v1/vaults/:nameOrId/tokens': { path: TOKENS, body: { value: 'x' } },
    'GET /v1/vaults/:nameOrId/tokens/:idOrToken': { path: `${TOKENS}/${token}` },
    'DELETE /v1/vaults/:nameOrId/tokens/:idOrToken': { path: `${TOKENS}/${token}` },
  }),
);

describe('health', () => {
  it('answers bare bodies without a credential', async () => {
    const alive = await harness.call('GET', '/healthz');
    expect([alive.status, alive.json]).toEqual([200, { status: 'ok' }]);
    const ready = await harness.call('GET', '/readyz');
    expect([ready.status, ready.json]).toEqual([200, { status: 'ready', checks: { database: 'ok' } }]);
  });
});
