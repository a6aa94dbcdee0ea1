import type { Clock } from '../../kernel/clock.js';
import { type IdSource, isUuid, type Scope, type TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller, subjectOf } from '../../kernel/principal.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { CacheCounts } from '../../platform/cache/lru.js';
import { createScopeCache } from '../../platform/cache/scope-cache.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Page } from '../../platform/http/route.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { createLastUsed } from '../../platform/storage/last-used.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { ClientCa } from '../client-ca/index.js';
import type { Plans } from '../plans/index.js';
import { type Assignments, createAssignments, type RouteEnvironment } from './assignments/service.js';
import { createAssignmentStore } from './assignments/store.js';
import { clientCreateEntry, clientDeleteEntry, clientUpdateEntry } from './audit.js';
import { revokeIssued } from './credentials/revocation.js';
import { type Credentials, createCredentials } from './credentials/service.js';
import { type Credential, createCredentialStore } from './credentials/store.js';
import { clientNotFound, noSigningSecret, tooManyClients, tooManyCredentials } from './errors.js';
import { type ClientIndex, loadClientIndex } from './matching/client-index.js';
import { type ClientMatcher, createClientMatcher } from './matching/service.js';
import { createMatchingStore } from './matching/store.js';
import { type Client, type ClientListOptions, type ClientTerms, createClientStore } from './store.js';

export type NewClient = Omit<ClientTerms, 'enabled' | 'collectionId'>;

export interface AssignedRoute extends RouteEnvironment {
  /** Null of one that is being deleted. */
  readonly routeName: string | null;
}

export interface ClientDetail extends Client {
  readonly assignments: readonly AssignedRoute[];
}

/** Who may call, by where they call from (clients-pki.md §1, §2). An id that no client of the caller's tenant and mode has is 404. */
export interface Clients {
  list(caller: Caller, options: ClientListOptions): Promise<Page<Client>>;
  get(caller: Caller, id: string): Promise<ClientDetail>;
  /** 402 where the plan has no room for another, 409 where a mode has none. Its address, where it has one, is a credential of its own. */
  create(caller: Caller, input: NewClient): Promise<Client>;
  /** 409 where the new address is that of another credential of the client, or there is no room for one. */
  update(caller: Caller, id: string, changes: Partial<ClientTerms>): Promise<Client>;
  /** With its credentials, of which those that were issued are revoked, and its assignments. */
  delete(caller: Caller, id: string): Promise<void>;
  /** Those of live mode, which count for the plan. */
  countLive(tenantId: TenantId): Promise<number>;
  readonly credentials: Credentials;
  readonly assignments: Assignments;
  readonly matcher: ClientMatcher;
  /** Writes the pending matches. */
  stop(): Promise<void>;
}

export interface ClientsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: Pick<Logger, 'warn'>;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly plans: Pick<Plans, 'roomFor'>;
  readonly clientCa: ClientCa;
  routeNames(scope: Scope, ids: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Whether a secret of that id is one that can sign: of the type `string`. */
  isSigningSecret(scope: Scope, id: string, tx: Transaction): Promise<boolean>;
  readonly cacheCounts?: CacheCounts;
}

/** Credentials and assignments that are held in memory, of all tenants together: some 300 bytes each. */
const HELD_MAX = 2_000_000;

