import type { Clock } from '../../kernel/clock.js';
import { type IdSource, isUuid, type Scope, type TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import { type Database, type Transaction, UniqueViolation } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { Plans } from '../plans/index.js';
import { environmentCreateEntry, environmentDeleteEntry, environmentUpdateEntry } from './audit.js';
import { defaultStays, environmentNotFound, sameName, stillHeld, tooManyEnvironments } from './errors.js';
import { createEnvironmentStore, type Environment, type EnvironmentTerms } from './store.js';

/** Who keeps rows that refer to an environment by its name. */
export interface EnvironmentHolder {
  /** By what it is still needed, as an error says it; null = it may be deleted. */
  neededBy(tx: Transaction, scope: Scope, name: string): Promise<string | null>;
  rename(tx: Transaction, scope: Scope, from: string, to: string): Promise<void>;
  /** What hangs on it goes with it; counts, for the audit row. */
  remove(tx: Transaction, scope: Scope, name: string): Promise<Readonly<Record<string, number>>>;
  /** Of who keeps what `variablesOf` gave. */
  variablesChanged?(tx: Transaction, scope: Scope, name: string): Promise<void>;
}

/** The stages of a tenant and mode (dataplane.md §4). An id that none of the caller's tenant and mode has is 404. */
export interface Environments {
  list(caller: Caller): Promise<Environment[]>;
  /** 402 where the plan has no room for another, 409 where the mode has none or one of that name. */
  create(caller: Caller, terms: EnvironmentTerms): Promise<Environment>;
  /** What refers to it follows its name. 409 where it is the default and would be no more. */
  update(caller: Caller, id: string, changes: Partial<EnvironmentTerms>): Promise<Environment>;
  /** 409 where it is the default, or something has it as its base. */
  delete(caller: Caller, id: string): Promise<void>;
  /** For those that refer to it: undefined where there is none of that name. */
  find(scope: Scope, name: string, tx?: Transaction): Promise<Environment | undefined>;
  defaultOf(scope: Scope, tx?: Transaction): Promise<Environment>;
  /** What `{{var:KEY}}` stands for, by environment; those without variables are not in it. */
  variablesOf(scope: Scope): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>>;
  /** Those of live mode, which count for the plan. */
  countLive(tenantId: TenantId): Promise<number>;
}

export interface EnvironmentsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly plans: Pick<Plans, 'roomFor'>;
  readonly holders: readonly EnvironmentHolder[];
}

export function createEnvironments(deps: EnvironmentsDeps): Environments {
  const { db, clock, ids, auditLogs, plans, holders } = deps;
  const store = createEnvironmentStore(db);

  async function known(scope: Scope, id: string, tx: Transaction): Promise<Environment> {
    const environment = isUuid(id) ? await store.find(scope, id.toLowerCase(), tx) : undefined;
    if (!environment) throw environmentNotFound();
    return environment;
  }

  /** Of two that take a name at once one is refused by the database. */
  async function naming<T>(name: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof UniqueViolation) throw sameName(name);
      throw error;
    }
  }

  return {
    list: ({ principal }) => store.list(principal.scope),

    async create(caller, terms) {
      const { scope } = caller.principal;
      const room = await plans.roomFor(scope, 'environments');
      const nowMs = clock.nowMs();
      const environment: Environment = {
        ...terms,
        id: ids.uuid(),
        scope,
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
      };
      return naming(terms.name, () =>
        db.transaction(async (tx) => {
          const used = await store.count(scope, tx);
          room.require(used);
          if (used >= LIMITS.environmentsMax) throw tooManyEnvironments();
          if (environment.isDefault) await store.clearDefault(tx, scope);
          await store.insert(tx, environment);
          await auditLogs.record(tx, actorOf(caller), environmentCreateEntry(environment));
          await recordAnswer(tx, caller, environment);
          return environment;
        }),
      );
    },

    async update(caller, id, changes) {
      const { scope } = caller.principal;
      return naming(changes.name ?? '', () =>
        db.transaction(async (tx) => {
          const before = await known(scope, id, tx);
          const after: Environment = { ...before, ...changes, updatedAtMs: clock.nowMs() };
          if (before.isDefault && !after.isDefault) throw defaultStays();
          if (after.isDefault && !before.isDefault) await store.clearDefault(tx, scope);
          await store.update(tx, after);
          if (after.name !== before.name) {
            for (const holder of holders) await holder.rename(tx, scope, before.name, after.name);
          }
          if (changes.variables !== undefined) {
            for (const holder of holders) await holder.variablesChanged?.(tx, scope, after.name);
          }
          const sent = Object.keys(changes) as (keyof EnvironmentTerms)[];
          await auditLogs.record(tx, actorOf(caller), environmentUpdateEntry(before, after, sent));
          await recordAnswer(tx, caller, after);
          return after;
        }),
      );
    },

    async delete(caller, id) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        const environment = await known(scope, id, tx);
        if (environment.isDefault) throw defaultStays();
        let removed = {};
        for (const holder of holders) {
          const by = await holder.neededBy(tx, scope, environment.name);
          if (by !== null) throw stillHeld(by);
          removed = { ...removed, ...(await holder.remove(tx, scope, environment.name)) };
        }
        await store.delete(tx, scope, environment.id);
        await auditLogs.record(tx, actorOf(caller), environmentDeleteEntry(environment, removed));
        await recordAnswer(tx, caller, undefined);
      });
    },

    find: (scope, name, tx) => store.findByName(scope, name, tx),

    async defaultOf(scope, tx) {
      const environment = await store.findDefault(scope, tx);
      // A tenant that is being removed while this call lasts has none any more.
      if (!environment) throw environmentNotFound();
      return environment;
    },

    variablesOf: (scope) => store.variablesOf(scope),
    countLive: (tenantId) => store.count({ tenantId, sandbox: false }),
  };
}
