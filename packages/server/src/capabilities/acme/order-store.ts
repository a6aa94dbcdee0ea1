import type { Scope } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { type Authorization, type Challenge, createAuthorizationStore } from './authorization-store.js';
import type { ProblemDocument } from './problems.js';
import { type AcmeTables, acmeTables, type OrderStatus } from './tables.js';

export type { Authorization, Challenge } from './authorization-store.js';

export interface Order {
  readonly id: string;
  readonly accountId: string;
  readonly status: OrderStatus;
  /** A wildcard with its `*.`. */
  readonly names: readonly string[];
  readonly csr: Buffer | null;
  readonly error: ProblemDocument | null;
  readonly serial: string | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** All but the certificate. */
const ORDER_COLUMNS = [
  'id',
  'account_id',
  'status',
  'names',
  'csr',
  'error',
  'serial',
  'created_at',
  'expires_at',
] as const;

export type OrderStore = ReturnType<typeof createOrderStore>;

export function createOrderStore(db: Database) {
  const view = db.view(acmeTables);

  return {
    ...createAuthorizationStore(db),

    async insertOrder(
      tx: Transaction,
      scope: Scope,
      order: Pick<Order, 'id' | 'accountId' | 'names' | 'createdAtMs' | 'expiresAtMs'>,
      authorizations: readonly Authorization[],
      challenges: readonly Challenge[],
    ): Promise<void> {
      const queries = view.scoped(scope, tx);
      await queries
        .insertInto('acme_orders')
        .values({
          id: order.id,
          account_id: order.accountId,
          status: 'pending',
          names: JSON.stringify(order.names),
          csr: null,
          error: null,
          serial: null,
          certificate: null,
          created_at: order.createdAtMs,
          expires_at: order.expiresAtMs,
        })
        .execute();
      await queries
        .insertInto('acme_authorizations')
        .values(
          authorizations.map((one) => ({
            id: one.id,
            account_id: one.accountId,
            order_id: one.orderId,
            name: one.name,
            is_wildcard: one.isWildcard ? 1 : 0,
            status: one.status,
            expires_at: one.expiresAtMs,
          })),
        )
        .execute();
      await queries
        .insertInto('acme_challenges')
        .values(
          challenges.map((one) => ({
            id: one.id,
            authorization_id: one.authorizationId,
            type: one.type,
            token: one.token,
            status: one.status,
            error: null,
            validated_at: null,
          })),
        )
        .execute();
    },

    async findOrder(scope: Scope, id: string, tx?: Transaction): Promise<Order | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('acme_orders')
        .select(ORDER_COLUMNS)
        .where('id', '=', id)
        .executeTakeFirst();
      return row && orderOf(row);
    },

    async certificateOf(scope: Scope, id: string): Promise<string | undefined> {
      const row = await view
        .scoped(scope)
        .selectFrom('acme_orders')
        .select('certificate')
        .where('id', '=', id)
        .executeTakeFirst();
      return row?.certificate ?? undefined;
    },

    /** The newest first, before those of `before`. */
    async listOrders(
      scope: Scope,
      accountId: string,
      before: Pick<Order, 'id' | 'createdAtMs'> | null,
      rowsMax: number,
    ): Promise<Pick<Order, 'id' | 'createdAtMs'>[]> {
      let query = view
        .scoped(scope)
        .selectFrom('acme_orders')
        .select(['id', 'created_at'])
        .where('account_id', '=', accountId);
      if (before !== null)
        query = query.where(({ or, and, eb }) =>
          or([
            eb('created_at', '<', before.createdAtMs),
            and([eb('created_at', '=', before.createdAtMs), eb('id', '<', before.id)]),
          ]),
        );
      const rows = await query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(rowsMax).execute();
      return rows.map(({ id, created_at }) => ({ id, createdAtMs: created_at }));
    },

    /** When the newest of them were begun, at most so many, the newest first. */
    async newestOrders(scope: Scope, accountId: string, sinceMs: number, most: number, tx: Transaction) {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('acme_orders')
        .select('created_at')
        .where('account_id', '=', accountId)
        .where('created_at', '>', sinceMs)
        .orderBy('created_at', 'desc')
        .limit(most)
        .execute();
      return rows.map(({ created_at }) => created_at);
    },

    async countOpenOrders(scope: Scope, accountId: string, nowMs: number, tx: Transaction): Promise<number> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('acme_orders')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('account_id', '=', accountId)
        .where('status', 'in', ['pending', 'ready', 'processing'])
        .where('expires_at', '>', nowMs)
        .executeTakeFirst();
      return Number(row?.count ?? 0);
    },

