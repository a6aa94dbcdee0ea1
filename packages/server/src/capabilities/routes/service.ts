import type { Clock } from '../../kernel/clock.js';
import type { IdSource, Scope, TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller, subjectOf } from '../../kernel/principal.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Page } from '../../platform/http/route.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { Assignments } from '../clients/index.js';
import type { Environments } from '../environments/index.js';
import type { Plans } from '../plans/index.js';
import { createRouteActionStore } from './actions/store.js';
import { baseOf, type RouteDetail, type RouteReading } from './aggregate.js';
import {
  environmentDeleteEntry,
  environmentUpdateEntry,
  routeCreateEntry,
  routeDeleteEntry,
  routeUpdateEntry,
} from './audit.js';
import { NOTHING_OWN, type RouteConfig } from './config.js';
import type { RouteConfigStore } from './config-store.js';
import {
  baseStays,
  environmentNotFound,
  otherEnvironment,
  tooManyRoutes,
  unknownEnvironment,
} from './errors.js';
import type { RouteJudge } from './judging.js';
import { slugsOf } from './slug.js';
import type { RouteListOptions, RouteStore, StoredRoute } from './store.js';
import {
  asBase,
  type createRouteWriting,
  requireTarget,
  type SentTerms,
  sentNames,
  withSwitches,
} from './writing.js';

export interface NewRoute {
  readonly name: string;
  /** Null: none; undefined: one made of the name. */
  readonly slug: string | null | undefined;
  /** Undefined: `production`, or the default of the mode where there is none. */
  readonly baseEnvironment: string | undefined;
  readonly collectionId: string | null;
  readonly enabled: boolean;
  readonly terms: SentTerms;
}

export interface RouteChanges {
  readonly name?: string;
  readonly enabled?: boolean;
  /** Of the base environment; `requiresClients` and `mtlsCertificateId` of every one. */
  readonly terms: SentTerms;
}

export interface SentEnvironment {
  /** Its name once more, where it was sent. */
  readonly name: string | undefined;
  readonly terms: SentTerms;
}

/** Configured ways to upstreams (dataplane.md §5.1). A reference that none of the caller's tenant and mode has is 404. */
export interface RouteRecords {
  list(caller: Caller, options: RouteListOptions): Promise<Page<RouteDetail>>;
  get(caller: Caller, reference: string): Promise<RouteDetail>;
  /** 402 where the plan has no room for another, 409 of a name or slug that there is, 403 where it may not lead. */
  create(caller: Caller, input: NewRoute): Promise<RouteDetail>;
  update(caller: Caller, reference: string, changes: RouteChanges): Promise<RouteDetail>;
  /** With its environments, their clients and its actions. */
  delete(caller: Caller, reference: string): Promise<void>;
  putEnvironment(
    caller: Caller,
    reference: string,
    environment: string,
    sent: SentEnvironment,
  ): Promise<RouteConfig>;
  /** 409 of the base. With its clients. */
  deleteEnvironment(caller: Caller, reference: string, environment: string): Promise<void>;
  /** Those of live mode, which count for the plan. */
  countLive(tenantId: TenantId): Promise<number>;
}

/** What hangs on routes elsewhere. */
export interface RouteHolder {
  /** In the transaction that deletes the route, which holds its lock; counts, for the audit row. */
  remove(tx: Transaction, scope: Scope, routeId: string): Promise<Readonly<Record<string, number>>>;
}

export interface RouteRecordsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly plans: Pick<Plans, 'roomFor'>;
  readonly environments: Pick<Environments, 'find' | 'defaultOf'>;
  readonly assignments: Pick<Assignments, 'removeOfRoute'>;
  readonly reading: RouteReading;
  readonly store: RouteStore;
  readonly configStore: RouteConfigStore;
  readonly judge: RouteJudge;
  readonly writing: ReturnType<typeof createRouteWriting>;
  readonly holders: readonly RouteHolder[];
}

const BASE_USUALLY = 'production';

