import type { Scope, TenantId } from '../../kernel/ids.js';
import type { Database, Transaction } from '../storage/database.js';
import { type OutboxTables, outboxTables } from './tables.js';

/** What happened, as it is handed to a listener. */
export interface OutboxEvent {
  /** Tells a second delivery from a second event. */
  readonly id: string;
  readonly scope: Scope;
  readonly type: string;
  /** Events of one tenant, mode and key are handed over in their order; null = in no order. */
  readonly key: string | null;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly publishedAtMs: number;
}

/** An event on its way to one listener. */
export interface Delivery {
  readonly rowId: number;
  readonly event: OutboxEvent;
  /** Failed so far. */
  readonly attempts: number;
  readonly error: string | null;
}

export interface DeliveryFailure {
  readonly rowId: number;
  readonly attempts: number;
  /** Null = a dead letter from now on. */
  readonly runAtMs: number | null;
  readonly error: string;
}

export interface ListenerStatus {
  readonly listener: string;
  readonly waiting: number;
  readonly dead: number;
  readonly oldestAtMs: number;
}

export type OutboxStore = ReturnType<typeof createOutboxStore>;

export function createOutboxStore(db: Database) {
  const view = db.view<OutboxTables>(outboxTables);

  const due = view.defineSystem<{ listener: string; now: number; limit: number }, StoredDelivery>(
    'outbox_due',
    'outbox',
    (queries, arg) =>
      queries
        .selectFrom('outbox')
        .selectAll()
        .where('listener', '=', arg('listener'))
        .where('run_at', '<=', arg('now'))
        // One that waits for its next try holds back all that came after it under its key.
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('outbox as earlier')
                .select('earlier.id')
                .whereRef('earlier.tenant_id', '=', 'outbox.tenant_id')
                .whereRef('earlier.sandbox', '=', 'outbox.sandbox')
                .whereRef('earlier.order_key', '=', 'outbox.order_key')
                .whereRef('earlier.listener', '=', 'outbox.listener')
                .where('earlier.run_at', '>', arg('now')),
            ),
          ),
        )
        .orderBy('id')
        .limit(arg('limit')),
  );

  return {
    async insert(tx: Transaction, event: OutboxEvent, listeners: readonly string[]): Promise<void> {
      const row = {
        event_id: event.id,
        type: event.type,
        order_key: event.key,
        payload: JSON.stringify(event.payload),
        run_at: event.publishedAtMs,
        attempts: 0,
        created_at: event.publishedAtMs,
      };
      await view
        .scoped(event.scope, tx)
        .insertInto('outbox')
        .values(listeners.map((listener) => ({ ...row, listener })))
        .execute();
    },

    /** Oldest first, without those that a failed one before them holds back. */
    async due(listener: string, nowMs: number, limit: number): Promise<Delivery[]> {
      return (await due.all(null, { listener, now: nowMs, limit })).map(deliveryOf);
    },

    /** When the next one that waits after a failure is due. */
    async nextTryAtMs(listener: string, nowMs: number): Promise<number | null> {
      const row = await view
        .system('outbox')
        .selectFrom('outbox')
        .select('run_at')
        .where('listener', '=', listener)
        .where('run_at', '>', nowMs)
        .orderBy('run_at')
        .limit(1)
        .executeTakeFirst();
      return row?.run_at ?? null;
    },

    /** What was handed over leaves; what failed gets its next time. */
    async settle(
      tx: Transaction,
      delivered: readonly number[],
      failed: readonly DeliveryFailure[],
    ): Promise<void> {
      const queries = view.system('outbox', tx);
      if (delivered.length > 0) await queries.deleteFrom('outbox').where('id', 'in', delivered).execute();
      for (const { rowId, attempts, runAtMs, error } of failed)
        await queries
          .updateTable('outbox')
          .set({ attempts, run_at: runAtMs, last_error: error })
          .where('id', '=', rowId)
          .execute();
    },

    async deadLetters(listener: string, limit: number): Promise<Delivery[]> {
      const rows = await view
        .system('outbox')
        .selectFrom('outbox')
        .selectAll()
        .where('listener', '=', listener)
        .where('run_at', 'is', null)
        .orderBy('id')
        .limit(limit)
        .execute();
      return rows.map(deliveryOf);
    },

    /** Makes dead letters of the listener due again, the oldest first; how many. */
    async revive(listener: string, nowMs: number, limit: number): Promise<number> {
      const revived = await view
        .system('outbox')
        .updateTable('outbox')
        .set({ run_at: nowMs, attempts: 0 })
        .where('id', 'in', (eb) =>
          eb
            .selectFrom('outbox')
            .select('id')
            .where('listener', '=', listener)
            .where('run_at', 'is', null)
            .orderBy('id')
            .limit(limit),
        )
        .returning('id')
        .execute();
      return revived.length;
    },

    async status(): Promise<ListenerStatus[]> {
      const rows = await view
        .system('outbox')
        .selectFrom('outbox')
        .select('listener')
        .select(({ fn }) => [
          fn.countAll<number>().as('total'),
          fn.count<number>('run_at').as('waiting'),
          fn.min('created_at').as('oldest'),
        ])
        .groupBy('listener')
        .orderBy('listener')
        .execute();
      return rows.map(({ listener, total, waiting, oldest }) => ({
        listener,
        waiting,
        dead: total - waiting,
        oldestAtMs: oldest,
      }));
    },

    async deleteOlder(beforeMs: number, limit: number): Promise<number> {
      const deleted = await view
        .system('retention')
        .deleteFrom('outbox')
        .where('id', 'in', (eb) =>
          eb
            .selectFrom('outbox')
            .select('id')
            .where('created_at', '<', beforeMs)
            .orderBy('created_at')
            .limit(limit),
        )
        .returning('id')
        .execute();
      return deleted.length;
    },
  };
}

interface StoredDelivery {
  readonly id: number;
  readonly tenant_id: TenantId;
  readonly sandbox: 0 | 1;
  readonly event_id: string;
  readonly type: string;
  readonly order_key: string | null;
  readonly payload: string;
  readonly attempts: number;
  readonly last_error: string | null;
  readonly created_at: number;
}

function deliveryOf(row: StoredDelivery): Delivery {
  return {
    rowId: row.id,
    event: {
      id: row.event_id,
      scope: { tenantId: row.tenant_id, sandbox: row.sandbox === 1 },
      type: row.type,
      key: row.order_key,
      payload: JSON.parse(row.payload) as OutboxEvent['payload'],
      publishedAtMs: row.created_at,
    },
    attempts: row.attempts,
    error: row.last_error,
  };
}