export function createClients(deps: ClientsDeps): Clients {
  const { db, clock, ids, generations, auditLogs, plans, clientCa, logger } = deps;
  const store = createClientStore(db);
  const credentialStore = createCredentialStore(db);
  const assignmentStore = createAssignmentStore(db);
  const matchingStore = createMatchingStore(db);
  const indexes = createScopeCache<ClientIndex>({
    name: 'clients',
    generations,
    counts: deps.cacheCounts,
    weightMax: HELD_MAX,
    weigh: ({ weight }) => weight,
    load: (scope) => loadClientIndex(matchingStore, scope),
  });
  const lastMatched = createLastUsed<string>({ db, store: credentialStore, clock, logger });

  async function findClient(scope: Scope, id: string, tx?: Transaction): Promise<Client> {
    const client = isUuid(id) ? await store.find(scope, id.toLowerCase(), tx) : undefined;
    if (!client) throw clientNotFound();
    return client;
  }

  async function requireSigningSecret(tx: Transaction, scope: Scope, id: string | null): Promise<void> {
    if (id !== null && !(await deps.isSigningSecret(scope, id, tx))) throw noSigningSecret();
  }

  function ownCredential(client: Client): Credential {
    return {
      id: ids.uuid(),
      scope: client.scope,
      clientId: client.id,
      evidence: { kind: 'ip', value: client.ipAddress },
      label: null,
      isOwn: true,
      enabled: true,
      expiresAtMs: null,
      lastMatchedAtMs: null,
      createdAtMs: client.updatedAtMs,
      updatedAtMs: client.updatedAtMs,
    };
  }

  /** The credential that stands for it follows, with the id that it has (clients-pki.md §1.4). */
  async function followAddress(tx: Transaction, client: Client): Promise<void> {
    const all = await credentialStore.list(client.scope, client.id, tx);
    const own = all.find(({ isOwn }) => isOwn);
    if (client.ipAddress === '') {
      if (own) await credentialStore.delete(tx, client.scope, own.id);
    } else if (own) {
      const { id, label, createdAtMs } = own;
      await credentialStore.update(tx, { ...ownCredential(client), id, label, createdAtMs });
    } else {
      if (all.length >= LIMITS.clientCredentialsMax) throw tooManyCredentials();
      await credentialStore.insert(tx, ownCredential(client));
    }
  }

  return {
    async list({ principal: { scope } }, options) {
      const [rows, total] = await Promise.all([store.list(scope, options), store.count(scope, options.type)]);
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    async get({ principal: { scope } }, id) {
      const client = await findClient(scope, id);
      const assigned = await assignmentStore.ofClient(scope, client.id);
      const names = await deps.routeNames(scope, [...new Set(assigned.map(({ routeId }) => routeId))]);
      const assignments = assigned.map((at) => ({ ...at, routeName: names.get(at.routeId) ?? null }));
      return { ...client, assignments };
    },

    async create(caller, input) {
      const { scope } = caller.principal;
      const room = await plans.roomFor(scope, 'clients');
      return db.transaction(async (tx) => {
        const nowMs = clock.nowMs();
        const client: Client = {
          ...input,
          id: ids.uuid(),
          scope,
          enabled: true,
          collectionId: null,
          createdBy: subjectOf(caller.principal),
          createdAtMs: nowMs,
          updatedAtMs: nowMs,
        };
        await requireSigningSecret(tx, scope, client.signingSecretId);
        const used = await store.countIn(tx, scope);
        room.require(used);
        if (used >= LIMITS.clientsMax) throw tooManyClients();
        await store.insert(tx, client);
        if (client.ipAddress !== '') {
          await credentialStore.insert(tx, ownCredential(client));
          await indexes.changed(tx, scope);
        }
        await auditLogs.record(tx, actorOf(caller), clientCreateEntry(client));
        await recordAnswer(tx, caller, client);
        return client;
      });
    },

    update(caller, id, changes) {
      const { scope } = caller.principal;
      return db.transaction(async (tx) => {
        const before = await findClient(scope, id, tx);
        const after: Client = { ...before, ...changes, updatedAtMs: clock.nowMs() };
        if (after.signingSecretId !== before.signingSecretId)
          await requireSigningSecret(tx, scope, after.signingSecretId);
        await store.update(tx, after);
        if (after.ipAddress !== before.ipAddress) await followAddress(tx, after);
        if (isSeenByMatcher(before, after)) await indexes.changed(tx, scope);
        const sent = Object.keys(changes) as (keyof ClientTerms)[];
        await auditLogs.record(tx, actorOf(caller), clientUpdateEntry(before, after, sent));
        await recordAnswer(tx, caller, after);
        return after;
      });
    },

    async delete(caller, id) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        const client = await findClient(scope, id, tx);
        await indexes.changed(tx, scope);
        const credentials = await credentialStore.list(scope, client.id, tx);
        await store.delete(tx, scope, client.id);
        const revoked = await revokeIssued(clientCa, tx, scope, credentials, 'cessation_of_operation');
        const entry = clientDeleteEntry(client, credentials.length, revoked);
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, undefined);
      });
    },

    countLive: (tenantId) => store.count({ tenantId, sandbox: false }),
    credentials: createCredentials({ ...deps, findClient, clients: store, store: credentialStore, indexes }),
    assignments: createAssignments({ ...deps, store: assignmentStore, indexes }),
    matcher: createClientMatcher({ clock, indexes, lastMatched }),
    stop: () => lastMatched.stop(),
  };
}

function isSeenByMatcher(before: Client, after: Client): boolean {
  return (
    before.name !== after.name ||
    before.ipAddress !== after.ipAddress ||
    before.enabled !== after.enabled ||
    before.signingSecretId !== after.signingSecretId
  );
}
