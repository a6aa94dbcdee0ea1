import type { Clock } from '../../kernel/clock.js';
import { isAppError, notFound, validationError } from '../../kernel/errors.js';
import { type IdSource, isUuid, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller, type Principal } from '../../kernel/principal.js';
import { isPending, type Promisable } from '../../kernel/promisable.js';
import type { Secret } from '../../kernel/secret.js';
import { wireName } from '../../kernel/wire-name.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { CacheCounts } from '../../platform/cache/lru.js';
import { createScopeCache } from '../../platform/cache/scope-cache.js';
import { type Egress, type EgressPlace, NOBODY_WAITS } from '../../platform/egress/egress.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Page } from '../../platform/http/route.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { EgressAllowlist } from '../egress-allowlist/index.js';
import type { TenantKeys } from '../kms/index.js';
import { defaultEntry, serverEntry } from './audit.js';
import { type Chains, createChains, type EgressChain, egressServer, passwordPlace } from './chains.js';
import { changedMeanwhile, nameTaken, passwordDueAgain, stillUsed, tooManyServers } from './errors.js';
import { createMoving, type MovedCalls, type RequiredPermissions, withServer } from './moving.js';
import { requireFailover, requireTerms } from './rules.js';
import {
  createEgressServerStore,
  type EgressServerListOptions,
  type EgressServerTerms,
  type StoredEgressServer,
} from './store.js';

export interface NewEgressServer extends EgressServerTerms {
  readonly password: Secret<string> | null;
}

/** What is absent stays. */
export type EgressServerChanges = { readonly [K in keyof NewEgressServer]?: NewEgressServer[K] | undefined };

export interface TestedServer {
  readonly success: boolean;
  readonly responseTimeMs: number;
  readonly error: string | null;
}

/** Another noun that names egress servers by their id. */
export interface EgressServerUser {
  /** By what it is used, as an error says it; null = it may be deleted. */
  usedBy(tx: Transaction, scope: Scope, egressServerId: string): Promise<string | null>;
  requiredFor(scope: Scope, moved: MovedCalls, tx?: Transaction): Promise<RequiredPermissions>;
}

export interface EgressServers {
  list(caller: Caller, options: EgressServerListOptions): Promise<Page<StoredEgressServer>>;
  get(caller: Caller, id: string): Promise<StoredEgressServer>;
  create(caller: Caller, input: NewEgressServer): Promise<StoredEgressServer>;
  /**
   * 400 where the password is not sent again and would go elsewhere (contract README §10); 403 where calls would go
   * elsewhere without the permissions for what they do.
   */
  update(caller: Caller, id: string, changes: EgressServerChanges): Promise<StoredEgressServer>;
  /** 409 while something uses it. */
  delete(caller: Caller, id: string): Promise<void>;
  /** Connects to that host by that server alone, on or not, and sends nothing. */
  test(caller: Caller, id: string, host: string): Promise<TestedServer>;
  defaultOf(caller: Caller): Promise<string | null>;
  /** 403 as above. */
  setDefault(caller: Caller, id: string | null): Promise<string | null>;
  /** For those that write such an id: undefined where there is none. */
  find(scope: Scope, id: string, tx?: Transaction): Promise<StoredEgressServer | undefined>;
  /**
   * How calls go out that name this server, or none: then by the default. Null = directly; an empty chain is no way, which
   * the guard answers 502. At once but for the first call after a change.
   */
  forCall(scope: Scope, id: string | null): Promisable<EgressChain | null>;
}

export interface EgressServersDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh'>;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly egress: Pick<Egress, 'judgeServer' | 'startClock' | 'parse' | 'judge' | 'probe'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
  readonly users: readonly EgressServerUser[];
  readonly cacheCounts?: CacheCounts;
}

const CHECK_MS = 5_000;
const TEST_MS = 20_000;

