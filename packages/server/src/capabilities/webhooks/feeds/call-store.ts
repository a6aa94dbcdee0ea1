import type { Scope, TenantId } from '../../../kernel/ids.js';
import type { Database, Insertion } from '../../../platform/storage/database.js';
import { webhookCallTables } from '../tables.js';

/** What happened to a call, kept beside the request log until it was fanned out. */
export interface StoredCallEvent {
  readonly rowId: number;
  readonly scope: Scope;
  readonly eventId: string;
  readonly types: readonly string[];
  readonly data: CallData;
  readonly occurredAtMs: number;
}

interface BodyData {
  /** Null where it is no text, or none is kept. */
  readonly body?: string | null;
  readonly body_truncated?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `data` of `request.*` with all that some webhook may want (dataplane.md §11.2). */
export interface CallData {
  readonly request_id: string;
  readonly route_id: string | null;
  readonly route_name: string | null;
  readonly environment: string | null;
  readonly proxy_mode: string;
  readonly request: { method: string; path: string | null; ip: string | null } & BodyData;
  readonly response: ({ status: number; latency_ms: number } & BodyData) | null;
  readonly error: string | null;
}

export type CallEventStore = ReturnType<typeof createCallEventStore>;

export function createCallEventStore(db: Database) {
  const view = db.view(webhookCallTables);

  return {
    insertion: (event: Omit<StoredCallEvent, 'rowId'>): Insertion =>
      view.insertion('webhook_calls', event.scope, {
        event_id: event.eventId,
        types: JSON.stringify(event.types),
        data: JSON.stringify(event.data),
        occurred_at: event.occurredAtMs,
      }),

    /** Of all tenants, the oldest first. */
    async list(limit: number): Promise<StoredCallEvent[]> {
      const rows = await view
        .system('webhooks')
        .selectFrom('webhook_calls')
        .selectAll()
        .orderBy('id')
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        rowId: row.id,
        scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
        eventId: row.event_id,
        types: JSON.parse(row.types) as string[],
        data: JSON.parse(row.data) as CallData,
        occurredAtMs: row.occurred_at,
      }));
    },

    async remove(rowIds: readonly number[]): Promise<void> {
      await view
        .system('webhooks')
        .deleteFrom('webhook_calls')
        .where('id', 'in', [...rowIds])
        .execute();
    },
  };
}
