import type { FastifyInstance } from 'fastify';
import { createHealth } from '../app/apis/health.js';
import { createManagementApi } from '../app/apis/management-api.js';
import { managementRoutes } from '../app/management-routes.js';
import { MIGRATIONS } from '../app/migrations.js';
import type { TargetDatabases } from '../app/services-deps.js';
import { commitHook } from '../capabilities/audit-logs/index.js';
import type { IdSource, Mode, RequestId, TenantId } from '../kernel/ids.js';
import type { PlanTiers } from '../kernel/plan-tiers.js';
import type { Caller, UserRole } from '../kernel/principal.js';
import type { Generations } from '../platform/cache/generations.js';
import { type Random, systemIds, systemRandom } from '../platform/crypto/random.js';
import type { CallerSteps } from '../platform/http/caller.js';
import type { RouteDefinition } from '../platform/http/route.js';
import { closeHttpServer, createHttpServer } from '../platform/http/server.js';
import { createLogger, type Logger } from '../platform/log/logger.js';
import { createRequestLog } from '../platform/log/request-log.js';
import type { Database } from '../platform/storage/database.js';
import { callInProcess, type TestAnswer, type TestCall } from './calls.js';
import { type OpenTestDatabase, openTestSqlite, type TestDatabase } from './databases.js';
import { createManualClock, type ManualClock } from './manual-clock.js';
import {
  createTestServices,
  stepsOf,
  stopServices,
  type TestServices,
  type TestServicesOptions,
} from './services.js';
import { signInWith } from './sign-in.js';
import { stepUpWith } from './step-up.js';
import { createMember, createTestTenant, join, OWNER_PASSWORD, type TestTenant } from './tenants.js';

/** Every service as the server builds it; each tenant of the harness has a master key. */
export interface Floor extends TestServices {
  readonly db: Database;
  readonly clock: ManualClock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly logger: Logger;
  readonly steps: CallerSteps;
  /** Of `/admin`. */
  readonly userSteps: CallerSteps;
}

export interface HarnessOptions {
  /** SQLite in a folder of its own unless a suite brings another database. */
  readonly open?: OpenTestDatabase;
  /** Those of the product unless a suite brings its own. */
  readonly tiers?: PlanTiers;
  /** Databases in memory unless a suite brings real ones. */
  readonly targets?: TargetDatabases;
  /** Those in memory unless a suite brings others. */
  readonly clouds?: TestServicesOptions['clouds'];
  readonly kms?: TestServicesOptions['kms'];
  /** The guard's; unless a suite brings some, it resolves no name. */
  readonly egress?: TestServicesOptions['egress'];
  /** `KNOX_ALLOW_HTTP_WEBHOOKS`; default off. */
  readonly areHttpWebhooksAllowed?: boolean;
  /** What the clock shows at first; a day of its own unless another server's clock has a say. */
  readonly startMs?: number;
  /** `KNOX_SIGNUP`; default on. */
  readonly isSignupOn?: boolean;
  /** Beside those of the product. */
  readonly furtherRoutes?: readonly RouteDefinition[];
  /** Registers what is no management route, a proxy for one. */
  readonly extend?: (app: FastifyInstance, floor: Floor) => void;
}

