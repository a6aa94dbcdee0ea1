import type { FastifyInstance } from 'fastify';
import { createHealth } from '../app/apis/health.js';
import { createManagementApi } from '../app/apis/management-api.js';
import {
  type Accounts,
  migrations as accountsMigrations,
  authRoutes,
  type Sessions,
  systemActor,
} from '../capabilities/accounts/index.js';
import { accountsTables } from '../capabilities/accounts/tables.js';
import {
  type ApiKeys,
  apiKeyRoutes,
  migrations as apiKeysMigrations,
} from '../capabilities/api-keys/index.js';
import {
  type AuditChain,
  type AuditLogs,
  auditLogRoutes,
  migrations as auditLogsMigrations,
  commitHook,
} from '../capabilities/audit-logs/index.js';
import { migrations as idempotencyMigrations } from '../capabilities/idempotency/index.js';
import { type Kms, migrations as kmsMigrations } from '../capabilities/kms/index.js';
import {
  decisionOfUser,
  type Permissions,
  migrations as permissionsMigrations,
  roleRoutes,
} from '../capabilities/permissions/index.js';
import { type Plans, migrations as plansMigrations } from '../capabilities/plans/index.js';
import type { ApiKeyId, IdSource, Mode, RequestId, TenantId, UserId } from '../kernel/ids.js';
import type { PlanTiers } from '../kernel/plan-tiers.js';
import type { Caller, UserRole } from '../kernel/principal.js';
import { Secret } from '../kernel/secret.js';
import { type Generations, migrations as generationsMigrations } from '../platform/cache/generations.js';
import { hashPassword } from '../platform/crypto/password-hash.js';
import { type Random, systemIds, systemRandom } from '../platform/crypto/random.js';
import type { CallerSteps } from '../platform/http/caller.js';
import type { Idempotency } from '../platform/http/idempotency.js';
import type { RouteDefinition } from '../platform/http/route.js';
import { closeHttpServer, createHttpServer } from '../platform/http/server.js';
import type { RateLimiter } from '../platform/limits/rate-limiter.js';
import { migrations as limitsMigrations } from '../platform/limits/tables.js';
import { createLogger, createRequestLog, type Logger } from '../platform/log/logger.js';
import type { Outbox } from '../platform/outbox/outbox.js';
import type { Database } from '../platform/storage/database.js';
import type { Migration } from '../platform/storage/migration.js';
import { type OpenTestDatabase, openTestSqlite } from './databases.js';
import { createManualClock, type ManualClock } from './manual-clock.js';
import { createTestServices, stepsOf, stopServices } from './services.js';

/** What every capability stands on; a capability under test builds its service from these. */
export interface Floor {
  readonly db: Database;
  readonly clock: ManualClock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly logger: Logger;
  readonly generations: Generations;
  readonly auditChain: AuditChain;
  readonly auditLogs: AuditLogs;
  /** Each tenant of the harness has a master key. */
  readonly kms: Kms;
  readonly idempotency: Idempotency;
  readonly accounts: Accounts;
  readonly permissions: Permissions;
  readonly apiKeys: ApiKeys;
  readonly limiter: RateLimiter;
  readonly plans: Plans;
  readonly sessions: Sessions;
  readonly outbox: Outbox;
  readonly steps: CallerSteps;
  /** Of `/admin`. */
  readonly userSteps: CallerSteps;
}

export interface HarnessOptions {
  /** SQLite in a folder of its own unless a suite brings another database. */
  readonly open?: OpenTestDatabase;
  /** Those of the product unless a suite brings its own. */
  readonly tiers?: PlanTiers;
  /** Further tables, beside those of the floor. */
  readonly migrations?: readonly Migration[];
  readonly routes?: (floor: Floor) => readonly RouteDefinition[];
  /** Registers what is no management route, a proxy for one. */
  readonly extend?: (app: FastifyInstance, floor: Floor) => void;
}

