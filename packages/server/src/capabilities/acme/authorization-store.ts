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
} from './tables.js';

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

/** The part of the store of orders that is about their names. */
export function createAuthorizationStore(db: Database) {
  const view = db.view(acmeTables);

  return {
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
