import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../../kernel/ids.js';
import type { Actor } from '../../../kernel/principal.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { type OAuth2VisitRow, oauth2Tables } from './tables.js';

/** A browser was sent to the provider and has not come back. */
export interface Visit {
  readonly scope: Scope;
  readonly id: string;
  readonly secretId: string;
  readonly environment: string;
  readonly stateHash: Buffer;
  readonly verifierEnvelope: Buffer;
  readonly redirectUri: string;
  readonly configVersion: number;
  /** Who began. */
  readonly actor: Pick<Actor, 'apiKeyId' | 'userId' | 'oauthClientId' | 'bindingId'>;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

type Row = Selectable<OAuth2VisitRow>;
export type VisitStore = ReturnType<typeof createVisitStore>;

export function createVisitStore(db: Database) {
  const view = db.view(oauth2Tables);

  const byState = view.defineSystem<{ hash: Buffer }, Row>(
    'oauth2_visit_by_state',
    'credential_by_hash',
    (queries, arg) => queries.selectFrom('oauth2_visits').selectAll().where('state_hash', '=', arg('hash')),
  );

  return {
    async insert(tx: Transaction, visit: Visit): Promise<void> {
      await view
        .scoped(visit.scope, tx)
        .insertInto('oauth2_visits')
        .values({
          id: visit.id,
          secret_id: visit.secretId,
          environment_name: visit.environment,
          state_hash: visit.stateHash,
          verifier_envelope: visit.verifierEnvelope,
          redirect_uri: visit.redirectUri,
          config_version: visit.configVersion,
          actor: JSON.stringify(visit.actor),
          created_at: visit.createdAtMs,
          expires_at: visit.expiresAtMs,
        })
        .execute();
    },

    async findByState(hash: Buffer): Promise<Visit | undefined> {
      const row = await byState.first(null, { hash });
      return row && visitOf(row);
    },

    /** True for one of several who come with the same state. */
    async take(tx: Transaction, { scope, id }: Pick<Visit, 'scope' | 'id'>): Promise<boolean> {
      const rows = await view
        .scoped(scope, tx)
        .deleteFrom('oauth2_visits')
        .where('id', '=', id)
        .returning('id')
        .execute();
      return rows.length === 1;
    },

    /** The oldest go, so that so many are left. */
    async trim(tx: Transaction, scope: Scope, secretId: string, keptMax: number): Promise<void> {
      const queries = view.scoped(scope, tx);
      const rows = await queries
        .selectFrom('oauth2_visits')
        .select('id')
        .where('secret_id', '=', secretId)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .execute();
      for (const { id } of rows.slice(keptMax))
        await queries.deleteFrom('oauth2_visits').where('id', '=', id).execute();
    },

    async dropOf(tx: Transaction, scope: Scope, secretId: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('oauth2_visits').where('secret_id', '=', secretId).execute();
    },

    async removeEnded(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const ended = await view
        .system('retention', tx)
        .selectFrom('oauth2_visits')
        .select(['tenant_id', 'sandbox', 'id'])
        .where('expires_at', '<=', beforeMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      for (const { tenant_id, sandbox, id } of ended) {
        const scope = { tenantId: tenant_id as TenantId, sandbox: sandbox === 1 };
        await view.scoped(scope, tx).deleteFrom('oauth2_visits').where('id', '=', id).execute();
      }
      return ended.length;
    },
  };
}

function visitOf(row: Row): Visit {
  return {
    scope: { tenantId: row.tenant_id, sandbox: row.sandbox === 1 },
    id: row.id,
    secretId: row.secret_id,
    environment: row.environment_name,
    stateHash: row.state_hash,
    verifierEnvelope: row.verifier_envelope,
    redirectUri: row.redirect_uri,
    configVersion: row.config_version,
    actor: JSON.parse(row.actor) as Visit['actor'],
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
  };
}
