import type { FastifyInstance } from 'fastify';
import { registerHttpApis } from '../app/http-apis.js';
import { prepareInstallation } from '../app/installation.js';
import { managementRoutes } from '../app/management-routes.js';
import { MIGRATIONS } from '../app/migrations.js';
import { commitHook } from '../capabilities/audit-logs/index.js';
import type { Clouds } from '../capabilities/kms/index.js';
import { Secret } from '../kernel/secret.js';
import { systemIds, systemRandom } from '../platform/crypto/random.js';
import { NO_TRUSTED_PEERS, type TrustedPeers } from '../platform/http/read-source.js';
import type { RouteDefinition } from '../platform/http/route.js';
import { closeHttpServer, createHttpServer } from '../platform/http/server.js';
import { createLogger } from '../platform/log/logger.js';
import { createRequestLog } from '../platform/log/request-log.js';
import { createInstruments } from '../platform/telemetry/instruments.js';
import { callInProcess, type TestAnswer, type TestCall } from './calls.js';
import { type OpenTestDatabase, openTestSqlite, type TestDatabase } from './databases.js';
import { createManualClock, type ManualClock } from './manual-clock.js';
import { createTestServices, stopServices, type TestServices, type TestServicesOptions } from './services.js';
import { signInWith } from './sign-in.js';

/** Every API as the server composes it, with the tenant of a first start. */
export interface TestInstallation {
  readonly app: FastifyInstance;
  readonly db: TestDatabase;
  readonly clock: ManualClock;
  readonly services: TestServices;
  readonly routes: readonly RouteDefinition[];
  /** All that the HTTP server has been told to serve, as `GET /healthz`. */
  readonly registered: readonly string[];
  readonly logLines: readonly string[];
  readonly owner: { readonly email: string; readonly password: string };
  /** With the tenant's live key, under `/admin` with the owner's token, unless the call names another. */
  call(method: string, path: string, call: TestCall): Promise<TestAnswer>;
  /** The admin token of a new session. */
  signIn(email: string, password: string): Promise<string>;
  close(): Promise<void>;
}

export interface InstallationOptions {
  /** SQLite in a folder of its own unless a suite brings another database. */
  readonly open?: OpenTestDatabase;
  /** `KNOX_SIGNUP`; default on. */
  readonly isSignupOn?: boolean;
  /** Where it is reached, once it listens. */
  readonly publicUrl?: () => string;
  /** `KNOX_PUBLIC_URL`, as it stands in certificates; default none. */
  readonly configuredUrl?: string;
  /** What the clock shows at first. */
  readonly startMs?: number;
  /** Those in memory unless a suite brings others. */
  readonly clouds?: Clouds;
  /** Of ACME; unless a suite brings some, it resolves no name. */
  readonly validation?: TestServicesOptions['validation'];
  /** The guard's; unless a suite brings some, it resolves no name. */
  readonly egress?: TestServicesOptions['egress'];
  /** `KNOX_WRAP_SUBDOMAINS`; default off. */
  readonly hasWrapSubdomains?: boolean;
  /** Nobody unless a suite says so. */
  readonly trustedPeers?: TrustedPeers;
  /** Registers more than the server has. */
  readonly extend?: (app: FastifyInstance) => void;
}

export async function openInstallation(options: InstallationOptions = {}): Promise<TestInstallation> {
  const { trustedPeers = NO_TRUSTED_PEERS, hasWrapSubdomains = false } = options;
  const clock = createManualClock(options.startMs);
  const logLines: string[] = [];
  const sink = { write: (line: string) => logLines.push(line) };
  const logger = createLogger('debug', sink);
  const db = await (options.open ?? openTestSqlite)(MIGRATIONS, { clock, commitHook });
  const { publicUrl, configuredUrl } = options;
  const services = createTestServices({
    db,
    clock,
    logger,
    isSignupOn: options.isSignupOn ?? true,
    ...(publicUrl && { publicUrl }),
    ...(configuredUrl && { configuredUrl }),
    ...(options.clouds && { clouds: options.clouds }),
    ...(options.validation && { validation: options.validation }),
    ...(options.egress && { egress: options.egress }),
    hasWrapSubdomains,
  });
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
  const app = createHttpServer({
    logger,
    requestLog: createRequestLog('debug', sink, clock),
    ids: systemIds,
    clock,
    trustedPeers,
  });
  const registered: string[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) registered.push(`${one} ${url}`);
  });
  const proxyApi = await registerHttpApis(app, {
    config: {
      hosts: { baseDomain: 'localhost', publicUrl: null, customHosts: [], hasWrapSubdomains },
      metricsToken: new Secret(METRICS_TOKEN),
      trustedPeers,
    },
    db,
    services,
    deploymentId: '0a1b2c3d',
    instruments: createInstruments(),
    isStopping: () => false,
  });
  options.extend?.(app);
  await app.ready();

  const signIn = (email: string, password: string) => signInWith(services, email, password);
  const { email, password } = installation.content.admin;
  const token = await signIn(email, password);
  return {
    app,
    db,
    clock,
    services,
    routes: managementRoutes(services),
    registered,
    logLines,
    owner: { email, password },
    call(method, path, call) {
      const credential = path.startsWith('/v1/') ? { key: installation.content.live_api_key } : { token };
      return callInProcess(app, method, path, { ...credential, ...call });
    },
    signIn,
    async close() {
      await closeHttpServer(app, clock, 1_000);
      await proxyApi.settled();
      await stopServices(services);
      await db.cleanup();
    },
  };
}

export const METRICS_TOKEN = 'metrics-token-of-the-tests';
