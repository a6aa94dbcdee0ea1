import type { Clock } from '../../../kernel/clock.js';
import { validationError } from '../../../kernel/errors.js';
import { requireFieldSelectors } from '../../../kernel/field-selectors.js';
import { type IdSource, isUuid } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import type { RouteReading } from '../aggregate.js';
import { actionEntry } from '../audit.js';
import { actionNotFound, tooManyActions } from '../errors.js';
import type { FieldAction } from '../types.js';
import type { createRouteWriting } from '../writing.js';
import type { ActionLeave } from './leave.js';
import { createRouteActionStore, type StoredAction } from './store.js';

export type NewAction = Omit<FieldAction, 'id'>;

/** What a route does to fields of requests and answers (dataplane.md §5.6). */
export interface RouteActions {
  /** In the order in which they are applied. */
  list(caller: Caller, route: string): Promise<StoredAction[]>;
  /** 400 of a key or vault that is not there; 403 where the caller may not do itself what the route shall. */
  create(caller: Caller, route: string, input: NewAction): Promise<StoredAction>;
  /** The id of the action. */
  delete(caller: Caller, route: string, id: string): Promise<string>;
}

export interface RouteActionsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly leave: Pick<ActionLeave, 'require'>;
  readonly reading: RouteReading;
  readonly writing: Pick<ReturnType<typeof createRouteWriting>, 'touch'>;
}

export function createRouteActions(deps: RouteActionsDeps): RouteActions {
  const { db, clock, ids, auditLogs, leave, reading, writing } = deps;
  const store = createRouteActionStore(db);

  return {
    async list({ principal: { scope } }, reference) {
      const { id } = await reading.find(scope, reference);
      return store.ofRoute(scope, id);
    },

    async create(caller, reference, input) {
      const { scope } = caller.principal;
      const { id: routeId } = await reading.find(scope, reference);
      if (input.keyName === null && input.action !== 'decrypt')
        throw validationError('key_name', `is due with the action ${input.action}`);
      requireFieldSelectors('selectors', input.selectors);
      await leave.require(caller, input);
      return db.transaction(async (tx) => {
        const before = await reading.lock(tx, scope, routeId);
        const { length } = await store.ofRoute(scope, routeId, tx);
        if (length >= LIMITS.routeActionsMax) throw tooManyActions();
        const action = { ...input, id: ids.uuid(), scope, routeId, createdAtMs: clock.nowMs() };
        await store.insert(tx, action);
        const route = await writing.touch(tx, before);
        await auditLogs.record(tx, actorOf(caller), actionEntry('route.action.create', route, action));
        await recordAnswer(tx, caller, action);
        return action;
      });
    },

    async delete(caller, reference, id) {
      const { scope } = caller.principal;
      const { id: routeId } = await reading.find(scope, reference);
      return db.transaction(async (tx) => {
        const before = await reading.lock(tx, scope, routeId);
        const wanted = isUuid(id) ? id.toLowerCase() : '';
        const action = (await store.ofRoute(scope, routeId, tx)).find((one) => one.id === wanted);
        if (!action) throw actionNotFound();
        await store.delete(tx, scope, action.id);
        const route = await writing.touch(tx, before);
        await auditLogs.record(tx, actorOf(caller), actionEntry('route.action.delete', route, action));
        await recordAnswer(tx, caller, action.id);
        return action.id;
      });
    },
  };
}
