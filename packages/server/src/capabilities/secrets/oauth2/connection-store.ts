import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { type FailureKind, type OAuth2ConnectionRow, oauth2Tables } from './tables.js';

/** What an environment of a secret has of its provider. */
export interface Connection {
  readonly id: string;
  readonly secretId: string;
  readonly environment: string;
  readonly tokenVersion: number;
  /** Null = it has none yet, or no more. */
  readonly tokensEnvelope: Buffer | null;
  readonly tokenType: string | null;
  readonly scopeText: string | null;
  readonly expiresAtMs: number | null;
  readonly isRenewable: boolean;
  readonly renewAtMs: number | null;
  readonly retryAtMs: number | null;
  readonly attempts: number;
  readonly failure: FailureKind | null;
  readonly lastError: string | null;
  readonly obtainedAtMs: number | null;
  readonly beganAtMs: number | null;
  readonly claimUntilMs: number | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** A set of tokens as it is stored. */
export interface StoredTokens
  extends Pick<
    Connection,
    'tokensEnvelope' | 'tokenType' | 'scopeText' | 'expiresAtMs' | 'isRenewable' | 'renewAtMs'
  > {
  readonly obtainedAtMs: number;
}

export interface ConnectionFailure
  extends Pick<Connection, 'attempts' | 'failure' | 'lastError' | 'retryAtMs' | 'renewAtMs'> {
  readonly atMs: number;
}

export interface DueConnection {
  readonly scope: Scope;
  readonly secretId: string;
  readonly environment: string;
}

export type ConnectionStore = ReturnType<typeof createConnectionStore>;
type Row = Selectable<OAuth2ConnectionRow>;

const FREED = { began_at: null, claim_owner: null, claim_until: null } as const;
const NO_FAILURE = { attempts: 0, failure: null, last_error: null, retry_at: null } as const;

export function createConnectionStore(db: Database) {
  const view = db.view(oauth2Tables);

  const byPlace = view.define<{ secretId: string; environment: string }, Row>(
    'oauth2_connection_by_place',
    (queries, arg) =>
      queries
        .selectFrom('oauth2_connections')
        .selectAll()
        .where('secret_id', '=', arg('secretId'))
        .where('environment_name', '=', arg('environment')),
  );

  return {
    async find(
      scope: Scope,
      secretId: string,
      environment: string,
      tx?: Transaction,
    ): Promise<Connection | undefined> {
      const row = await byPlace.first(scope, { secretId, environment }, tx);
      return row && connectionOf(row);
    },

    async list(scope: Scope, secretId: string): Promise<Connection[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('oauth2_connections')
        .selectAll()
        .where('secret_id', '=', secretId)
        .orderBy('environment_name')
        .execute();
      return rows.map(connectionOf);
    },

    async counts(scope: Scope, secretIds: readonly string[]): Promise<Map<string, number>> {
      if (secretIds.length === 0) return new Map();
      const rows = await view
        .scoped(scope)
        .selectFrom('oauth2_connections')
        .select(['secret_id', ({ fn }) => fn.countAll<number>().as('count')])
        .where('secret_id', 'in', [...secretIds])
        .groupBy('secret_id')
        .execute();
      return new Map(rows.map(({ secret_id, count }) => [secret_id, count]));
    },

    async insert(
      tx: Transaction,
      scope: Scope,
      place: Pick<Connection, 'id' | 'secretId' | 'environment' | 'createdAtMs'>,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('oauth2_connections')
        .values({
          id: place.id,
          secret_id: place.secretId,
          environment_name: place.environment,
          token_version: 0,
          tokens_envelope: null,
          token_type: null,
          scope: null,
          expires_at: null,
          is_renewable: 0,
          renew_at: null,
          obtained_at: null,
          ...NO_FAILURE,
          ...FREED,
          created_at: place.createdAtMs,
          updated_at: place.createdAtMs,
        })
        .execute();
    },

    /**
     * One statement, durable before anything is sent: who gets it is the only one that asks, in all processes, until
     * it ends. Null where another has it, or the tokens are no longer those that were seen.
     */
    async claim(
      scope: Scope,
      { id, tokenVersion }: Pick<Connection, 'id' | 'tokenVersion'>,
      claim: { readonly owner: string; readonly nowMs: number; readonly untilMs: number },
    ): Promise<Connection | null> {
      const rows = await view
        .scoped(scope)
        .updateTable('oauth2_connections')
        .set({ claim_owner: claim.owner, claim_until: claim.untilMs, began_at: claim.nowMs })
        .where('id', '=', id)
        .where('token_version', '=', tokenVersion)
        .where(({ or, eb }) => or([eb('claim_until', 'is', null), eb('claim_until', '<=', claim.nowMs)]))
        .returningAll()
        .execute();
      return rows[0] ? connectionOf(rows[0]) : null;
    },

    /**
     * Over the tokens that were seen, whoever has the claim by now: a refresh token that rotated is worth more than the
     * order. False where newer ones are there.
     */
    async putTokens(
      tx: Transaction,
      scope: Scope,
      { id, tokenVersion }: Pick<Connection, 'id' | 'tokenVersion'>,
      tokens: StoredTokens,
    ): Promise<boolean> {
      const rows = await view
        .scoped(scope, tx)
        .updateTable('oauth2_connections')
        .set({
          token_version: tokenVersion + 1,
          tokens_envelope: tokens.tokensEnvelope,
          token_type: tokens.tokenType,
          scope: tokens.scopeText,
          expires_at: tokens.expiresAtMs,
          is_renewable: tokens.isRenewable ? 1 : 0,
          renew_at: tokens.renewAtMs,
          obtained_at: tokens.obtainedAtMs,
          updated_at: tokens.obtainedAtMs,
          ...NO_FAILURE,
          ...FREED,
        })
        .where('id', '=', id)
        .where('token_version', '=', tokenVersion)
        .returning('id')
        .execute();
      return rows.length === 1;
    },

    /** Of the owner of the claim alone. */
    async putFailure(scope: Scope, id: string, owner: string, failure: ConnectionFailure): Promise<void> {
      await view
        .scoped(scope)
        .updateTable('oauth2_connections')
        .set({
          attempts: failure.attempts,
          failure: failure.failure,
          last_error: failure.lastError,
          retry_at: failure.retryAtMs,
          renew_at: failure.renewAtMs,
          updated_at: failure.atMs,
          ...FREED,
        })
        .where('id', '=', id)
        .where('claim_owner', '=', owner)
        .execute();
    },

    /** A visit that led to nothing; what is connected stays so. */
    async noteRefusal(
      tx: Transaction,
      scope: Scope,
      id: string,
      lastError: string,
      nowMs: number,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oauth2_connections')
        .set({ last_error: lastError, updated_at: nowMs })
        .where('id', '=', id)
        .execute();
    },

    /** Of all environments: what is under way for the former ones counts for nothing. */
    async dropTokens(tx: Transaction, scope: Scope, secretId: string, nowMs: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oauth2_connections')
        .set((eb) => ({
          token_version: eb('token_version', '+', 1),
          tokens_envelope: null,
          token_type: null,
          scope: null,
          expires_at: null,
          is_renewable: 0,
          renew_at: null,
          obtained_at: null,
          updated_at: nowMs,
          ...NO_FAILURE,
          ...FREED,
        }))
        .where('secret_id', '=', secretId)
        .execute();
    },

    /** Is tried at once, whatever failed before. */
    async wake(tx: Transaction, scope: Scope, secretId: string, nowMs: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oauth2_connections')
        .set({ ...NO_FAILURE, renew_at: nowMs })
        .where('secret_id', '=', secretId)
        .where('is_renewable', '=', 1)
        .execute();
    },

    /** Is asked for at once, tokens or none. */
    async beDue(
      tx: Transaction,
      scope: Scope,
      secretId: string,
      { atMs, lastError }: { readonly atMs: number; readonly lastError: string | null },
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oauth2_connections')
        .set({ ...NO_FAILURE, renew_at: atMs, last_error: lastError })
        .where('secret_id', '=', secretId)
        .execute();
    },

    /** Its base environment has another name, or it is gone. */
    async removeEnvironment(tx: Transaction, scope: Scope, environment: string): Promise<number> {
      const queries = view.scoped(scope, tx);
      await queries.deleteFrom('oauth2_visits').where('environment_name', '=', environment).execute();
      const rows = await queries
        .deleteFrom('oauth2_connections')
        .where('environment_name', '=', environment)
        .returning('id')
        .execute();
      return rows.length;
    },

    async due(nowMs: number, limit: number): Promise<DueConnection[]> {
      const rows = await view
        .system('oauth2_renewals')
        .selectFrom('oauth2_connections')
        .select(['tenant_id', 'sandbox', 'secret_id', 'environment_name'])
        .where('renew_at', '<=', nowMs)
        .where(({ or, eb }) => or([eb('claim_until', 'is', null), eb('claim_until', '<=', nowMs)]))
        .orderBy('renew_at')
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
        secretId: row.secret_id,
        environment: row.environment_name,
      }));
    },

    async putOff(
      scope: Scope,
      { secretId, environment }: Pick<Connection, 'secretId' | 'environment'>,
      untilMs: number,
    ): Promise<void> {
      await view
        .scoped(scope)
        .updateTable('oauth2_connections')
        .set({ renew_at: untilMs })
        .where('secret_id', '=', secretId)
        .where('environment_name', '=', environment)
        .where('renew_at', 'is not', null)
        .execute();
    },
  };
}

function connectionOf(row: Row): Connection {
  return {
    id: row.id,
    secretId: row.secret_id,
    environment: row.environment_name,
    tokenVersion: row.token_version,
    tokensEnvelope: row.tokens_envelope,
    tokenType: row.token_type,
    scopeText: row.scope,
    expiresAtMs: row.expires_at,
    isRenewable: row.is_renewable === 1,
    renewAtMs: row.renew_at,
    retryAtMs: row.retry_at,
    attempts: row.attempts,
    failure: row.failure,
    lastError: row.last_error,
    obtainedAtMs: row.obtained_at,
    beganAtMs: row.began_at,
    claimUntilMs: row.claim_until,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}
