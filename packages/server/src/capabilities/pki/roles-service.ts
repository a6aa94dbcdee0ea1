import type { Clock } from '../../kernel/clock.js';
import { validationError } from '../../kernel/errors.js';
import type { IdSource } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import { type Database, UniqueViolation } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { roleEntry, roleUpdateEntry } from './audit.js';
import { roleNameTaken, roleNotFound, tooManyRoles } from './errors.js';
import { requireIssuing } from './issuing-right.js';
import { type CaRole, letsAcmeMore, type RoleTerms } from './roles.js';
import type { RootAccess } from './root-access.js';
import type { RoleStore } from './store.js';

/**
 * 404 and 403 as of `Roots`; a role of another root is 404 too. 403 `privilege_escalation` where ACME clients get more by it and the
 * caller may not issue.
 */
export interface Roles {
  /** By name. */
  list(caller: Caller, root: string): Promise<CaRole[]>;
  get(caller: Caller, root: string, nameOrId: string): Promise<CaRole>;
  /** 409 where the root is retired, has the name or too many. */
  create(caller: Caller, root: string, terms: RoleTerms): Promise<CaRole>;
  update(caller: Caller, root: string, nameOrId: string, changes: Partial<RoleTerms>): Promise<CaRole>;
  /** What was issued under it stays as it is. */
  delete(caller: Caller, root: string, nameOrId: string): Promise<void>;
}

export interface RolesDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly access: RootAccess;
  readonly store: RoleStore;
}

export function createRoles({ db, clock, ids, auditLogs, access, store }: RolesDeps): Roles {
  async function orTaken<T>(name: string | undefined, change: Promise<T>): Promise<T> {
    try {
      return await change;
    } catch (error) {
      if (error instanceof UniqueViolation && name !== undefined) throw roleNameTaken(name);
      throw error;
    }
  }

  return {
    async list({ principal: { scope } }, rootName) {
      const root = await access.own(scope, rootName);
      return store.list(scope, root.id);
    },

    async get({ principal: { scope } }, rootName, nameOrId) {
      const root = await access.own(scope, rootName);
      const role = await store.find(scope, root.id, nameOrId);
      if (!role) throw roleNotFound();
      return role;
    },

    create(caller, rootName, terms) {
      const { scope } = caller.principal;
      const change = db.transaction(async (tx) => {
        if (letsAcmeMore(null, terms)) requireIssuing(caller);
        const root = await access.active(scope, rootName, tx);
        if ((await store.count(scope, root.id, tx)) >= LIMITS.pkiRolesMax) throw tooManyRoles();
        const nowMs = clock.nowMs();
        const made = { id: ids.uuid(), rootId: root.id, createdAtMs: nowMs, updatedAtMs: nowMs };
        const role: CaRole = { ...terms, ...made };
        await store.insert(tx, scope, role);
        await auditLogs.record(tx, actorOf(caller), roleEntry('pki.role.create', root, role));
        await recordAnswer(tx, caller, role);
        return role;
      });
      return orTaken(terms.name, change);
    },

    update(caller, rootName, nameOrId, changes) {
      const { scope } = caller.principal;
      const change = db.transaction(async (tx) => {
        const root = await access.own(scope, rootName, tx);
        const found = await store.find(scope, root.id, nameOrId, tx);
        if (found) await tx.lock('pki_roles', found.id);
        // As it is behind the lock: what was changed meanwhile must neither be lost nor judged as it was.
        const before = found && (await store.find(scope, root.id, found.id, tx));
        if (!before) throw roleNotFound();
        const after: CaRole = { ...before, ...changes, updatedAtMs: clock.nowMs() };
        if (letsAcmeMore(before, after)) requireIssuing(caller);
        requireTimes(after, changes);
        await store.update(tx, scope, after);
        await auditLogs.record(tx, actorOf(caller), roleUpdateEntry(root, before, after));
        await recordAnswer(tx, caller, after);
        return after;
      });
      return orTaken(changes.name, change);
    },

    async delete(caller, rootName, nameOrId) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        const root = await access.own(scope, rootName, tx);
        const role = await store.find(scope, root.id, nameOrId, tx);
        if (!role) throw roleNotFound();
        await store.delete(tx, scope, role.id);
        await auditLogs.record(tx, actorOf(caller), roleEntry('pki.role.delete', root, role));
        await recordAnswer(tx, caller, undefined);
      });
    },
  };
}

/** Names the field that was sent. */
function requireTimes({ defaultTtlSeconds, maxTtlSeconds }: CaRole, changes: Partial<RoleTerms>): void {
  if (defaultTtlSeconds <= maxTtlSeconds) return;
  if (changes.defaultTtlSeconds !== undefined)
    throw validationError('default_ttl_seconds', `must not be more than max_ttl_seconds, ${maxTtlSeconds}`);
  const rule = `must not be less than default_ttl_seconds, ${defaultTtlSeconds}: give both`;
  throw validationError('max_ttl_seconds', rule);
}