export function createRouteRecords(deps: RouteRecordsDeps): RouteRecords {
  const { db, clock, ids, auditLogs, plans, environments, assignments, reading, store, configStore } = deps;
  const { judge, writing } = deps;
  const actions = createRouteActionStore(db);

  async function baseFor(scope: Scope, asked: string | undefined, tx?: Transaction): Promise<string> {
    const name = asked ?? BASE_USUALLY;
    if (await environments.find(scope, name, tx)) return name;
    if (asked !== undefined) throw unknownEnvironment('base_environment', asked);
    return (await environments.defaultOf(scope, tx)).name;
  }

  async function freeSlug(tx: Transaction, scope: Scope, { slug, name }: NewRoute): Promise<string | null> {
    if (slug !== undefined) return slug;
    const possible = slugsOf(name);
    if (possible.length === 0) return null;
    const taken = await store.slugsTaken(tx, scope, possible);
    return possible.find((one) => !taken.has(one)) ?? null;
  }

  function newConfig(scope: Scope, routeId: string, environment: string, sent: SentTerms): RouteConfig {
    const nowMs = clock.nowMs();
    return {
      ...NOTHING_OWN,
      enabled: true,
      ...withSwitches(sent),
      id: ids.uuid(),
      scope,
      routeId,
      environment,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    };
  }

  const changed = (config: RouteConfig, sent: SentTerms): RouteConfig => ({
    ...config,
    ...withSwitches(sent),
    updatedAtMs: clock.nowMs(),
  });

  return {
    async list({ principal: { scope } }, options) {
      const [routes, total] = await Promise.all([
        store.list(scope, options),
        store.count(scope, options.enabled),
      ]);
      const configs = await configStore.ofRoutes(
        scope,
        routes.map(({ id }) => id),
      );
      // One that is being deleted meanwhile has none any more.
      const rows = routes.flatMap((route) => {
        const own = configs.get(route.id) ?? [];
        const base = baseOf(route, own);
        return base ? [{ route, base, configs: own }] : [];
      });
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    get: ({ principal: { scope } }, reference) => reading.detail(scope, reference),

    async create(caller, input) {
      const { principal } = caller;
      const { scope } = principal;
      const room = await plans.roomFor(scope, 'routes');
      const baseEnvironment = await baseFor(scope, input.baseEnvironment);
      const id = ids.uuid();
      const base = asBase(newConfig(scope, id, baseEnvironment, input.terms));
      requireTarget(base.targetBaseUrl);
      await judge.check(caller, baseEnvironment, [], [base], []);
      return db.transaction(async (tx) => {
        await baseFor(scope, baseEnvironment, tx);
        const used = await store.countIn(tx, scope);
        room.require(used);
        if (used >= LIMITS.routesMax) throw tooManyRoutes();
        await writing.requireReferences(tx, scope, input.terms);
        const { createdAtMs, updatedAtMs } = base;
        const route: StoredRoute = {
          id,
          scope,
          name: input.name,
          slug: await freeSlug(tx, scope, input),
          enabled: input.enabled,
          baseEnvironment,
          collectionId: input.collectionId,
          version: 0,
          createdBy: subjectOf(principal),
          createdAtMs,
          updatedAtMs,
        };
        await store.insert(tx, route);
        await configStore.insert(tx, base);
        const result = { route: await writing.touch(tx, { route }), base, configs: [base] };
        await auditLogs.record(tx, actorOf(caller), routeCreateEntry(result.route, base));
        await recordAnswer(tx, caller, result);
        return result;
      });
    },

    update(caller, reference, { terms, ...identity }) {
      const sent = withSwitches(terms);
      const { requiresClients, mtlsCertificateId } = sent;
      const everywhere: SentTerms = {
        ...(requiresClients !== undefined && { requiresClients }),
        ...(mtlsCertificateId !== undefined && { mtlsCertificateId }),
      };
      const isEverywhere = Object.keys(everywhere).length > 0;
      const make = ({ base, configs }: RouteDetail) => {
        if (Object.keys(sent).length === 0) return configs;
        return configs.map((config) => {
          if (config !== base) return isEverywhere ? changed(config, everywhere) : config;
          const after = asBase(changed(config, sent));
          requireTarget(after.targetBaseUrl);
          return after;
        });
      };
      return writing.change(caller, reference, sent, make, async (tx, before, configs) => {
        const route = await writing.touch(tx, before, identity);
        const result = { route, base: baseOf(route, configs)!, configs };
        const names = [...Object.keys(identity), ...sentNames(terms)];
        await auditLogs.record(tx, actorOf(caller), routeUpdateEntry(before, result, names));
        await recordAnswer(tx, caller, result);
        return result;
      });
    },

    async delete(caller, reference) {
      const { scope } = caller.principal;
      const { id } = await reading.find(scope, reference);
      await db.transaction(async (tx) => {
        const { route, configs } = await reading.lock(tx, scope, id);
        const clients = await assignments.removeOfRoute(tx, scope, { routeId: id });
        await actions.deleteOfRoute(tx, scope, id);
        await configStore.deleteOfRoute(tx, scope, id);
        // Before the row goes, which the cache is told by.
        await writing.touch(tx, { route });
        await store.delete(tx, scope, id);
        const own = { environments_deleted: configs.length, client_assignments_deleted: clients };
        const held = [];
        for (const holder of deps.holders) held.push(await holder.remove(tx, scope, id));
        await auditLogs.record(tx, actorOf(caller), routeDeleteEntry(route, Object.assign(own, ...held)));
        await recordAnswer(tx, caller, undefined);
      });
    },

    async putEnvironment(caller, reference, environment, { name, terms: sent }) {
      const { scope } = caller.principal;
      // Whose route it is, is known first; then whether the mode has such an environment.
      await reading.find(scope, reference);
      if (!(await environments.find(scope, environment))) throw environmentNotFound();
      if (name !== undefined && name !== environment) throw otherEnvironment();
      const fresh = newConfig(scope, '', environment, sent);
      const make = ({ route, base, configs }: RouteDetail) => {
        const former = configs.find((config) => config.environment === environment);
        if (!former) return [...configs, { ...fresh, routeId: route.id }];
        const after = changed(former, sent);
        if (former === base) requireTarget(after.targetBaseUrl);
        return configs.map((config) =>
          config === former ? (config === base ? asBase(after) : after) : config,
        );
      };
      return writing.change(caller, reference, sent, make, async (tx, before, configs) => {
        if (!(await environments.find(scope, environment, tx))) throw environmentNotFound();
        const route = await writing.touch(tx, before);
        const is = (config: RouteConfig) => config.environment === environment;
        const result = configs.find(is)!;
        const entry = environmentUpdateEntry(route, before.configs.find(is), result, sentNames(sent));
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, result);
        return result;
      });
    },

    async deleteEnvironment(caller, reference, environment) {
      const { scope } = caller.principal;
      const { id } = await reading.find(scope, reference);
      await db.transaction(async (tx) => {
        const before = await reading.lock(tx, scope, id);
        const config = before.configs.find((one) => one.environment === environment);
        if (!config) throw environmentNotFound();
        if (config === before.base) throw baseStays();
        const clients = await assignments.removeOfRoute(tx, scope, { routeId: id, environment });
        await configStore.delete(tx, scope, config.id);
        const route = await writing.touch(tx, before);
        const entry = environmentDeleteEntry(route, environment, { client_assignments_deleted: clients });
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, undefined);
      });
    },

    countLive: (tenantId) => store.count({ tenantId, sandbox: false }),
  };
}
