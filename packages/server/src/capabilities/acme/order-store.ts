import type { Selectable } from 'kysely';
import type { Scope } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { ProblemDocument } from './problems.js';
import {
  type AcmeTables,
  type AuthorizationStatus,
  acmeTables,
  type ChallengeStatus,
  type ChallengeType,
  type OrderStatus,
} from './tables.js';

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

export interface Authorization {
  readonly id: string;
  readonly accountId: string;
  readonly orderId: string;
  readonly name: string;
  readonly isWildcard: boolean;
  readonly status: AuthorizationStatus;
  readonly expiresAtMs: number;
}

export interface Challenge {
  readonly id: string;
  readonly authorizationId: string;
  readonly type: ChallengeType;
  readonly token: string;
  readonly status: ChallengeStatus;
  readonly error: ProblemDocument | null;
  readonly validatedAtMs: number | null;
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

    async authorizationsOf(scope: Scope, orderId: string, tx?: Transaction): Promise<Authorization[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('acme_authorizations')
        .selectAll()
        .where('order_id', '=', orderId)
        .orderBy('name')
        .orderBy('is_wildcard')
        .execute();
      return rows.map(authorizationOf);
    },

    async findAuthorization(scope: Scope, id: string, tx?: Transaction): Promise<Authorization | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('acme_authorizations')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst();
      return row && authorizationOf(row);
    },

    async advanceAuthorization(
      tx: Transaction,
      scope: Scope,
      id: string,
      from: readonly AuthorizationStatus[],
      to: AuthorizationStatus,
      expiresAtMs?: number,
    ): Promise<boolean> {
      const { numUpdatedRows } = await view
        .scoped(scope, tx)
        .updateTable('acme_authorizations')
        .set({ status: to, ...(expiresAtMs !== undefined && { expires_at: expiresAtMs }) })
        .where('id', '=', id)
        .where('status', 'in', from)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    /** Names that the account holds at this moment, as they stand in orders. */
    async namesHeld(
      scope: Scope,
      accountId: string,
      names: readonly string[],
      nowMs: number,
    ): Promise<string[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('acme_authorizations')
        .select(['name', 'is_wildcard'])
        .distinct()
        .where('account_id', '=', accountId)
        .where('status', '=', 'valid')
        .where('expires_at', '>', nowMs)
        .where(
          'name',
          'in',
          names.map((name) => name.replace(/^\*\./, '')),
        )
        .execute();
      return rows.map(({ name, is_wildcard }) => (is_wildcard === 1 ? `*.${name}` : name));
    },

    async challengesOf(scope: Scope, authorizationId: string, tx?: Transaction): Promise<Challenge[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('acme_challenges')
        .selectAll()
        .where('authorization_id', '=', authorizationId)
        .orderBy('type', 'desc')
        .execute();
      return rows.map(challengeOf);
    },

    async findChallenge(scope: Scope, id: string, tx?: Transaction): Promise<Challenge | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('acme_challenges')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst();
      return row && challengeOf(row);
    },

    async advanceChallenge(
      tx: Transaction,
      scope: Scope,
      id: string,
      from: ChallengeStatus,
      to: ChallengeStatus,
      changes: { readonly error?: ProblemDocument; readonly validatedAtMs?: number } = {},
    ): Promise<boolean> {
      const { error, validatedAtMs } = changes;
      const { numUpdatedRows } = await view
        .scoped(scope, tx)
        .updateTable('acme_challenges')
        .set({
          status: to,
          ...(error && { error: JSON.stringify(error) }),
          ...(validatedAtMs !== undefined && { validated_at: validatedAtMs }),
        })
        .where('id', '=', id)
        .where('status', '=', from)
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

function authorizationOf(row: Selectable<AcmeTables['acme_authorizations']>): Authorization {
  return {
    id: row.id,
    accountId: row.account_id,
    orderId: row.order_id,
    name: row.name,
    isWildcard: row.is_wildcard === 1,
    status: row.status,
    expiresAtMs: row.expires_at,
  };
}

function challengeOf(row: Selectable<AcmeTables['acme_challenges']>): Challenge {
  return {
    id: row.id,
    authorizationId: row.authorization_id,
    type: row.type,
    token: row.token,
    status: row.status,
    error: row.error === null ? null : (JSON.parse(row.error) as ProblemDocument),
    validatedAtMs: row.validated_at,
  };
}
