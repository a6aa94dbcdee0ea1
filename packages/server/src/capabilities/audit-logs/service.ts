import { canonicalJson } from '../../kernel/canonical-json.js';
import type { Clock } from '../../kernel/clock.js';
import type { IdSource, TenantId } from '../../kernel/ids.js';
import type { Actor } from '../../kernel/principal.js';
import { sanitiseDetails } from '../../platform/log/mask.js';
import type { Database, Insertion, Transaction } from '../../platform/storage/database.js';
import { verbOf } from './action-filter.js';
import { type AuditListFilter, type AuditRow, createAuditStore, type NewAuditRow } from './store.js';

export interface AuditLogsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
}

/** One act. `details.sandbox` is added; names are those of contract README §3. */
export interface AuditEntry {
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string | null;
  readonly details: Record<string, unknown>;
}

export interface AuditLogs {
  /** Writes the row in the transaction of the change it describes. */
  record(tx: Transaction, actor: Actor, entry: AuditEntry): Promise<void>;
  /** The same row as part of a group commit, for acts that change nothing else (a detokenize). */
  insertion(actor: Actor, entry: AuditEntry): Insertion;
  list(tenantId: TenantId, filter: AuditListFilter): Promise<{ rows: AuditRow[]; total: number }>;
}

export function createAuditLogs(deps: AuditLogsDeps): AuditLogs {
  const store = createAuditStore(deps.db);

  function rowOf(actor: Actor, entry: AuditEntry): NewAuditRow {
    const { sandbox } = actor.scope;
    const details = { ...(sanitiseDetails(entry.details) as Record<string, unknown>), sandbox };
    return {
      id: deps.ids.uuid(),
      user_id: actor.userId,
      api_key_id: actor.apiKeyId,
      oauth_client_id: null,
      actor_type: actorType(actor),
      action: entry.action,
      resource_type: entry.resourceType,
      resource_id: entry.resourceId,
      details: canonicalJson(details),
      ip_address: actor.ip,
      request_id: actor.requestId,
      created_at: deps.clock.nowMs(),
      verb: verbOf(entry.action),
      is_sandbox: Number(sandbox),
    };
  }

  return {
    record: (tx, actor, entry) => store.insert(tx, actor.scope.tenantId, rowOf(actor, entry)),
    insertion: (actor, entry) => store.insertion(actor.scope.tenantId, rowOf(actor, entry)),
    list: (tenantId, filter) => store.list(tenantId, filter),
  };
}

function actorType(actor: Actor): 'user' | 'api_key' | 'system' {
  if (actor.userId !== null) return 'user';
  return actor.apiKeyId === null ? 'system' : 'api_key';
}
