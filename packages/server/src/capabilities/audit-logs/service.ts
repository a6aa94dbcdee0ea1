import { assert } from '../../kernel/assert.js';
import { canonicalJson } from '../../kernel/canonical-json.js';
import type { Clock } from '../../kernel/clock.js';
import type { IdSource, Scope, TenantId } from '../../kernel/ids.js';
import type { Actor } from '../../kernel/principal.js';
import { createTotals } from '../../platform/cache/totals.js';
import { sanitiseDetails } from '../../platform/log/mask.js';
import type { Database, Insertion, Transaction } from '../../platform/storage/database.js';
import { verbOf } from './action-filter.js';
import { type CriticalLink, createCriticalChain, isCritical } from './chain/critical.js';
import type { ChainPlace } from './chain/store.js';
import { type AuditListOptions, type AuditRow, createAuditStore, type NewAuditRow } from './store.js';

export interface AuditLogsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** A row is about to be committed; the sealer is woken by it. */
  onWrite?(): void;
}

/**
 * One act. `details.sandbox` is added; names are those of contract README §3. Details that are frozen, in all depth, are told once and
 * may come again and again: for acts that are done thousands of times a second.
 */
export interface AuditEntry {
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string | null;
  readonly details: Record<string, unknown>;
}

export interface AuditLogs {
  /** Writes the row in the transaction of the change it describes. */
  record(tx: Transaction, actor: Actor, entry: AuditEntry): Promise<void>;
  /** The same for several at once. */
  recordAll(tx: Transaction, actor: Actor, entries: readonly AuditEntry[]): Promise<void>;
  /** The same for an act of the critical list: into both chains, the critical one numbered and sealed here and now. */
  recordCritical(tx: Transaction, actor: Actor, entry: AuditEntry): Promise<void>;
  /** An act of the server itself that stands in the critical chain alone; its place there. */
  recordCriticalAlone(tx: Transaction, scope: Scope, entry: AuditEntry): Promise<ChainPlace>;
  /** The row of the critical chain with that number. */
  criticalRow(sequenceNumber: number): Promise<CriticalLink | undefined>;
  /** A row as part of a group commit, for acts that change nothing else (a detokenize). */
  insertion(actor: Actor, entry: AuditEntry): Insertion;
  /** The total of more than 5,000 is at most 10 s old. */
  list(tenantId: TenantId, options: AuditListOptions): Promise<{ rows: AuditRow[]; total: number }>;
}

const NOBODY = { apiKeyId: null, userId: null, requestId: null, ip: null };

export function createAuditLogs(deps: AuditLogsDeps): AuditLogs {
  const store = createAuditStore(deps.db);
  const totals = createTotals(deps);
  const criticalChain = createCriticalChain(deps.db);
  /** Of frozen details; those of a live and of a sandbox act differ. */
  const live = new WeakMap<object, string>();
  const sandboxed = new WeakMap<object, string>();

  function detailsText(actor: Actor, { details }: AuditEntry): string {
    if (actor.bindingId || !Object.isFrozen(details)) return textOfDetails(actor, details);
    const told = actor.scope.sandbox ? sandboxed : live;
    const known = told.get(details);
    if (known !== undefined) return known;
    const text = textOfDetails(actor, details);
    told.set(details, text);
    return text;
  }

  function rowOf(actor: Actor, entry: AuditEntry): NewAuditRow & { details: string; created_at: number } {
    const { sandbox } = actor.scope;
    return {
      id: deps.ids.uuid(),
      user_id: actor.userId,
      api_key_id: actor.apiKeyId,
      oauth_client_id: actor.oauthClientId ?? null,
      actor_type: actorType(actor),
      action: entry.action,
      resource_type: entry.resourceType,
      resource_id: entry.resourceId,
      details: detailsText(actor, entry),
      ip_address: actor.ip,
      request_id: actor.requestId,
      created_at: deps.clock.nowMs(),
      verb: verbOf(entry.action),
      is_sandbox: Number(sandbox),
    };
  }

  async function record(tx: Transaction, actor: Actor, ...rows: readonly NewAuditRow[]): Promise<void> {
    await store.insert(tx, actor.scope.tenantId, rows);
    if (deps.onWrite) tx.afterCommit(deps.onWrite);
  }

  return {
    record: (tx, actor, entry) => record(tx, actor, rowOf(actor, entry)),
    recordAll: (tx, actor, entries) => record(tx, actor, ...entries.map((entry) => rowOf(actor, entry))),
    async recordCritical(tx, actor, entry) {
      assert(isCritical(entry.action), `${entry.action} is not an act of the critical chain`);
      const row = rowOf(actor, entry);
      await record(tx, actor, row);
      await criticalChain.append(tx, {
        atMs: row.created_at,
        tenantId: actor.scope.tenantId,
        actorId: actor.userId ?? actor.apiKeyId ?? actor.oauthClientId ?? actor.bindingId ?? null,
        action: entry.action,
        resourceType: entry.resourceType,
        resourceId: entry.resourceId,
        details: row.details,
      });
    },
    recordCriticalAlone(tx, scope, entry) {
      assert(isCritical(entry.action), `${entry.action} is not an act of the critical chain`);
      const { created_at: atMs, details } = rowOf({ ...NOBODY, scope }, entry);
      const { action, resourceType, resourceId } = entry;
      const { tenantId } = scope;
      return criticalChain.append(tx, {
        atMs,
        tenantId,
        actorId: null,
        action,
        resourceType,
        resourceId,
        details,
      });
    },
    criticalRow: criticalChain.find,
    insertion(actor, entry) {
      deps.onWrite?.();
      return store.insertion(actor.scope.tenantId, rowOf(actor, entry));
    },
    async list(tenantId, options) {
      const rows = await store.list(tenantId, options);
      const { page, perPage, order, ...filter } = options;
      const total = await totals.of(`${tenantId} ${canonicalJson(filter)}`, () =>
        store.count(tenantId, filter),
      );
      return { rows, total };
    },
  };
}

function textOfDetails(actor: Actor, given: AuditEntry['details']): string {
  const details = sanitiseDetails(given) as Record<string, unknown>;
  details.sandbox = actor.scope.sandbox;
  // The row has no column for it: no other actor is a workload.
  if (actor.bindingId) details.oidc_binding_id ??= actor.bindingId;
  return canonicalJson(details);
}

type ActorType = 'user' | 'api_key' | 'oauth_client' | 'workload' | 'system';

/** A client that acts for a user is named beside the user. */
function actorType(actor: Actor): ActorType {
  if (actor.userId !== null) return 'user';
  if (actor.apiKeyId !== null) return 'api_key';
  if (actor.oauthClientId) return 'oauth_client';
  return actor.bindingId ? 'workload' : 'system';
}
