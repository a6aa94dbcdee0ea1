import { createManagementApi } from '../app/apis/management-api.js';
import { prepareInstallation } from '../app/installation.js';
import { MIGRATIONS, managementRoutes } from '../app/services.js';
import { commitHook } from '../capabilities/audit-logs/index.js';
import type { RequestId } from '../kernel/ids.js';
import { Secret } from '../kernel/secret.js';
import { systemIds, systemRandom } from '../platform/crypto/random.js';
import type { RouteDefinition } from '../platform/http/route.js';
import { closeHttpServer, createHttpServer } from '../platform/http/server.js';
import { createLogger, createRequestLog } from '../platform/log/logger.js';
import { type OpenTestDatabase, openTestSqlite } from './databases.js';
import { callInProcess, type TestAnswer, type TestCall } from './harness.js';
import { createManualClock } from './manual-clock.js';
import { createTestServices, stepsOf, stopServices } from './services.js';

/** The management API as the server composes it, with the tenant of a first start. */
export interface TestInstallation {
  readonly routes: readonly RouteDefinition[];
  readonly logLines: readonly string[];
  /** With the tenant's live key, under `/admin` with the owner's token, unless the call names another. */
  call(method: string, path: string, call: TestCall): Promise<TestAnswer>;
  close(): Promise<void>;
}

export async function openInstallation(open: OpenTestDatabase = openTestSqlite): Promise<TestInstallation> {
  const clock = createManualClock();
  const logLines: string[] = [];
  const sink = { write: (line: string) => logLines.push(line) };
  const logger = createLogger('debug', sink);
  const db = await open(MIGRATIONS, { clock, commitHook });
  const services = createTestServices({ db, clock, logger });
  await services.generations.start();
  const installation = await prepareInstallation({
    db,
    ids: systemIds,
    random: systemRandom,
    services,
    ownerEmail: 'owner@example.com',
    plan: 'enterprise',
    baseUrl: 'http://localhost',
  });
  await installation.commit();
  const routes = managementRoutes(services);
  const app = createHttpServer({
    logger,
    requestLog: createRequestLog('debug', sink, clock),
    ids: systemIds,
    clock,
  });
  const { steps, userSteps } = stepsOf(services);
  const { idempotency } = services;
  app.register(createManagementApi({ routes, mount: 'v1', steps, idempotency }));
  app.register(createManagementApi({ routes, mount: 'admin', steps: userSteps, idempotency }));
  await app.ready();
  const { email, password } = installation.content.admin;
  const device = { requestId: systemIds.uuid() as RequestId, ip: '127.0.0.1', userAgent: null };
  const { token } = await services.sessions.signIn(email, new Secret(password), device);
  return {
    routes,
    logLines,
    call(method, path, call) {
      const credential = path.startsWith('/v1/')
        ? { key: installation.content.live_api_key }
        : { token: token.reveal() };
      return callInProcess(app, method, path, { ...credential, ...call });
    },
    async close() {
      await closeHttpServer(app, clock, 1_000);
      await stopServices(services);
      await db.cleanup();
    },
  };
}