export interface Harness extends Floor {
  readonly db: TestDatabase;
  readonly app: FastifyInstance;
  readonly tenant: TestTenant;
  /** A second tenant, to whom nothing of the first may show. */
  readonly other: TestTenant;
  readonly routes: readonly RouteDefinition[];
  readonly logLines: readonly string[];
  call(method: string, path: string, call?: TestCall): Promise<TestAnswer>;
  /** The admin token of a new session. */
  signIn(email: string): Promise<string>;
  /** That of a new member of the first tenant alone, whose password is `OWNER_PASSWORD` too. */
  signInAs(role: UserRole): Promise<string>;
  /** A step-up token of the session of that admin token, good for five minutes: `call(…, { token, stepUp })`. */
  stepUp(token: string, tenantId?: TenantId | null): Promise<string>;
  join(email: string, tenantId: TenantId, role: UserRole): Promise<void>;
  /** What a service sees when that key calls. */
  callerOf(tenant: TestTenant, mode: Mode): Caller;
  /** Waits for what is written behind answers. */
  flush(): Promise<void>;
  /** Moves the clock in steps short enough for the generations to be read as they would be in time. */
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

const POLL_STEP_MS = 500;

/** A server in this process on real parts: only the clock is manual. */
export async function createHarness(options: HarnessOptions = {}): Promise<Harness> {
  const clock = createManualClock(options.startMs);
  const logLines: string[] = [];
  const sink = { write: (line: string) => logLines.push(line) };
  const logger = createLogger('debug', sink);
  const requestLog = createRequestLog('debug', sink, clock);
  const db = await (options.open ?? openTestSqlite)(MIGRATIONS, { clock, commitHook });
  const services = createTestServices({
    db,
    clock,
    logger,
    ...(options.tiers && { tiers: options.tiers }),
    ...(options.targets && { targets: options.targets }),
    ...(options.egress && { egress: options.egress }),
    ...(options.areHttpWebhooksAllowed && { areHttpWebhooksAllowed: true }),
    ...(options.isSignupOn !== undefined && { isSignupOn: options.isSignupOn }),
    ...(options.clouds && { clouds: options.clouds }),
    ...(options.kms && { kms: options.kms }),
  });
  const further = { db, clock, ids: systemIds, random: systemRandom, logger };
  const floor: Floor = { ...services, ...further, ...stepsOf(services) };
  await floor.generations.start();
  await floor.auditChain.start();
  const app = createHttpServer({ logger, requestLog, ids: floor.ids, clock });
  const routes = [...managementRoutes(floor), ...(options.furtherRoutes ?? [])];
  const { idempotency, stepUpTokens: stepUp } = floor;
  app.register(createManagementApi({ routes, mount: 'v1', steps: floor.steps, idempotency }));
  app.register(createManagementApi({ routes, mount: 'admin', steps: floor.userSteps, idempotency, stepUp }));
  app.register(createHealth({ checks: { database: () => db.ping() }, isStopping: () => false }));
  options.extend?.(app, floor);
  await app.ready();
  const tenant = await createTestTenant(floor, 'acme');

  const signIn = (email: string) => signInWith(floor, email, OWNER_PASSWORD);

  return {
    ...floor,
    db,
    app,
    routes,
    logLines,
    tenant,
    other: await createTestTenant(floor, 'globex'),
    call: (method, path, call) => callInProcess(app, method, path, call ?? {}),
    signIn,
    stepUp: (token, tenantId) => stepUpWith(floor, token, tenantId),
    join: (email, tenantId, role) => join(floor, email, tenantId, role),
    signInAs: async (role) => signIn(await createMember(floor, tenant, role)),
    callerOf(tenant, mode) {
      const { id, keyId } = tenant[mode];
      return {
        principal: {
          kind: 'api_key',
          scope: { tenantId: tenant.id, sandbox: mode === 'test' },
          tenantSlug: tenant.slug,
          apiKeyId: id,
          keyId,
          userId: null,
          rateLimit: null,
          grants: [],
          may: () => true,
        },
        requestId: floor.ids.uuid() as RequestId,
        ip: '127.0.0.1',
      };
    },
    async flush() {
      await services.auth.flush();
      await db.flush();
    },
    async advance(ms) {
      for (let left = ms; left > 0; left -= POLL_STEP_MS) {
        clock.advance(Math.min(left, POLL_STEP_MS));
        await db.flush();
        await untilFresh(floor.generations);
      }
    },
    async close() {
      await closeHttpServer(app, clock, 1_000);
      await stopServices(services);
      await db.cleanup();
    },
  };
}

/** The poll that the clock set off runs on the real event loop; a bounded number of turns lets it finish. */
async function untilFresh(generations: Generations): Promise<void> {
  for (let turn = 0; turn < 1_000 && !generations.isFresh(); turn++)
    await new Promise((resolve) => setImmediate(resolve));
}