export interface TestKey {
  readonly apiKey: string;
  readonly id: ApiKeyId;
  readonly keyId: string;
}

export interface TestTenant {
  readonly id: TenantId;
  readonly slug: string;
  /** Whose password is `OWNER_PASSWORD`. */
  readonly ownerEmail: string;
  readonly live: TestKey;
  readonly test: TestKey;
}

export interface TestCall {
  readonly key?: TestKey | string;
  /** An admin token. */
  readonly token?: string;
  /** Default a plain address, where the key decides the mode. */
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The peer, default loopback. */
  readonly ip?: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, in place of a body. */
  readonly payload?: string | Buffer;
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>;
  readonly text: string;
  /** An empty tree when the answer was no JSON. */
  readonly json: JsonTree;
}

/** Tests read members of answers of every shape; a wrong one fails there. */
export type JsonTree = ReturnType<typeof JSON.parse>;

export interface Harness extends Floor {
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
  join(email: string, tenantId: TenantId, role: UserRole): Promise<void>;
  /** What a service sees when that key calls. */
  callerOf(tenant: TestTenant, mode: Mode): Caller;
  /** Moves the clock in steps short enough for the generations to be read as they would be in time. */
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

export const floorMigrations: readonly Migration[] = [
  ...accountsMigrations,
  ...generationsMigrations,
  ...permissionsMigrations,
  ...apiKeysMigrations,
  ...auditLogsMigrations,
  ...kmsMigrations,
  ...idempotencyMigrations,
  ...plansMigrations,
  ...limitsMigrations,
];

const POLL_STEP_MS = 500;

/** A server in this process on real parts: only the clock is manual. */
export async function createHarness(options: HarnessOptions = {}): Promise<Harness> {
  const clock = createManualClock();
  const logLines: string[] = [];
  const sink = { write: (line: string) => logLines.push(line) };
  const logger = createLogger('debug', sink);
  const requestLog = createRequestLog('debug', sink, clock);
  const db = await (options.open ?? openTestSqlite)([...floorMigrations, ...(options.migrations ?? [])], {
    clock,
    commitHook,
  });
  const services = createTestServices({ db, clock, logger, ...(options.tiers && { tiers: options.tiers }) });
  const further = { db, clock, ids: systemIds, random: systemRandom, logger };
  const floor: Floor = { ...services, ...further, ...stepsOf(services) };
  await floor.generations.start();
  await floor.auditChain.start();
  const app = createHttpServer({ logger, requestLog, ids: floor.ids, clock });
  const routes = [
    ...authRoutes({
      sessions: floor.sessions,
      cookies: { isSecure: false },
      permissionsOf: (role) => decisionOfUser(role).grants.map(({ permission }) => permission),
    }),
    ...apiKeyRoutes(floor.apiKeys),
    ...roleRoutes(floor.permissions),
    ...auditLogRoutes(floor.auditLogs, floor.auditChain),
    ...(options.routes?.(floor) ?? []),
  ];
  const { idempotency } = floor;
  app.register(createManagementApi({ routes, mount: 'v1', steps: floor.steps, idempotency }));
  app.register(createManagementApi({ routes, mount: 'admin', steps: floor.userSteps, idempotency }));
  app.register(createHealth({ checks: { database: () => db.ping() }, isStopping: () => false }));
  options.extend?.(app, floor);
  await app.ready();
  const tenant = await createTestTenant(floor, 'acme');

  async function signIn(email: string): Promise<string> {
    const device = { requestId: floor.ids.uuid() as RequestId, ip: '127.0.0.1', userAgent: null };
    const session = await floor.sessions.signIn(email, new Secret(OWNER_PASSWORD), device);
    return session.token.reveal();
  }

  return {
    ...floor,
    app,
    routes,
    logLines,
    tenant,
    other: await createTestTenant(floor, 'globex'),
    call: (method, path, call) => callInProcess(app, method, path, call ?? {}),
    signIn,
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

export const OWNER_PASSWORD = 'correct horse battery staple';
/** Slow on purpose, so made once for all tenants of a test file. */
const ownerHash = hashPassword(new Secret(OWNER_PASSWORD));

type TenantMakers = Pick<Floor, 'db' | 'ids' | 'kms' | 'accounts' | 'apiKeys'>;

export async function createTestTenant(floor: TenantMakers, slug: string): Promise<TestTenant> {
  const owner = { email: `owner@${slug}.example`, passwordHash: await ownerHash };
  const id = floor.ids.uuid() as TenantId;
  const masterKey = await floor.kms.prepare(id);
  return floor.db.transaction(async (tx) => {
    const input = { id, slug, name: slug, plan: 'enterprise' as const };
    const tenant = await floor.accounts.createTenantWithOwner(tx, input, owner);
    await floor.kms.createFor(tx, id, masterKey);
    const actor = systemActor(tenant.id);
    const live = await floor.apiKeys.createIn(tx, actor, floor.apiKeys.prepare('live', 'live key'));
    const test = await floor.apiKeys.createIn(
      tx,
      { ...actor, scope: { ...actor.scope, sandbox: true } },
      floor.apiKeys.prepare('test', 'test key'),
    );
    const shown = ({ id, keyId, apiKey }: typeof live): TestKey => ({ id, keyId, apiKey: apiKey.reveal() });
    return { id: tenant.id, slug, ownerEmail: owner.email, live: shown(live), test: shown(test) };
  });
}

/** A new user, in that tenant alone, whose password is `OWNER_PASSWORD`; the e-mail address. */
export async function createMember(
  floor: Pick<Floor, 'db' | 'ids' | 'clock'>,
  { id, slug }: TestTenant,
  role: UserRole,
): Promise<string> {
  const email = `${role}@${slug}.example`;
  await floor.db
    .view(accountsTables)
    .system('people')
    .insertInto('users')
    .values({
      id: floor.ids.uuid() as UserId,
      email,
      email_folded: email,
      password_hash: await ownerHash,
      created_at: floor.clock.nowMs(),
    })
    .execute();
  await join(floor, email, id, role);
  return email;
}

async function join(
  { db, clock }: Pick<Floor, 'db' | 'clock'>,
  email: string,
  tenantId: TenantId,
  role: UserRole,
): Promise<void> {
  const people = db.view(accountsTables);
  const { id } = await people
    .system('people')
    .selectFrom('users')
    .select('id')
    .where('email_folded', '=', email)
    .executeTakeFirstOrThrow();
  await people
    .scoped({ tenantId })
    .insertInto('memberships')
    .values({ user_id: id, role, created_at: clock.nowMs() })
    .execute();
}

export async function callInProcess(
  app: FastifyInstance,
  method: string,
  path: string,
  call: TestCall,
): Promise<TestAnswer> {
  const key = typeof call.key === 'object' ? call.key.apiKey : call.key;
  const credential = key ?? call.token;
  const payload = call.payload ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
  const answer = await app.inject({
    method: method as 'GET',
    url: path,
    ...(call.ip === undefined ? {} : { remoteAddress: call.ip }),
    headers: {
      host: call.host ?? '127.0.0.1:8787',
      ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
      ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
      ...call.headers,
    },
    ...(payload === undefined ? {} : { payload }),
  });
  const isJson = String(answer.headers['content-type']).startsWith('application/json');
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text: answer.body,
    json: isJson && answer.body !== '' ? answer.json() : {},
  };
}

/** The poll that the clock set off runs on the real event loop; a bounded number of turns lets it finish. */
async function untilFresh(generations: Generations): Promise<void> {
  for (let turn = 0; turn < 1_000 && !generations.isFresh(); turn++)
    await new Promise((resolve) => setImmediate(resolve));
}