    /** Counts one more for so many names, in the window that runs or one that begins; answers what is in it with that. */
    async countInRole(
      tx: Transaction,
      scope: Scope,
      roleId: string,
      names: number,
      { nowMs, endsAtMs }: { readonly nowMs: number; readonly endsAtMs: number },
    ): Promise<{ readonly endsAtMs: number; readonly orders: number; readonly names: number }> {
      const row = await view
        .scoped(scope, tx)
        .insertInto('acme_order_windows')
        .values({ role_id: roleId, ends_at: endsAtMs, orders: 1, names })
        .onConflict((conflict) =>
          conflict.columns(['tenant_id', 'sandbox', 'role_id']).doUpdateSet((eb) => {
            const isOver = eb('acme_order_windows.ends_at', '<=', nowMs);
            const orders = eb('acme_order_windows.orders', '+', 1);
            const more = eb('acme_order_windows.names', '+', names);
            return {
              ends_at: eb.case().when(isOver).then(endsAtMs).else(eb.ref('acme_order_windows.ends_at')).end(),
              orders: eb.case().when(isOver).then(1).else(orders).end(),
              names: eb.case().when(isOver).then(names).else(more).end(),
            };
          }),
        )
        .returning(['ends_at', 'orders', 'names'])
        .executeTakeFirstOrThrow();
      return { endsAtMs: row.ends_at, orders: row.orders, names: row.names };
    },

    /** Windows that are over; how many. */
    async removeWindows(nowMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention');
      const rows = await queries
        .selectFrom('acme_order_windows')
        .select('role_id')
        .where('ends_at', '<=', nowMs)
        .limit(rowsMax)
        .execute();
      const ids = rows.map(({ role_id }) => role_id);
      if (ids.length > 0)
        await queries
          .deleteFrom('acme_order_windows')
          .where('role_id', 'in', ids)
          .where('ends_at', '<=', nowMs)
          .execute();
      return rows.length;
    },

    /** False where it had left that status already: of several that try at once, one gets true. */
    async advanceOrder(
      tx: Transaction,
      scope: Scope,
      id: string,
      from: readonly OrderStatus[],
      to: OrderStatus,
      changes: {
        readonly csr?: Buffer;
        readonly error?: ProblemDocument;
        readonly serial?: string;
        readonly certificate?: string;
      } = {},
    ): Promise<boolean> {
      const { error, ...rest } = changes;
      const { numUpdatedRows } = await view
        .scoped(scope, tx)
        .updateTable('acme_orders')
        .set({ status: to, ...rest, ...(error && { error: JSON.stringify(error) }) })
        .where('id', '=', id)
        .where('status', 'in', from)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    /** Of an account that has ended: what is under way ends, and it holds no names any longer (RFC 8555 §7.3.6). */
    async endOf(tx: Transaction, scope: Scope, accountId: string, error: ProblemDocument): Promise<void> {
      const queries = view.scoped(scope, tx);
      await queries
        .updateTable('acme_orders')
        .set({ status: 'invalid', error: JSON.stringify(error) })
        .where('account_id', '=', accountId)
        .where('status', 'in', ['pending', 'ready', 'processing'])
        .execute();
      await queries
        .updateTable('acme_authorizations')
        .set({ status: 'deactivated' })
        .where('account_id', '=', accountId)
        .where('status', 'in', ['pending', 'valid'])
        .execute();
    },

    /** With all that belongs to them, at most so many orders; how many. */
    async removeEnded(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const orders = await queries
        .selectFrom('acme_orders')
        .select('id')
        .where('expires_at', '<=', beforeMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      if (orders.length === 0) return 0;
      const ids = orders.map(({ id }) => id);
      const authorizations = await queries
        .selectFrom('acme_authorizations')
        .select('id')
        .where('order_id', 'in', ids)
        .execute();
      const authorizationIds = authorizations.map(({ id }) => id);
      if (authorizationIds.length > 0) {
        await queries
          .deleteFrom('acme_challenges')
          .where('authorization_id', 'in', authorizationIds)
          .execute();
        await queries.deleteFrom('acme_authorizations').where('order_id', 'in', ids).execute();
      }
      await queries.deleteFrom('acme_orders').where('id', 'in', ids).execute();
      return ids.length;
    },
  };
}

function orderOf(row: Pick<AcmeTables['acme_orders'], (typeof ORDER_COLUMNS)[number]>): Order {
  return {
    id: row.id,
    accountId: row.account_id,
    status: row.status,
    names: JSON.parse(row.names) as string[],
    csr: row.csr,
    error: row.error === null ? null : (JSON.parse(row.error) as ProblemDocument),
    serial: row.serial,
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
  };
}