export function createEgressServers(deps: EgressServersDeps): EgressServers {
  const { db, clock, ids, generations, tenantKeys, auditLogs, egress, egressAllowlist, users } = deps;
  const store = createEgressServerStore(db);
  const logins = { tenantKeys, find: (scope: Scope, id: string) => store.find(scope, id) };
  const cache = createScopeCache<Chains>({
    name: 'egress-servers',
    generations,
    counts: deps.cacheCounts,
    load: async (scope) => createChains(logins, await store.listAll(scope), await store.defaultOf(scope)),
  });

  const moving = createMoving({
    users,
    paths: async (scope, tx) => ({
      servers: await store.listAll(scope, tx),
      defaultId: await store.defaultOf(scope, tx),
    }),
  });

  const lookUp = async (scope: Scope, id: string, tx?: Transaction) =>
    isUuid(id) ? store.find(scope, id.toLowerCase(), tx) : undefined;

  async function find(scope: Scope, id: string, tx?: Transaction): Promise<StoredEgressServer> {
    const server = await lookUp(scope, id, tx);
    if (!server) throw notFound('Egress server');
    return server;
  }

  /** A name that nobody knows now may be known later; each connection judges again. */
  async function judge({ tenantSlug }: Principal, place: EgressPlace): Promise<void> {
    const ending = egress.startClock(CHECK_MS, NOBODY_WAITS);
    try {
      await egress.judgeServer(place, tenantSlug, ending);
    } catch (error) {
      if (isAppError(error, 'dns_failure') || isAppError(error, 'upstream_timeout')) return;
      if (!isAppError(error, 'invalid_proxy_url')) throw error;
      const field = error.publicMessage.startsWith('The port') ? 'port' : 'address';
      throw validationError(field, error.publicMessage);
    } finally {
      ending.stop();
    }
  }

  async function seal(scope: Scope, id: string, password: Secret<string> | null): Promise<Buffer | null> {
    if (password === null) return null;
    const plain = Buffer.from(password.reveal(), 'utf8');
    try {
      return await tenantKeys.seal(passwordPlace(scope, id), plain);
    } finally {
      plain.fill(0);
    }
  }

  /** With the generation's row held, so that of two writers the second reads what the first wrote. */
  async function requireFits(tx: Transaction, server: StoredEgressServer): Promise<void> {
    await cache.changed(tx, server.scope);
    const others = (await store.listAll(server.scope, tx)).filter(({ id }) => id !== server.id);
    if (others.length >= LIMITS.egressServersMax) throw tooManyServers();
    if (others.some(({ name }) => name === server.name)) throw nameTaken();
    requireFailover(server.id, server.failoverId, others);
  }

  async function probe({ principal }: Caller, server: StoredEgressServer, host: string): Promise<void> {
    const { scope, tenantSlug } = principal;
    const policy = { tenantSlug, allowedHosts: await egressAllowlist.hostsFor(scope) };
    const url = egress.parse(`https://${host}/`, policy);
    const ending = egress.startClock(TEST_MS, NOBODY_WAITS);
    try {
      const target = await egress.judge(url, policy, ending);
      await egress.probe(target, egressServer(logins, server), ending);
    } finally {
      ending.stop();
    }
  }

  return {
    async list({ principal: { scope } }, options) {
      const [rows, total] = await Promise.all([store.list(scope, options), store.count(scope)]);
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    get: ({ principal: { scope } }, id) => find(scope, id),
    find: lookUp,

    async create(caller, { password, ...terms }) {
      const { principal } = caller;
      const { scope } = principal;
      requireTerms(terms, password !== null);
      await judge(principal, terms);
      const id = ids.uuid();
      const nowMs = clock.nowMs();
      const sealedPassword = await seal(scope, id, password);
      const times = { createdAtMs: nowMs, updatedAtMs: nowMs };
      const server: StoredEgressServer = { ...terms, id, scope, sealedPassword, version: 1, ...times };
      return db.transaction(async (tx) => {
        await requireFits(tx, server);
        await store.insert(tx, server);
        await auditLogs.record(tx, actorOf(caller), serverEntry('egress_server.create', server));
        await recordAnswer(tx, caller, server);
        return server;
      });
    },

    async update(caller, id, { password, ...changes }) {
      const { principal } = caller;
      const { scope } = principal;
      const before = await find(scope, id);
      const terms = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
      const after: StoredEgressServer = { ...before, ...terms };
      const hasPassword = password === undefined ? before.sealedPassword !== null : password !== null;
      requireTerms(after, hasPassword);
      const moved = (['kind', 'address', 'port'] as const).filter((field) => before[field] !== after[field]);
      if (moved.length > 0) {
        if (before.sealedPassword !== null && password === undefined) throw passwordDueAgain(moved);
        await judge(principal, after);
      }
      const moves = await moving(caller, withServer(after));
      const sealedPassword =
        password === undefined ? before.sealedPassword : await seal(scope, before.id, password);
      const server = { ...after, sealedPassword, version: before.version + 1, updatedAtMs: clock.nowMs() };
      return db.transaction(async (tx) => {
        await requireFits(tx, server);
        if ((await find(scope, id, tx)).version !== before.version) throw changedMeanwhile();
        await moves.confirm(tx);
        // Whoever rewraps meanwhile changes the envelope and no version.
        const { sealedPassword: current } = await find(scope, id, tx);
        await store.update(tx, password === undefined ? { ...server, sealedPassword: current } : server);
        const changed = { changed: fieldsOf(changes, password !== undefined) };
        await auditLogs.record(tx, actorOf(caller), serverEntry('egress_server.update', server, changed));
        await recordAnswer(tx, caller, server);
        return server;
      });
    },

    async delete(caller, id) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        await cache.changed(tx, scope);
        const server = await find(scope, id, tx);
        if ((await store.defaultOf(scope, tx)) === server.id) throw stillUsed('the default of the tenant');
        const other = (await store.listAll(scope, tx)).find(({ failoverId }) => failoverId === server.id);
        if (other) throw stillUsed(`the egress server ${other.name}, which fails over to it`);
        for (const user of users) {
          const by = await user.usedBy(tx, scope, server.id);
          if (by !== null) throw stillUsed(by);
        }
        await store.delete(tx, scope, server.id);
        await auditLogs.record(tx, actorOf(caller), serverEntry('egress_server.delete', server));
        await recordAnswer(tx, caller, undefined);
      });
    },

    async test(caller, id, host) {
      const server = await find(caller.principal.scope, id);
      const startedMs = clock.monotonicMs();
      let error: string | null = null;
      try {
        await probe(caller, server, host);
      } catch (cause) {
        if (isAppError(cause, 'invalid_proxy_url')) throw validationError('host', cause.publicMessage);
        if (!FINDINGS.some((type) => isAppError(cause, type))) throw cause;
        error = (cause as Error).message;
      }
      return { success: error === null, responseTimeMs: Math.round(clock.monotonicMs() - startedMs), error };
    },

    defaultOf: ({ principal: { scope } }) => store.defaultOf(scope),

    async setDefault(caller, id) {
      const { scope } = caller.principal;
      const moves = await moving(caller, ({ servers }) => ({ servers, defaultId: id }));
      return db.transaction(async (tx) => {
        await cache.changed(tx, scope);
        await moves.confirm(tx);
        if (id !== null && !(await store.find(scope, id, tx)))
          throw validationError('egress_server_id', 'names no egress server');
        const former = await store.defaultOf(scope, tx);
        await store.setDefault(tx, scope, id, clock.nowMs());
        await auditLogs.record(tx, actorOf(caller), defaultEntry(scope, former, id));
        await recordAnswer(tx, caller, id);
        return id;
      });
    },

    forCall(scope, id) {
      const chains = cache.get(scope);
      return isPending(chains) ? chains.then((known) => pick(known, id)) : pick(chains, id);
    },
  };
}

/** What a test is there to find out; all else is an error of the call. */
const FINDINGS = [
  'egress_unavailable',
  'dns_failure',
  'upstream_unreachable',
  'upstream_tls_error',
  'upstream_timeout',
] as const;

function pick(chains: Chains, id: string | null): EgressChain | null {
  const at = id ?? chains.defaultId;
  return at === null ? null : chains.of(at);
}

function fieldsOf(changes: object, hasPassword: boolean): string[] {
  const names = Object.entries(changes).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  const wire = names.map(wireName);
  return hasPassword ? [...wire, 'password'] : wire;
}
