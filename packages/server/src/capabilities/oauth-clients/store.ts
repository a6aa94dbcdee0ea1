import { assert } from '../../kernel/assert.js';
import type { OAuthClientId, Scope, TenantId } from '../../kernel/ids.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { type OAuthClientsTables, oauthClientsTables } from './tables.js';

export const CLIENT_TYPES = ['confidential', 'public'] as const;
export type ClientType = (typeof CLIENT_TYPES)[number];

/** What a PATCH may change. */
export interface ClientTerms {
  readonly name: string;
  /** Null = whatever the user holds. */
  readonly allowedScopes: readonly string[] | null;
  readonly redirectUris: readonly string[];
  readonly requireDpop: boolean;
  readonly requireDpopNonce: boolean;
  readonly refreshGraceSeconds: number;
  readonly consentHtmlTemplate: string | null;
  readonly stepUpScopes: readonly string[];
  readonly isActive: boolean;
}

export interface OAuthClient extends ClientTerms {
  readonly id: OAuthClientId;
  readonly scope: Scope;
  readonly clientId: string;
  readonly type: ClientType;
  readonly grantTypes: readonly string[];
  /** `cli` of the one that the server makes for a tenant. */
  readonly systemRole: string | null;
  readonly secretEpoch: number;
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number | null;
  readonly revokedAtMs: number | null;
}

/** As a look-up by its public name finds it, before its tenant is known. */
export interface StoredClient extends OAuthClient {
  readonly secretHash: Buffer | null;
}

type Row = OAuthClientsTables['oauth_clients'];
type ReadRow = Omit<Row, 'tenant_id' | 'sandbox'> & { tenant_id: TenantId; sandbox: 0 | 1 };

const COLUMNS = [
  'tenant_id',
  'sandbox',
  'id',
  'client_id',
  'secret_hash',
  'secret_epoch',
  'name',
  'type',
  'grant_types',
  'allowed_scopes',
  'redirect_uris',
  'require_dpop',
  'require_dpop_nonce',
  'refresh_grace_seconds',
  'consent_html_template',
  'step_up_scopes',
  'active',
  'system_role',
  'created_at',
  'last_used_at',
  'revoked_at',
] as const;

export function createOAuthClientStore(db: Database) {
  const view = db.view(oauthClientsTables);

  const byClientId = view.defineSystem<{ clientId: string }, ReadRow>(
    'oauth_clients_by_client_id',
    'credential_by_hash',
    (queries, arg) =>
      queries
        .selectFrom('oauth_clients')
        .select(COLUMNS)
        .where('client_id', '=', arg('clientId'))
        .where('revoked_at', 'is', null),
  );
  const byId = view.define<{ id: string }, ReadRow>('oauth_clients_by_id', (queries, arg) =>
    queries
      .selectFrom('oauth_clients')
      .select(COLUMNS)
      .where('id', '=', arg('id') as OAuthClientId),
  );

  return {
    async insert(tx: Transaction, client: OAuthClient, secretHash: Buffer | null): Promise<void> {
      await view
        .scoped(client.scope, tx)
        .insertInto('oauth_clients')
        .values({
          id: client.id,
          client_id: client.clientId,
          secret_hash: secretHash,
          secret_epoch: client.secretEpoch,
          type: client.type,
          grant_types: JSON.stringify(client.grantTypes),
          system_role: client.systemRole,
          created_at: client.createdAtMs,
          last_used_at: client.lastUsedAtMs,
          revoked_at: client.revokedAtMs,
          ...columnsOf(client),
        })
        .execute();
    },

    async list(scope: Scope, limit: number): Promise<OAuthClient[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('oauth_clients')
        .select(COLUMNS)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit)
        .execute();
      return rows.map(clientOf);
    },

    async countActive(scope: Scope, tx: Transaction): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('oauth_clients')
        .select((select) => select.fn.countAll<number>().as('total'))
        .where('revoked_at', 'is', null)
        .executeTakeFirstOrThrow();
      return total;
    },

    /** Revoked or not. */
    async find(scope: Scope, id: OAuthClientId, tx?: Transaction): Promise<OAuthClient | undefined> {
      const row = await byId.first(scope, { id }, tx);
      return row && clientOf(row);
    },

    async findByClientId(clientId: string): Promise<StoredClient | undefined> {
      const row = await byClientId.first(null, { clientId });
      return row && { ...clientOf(row), secretHash: row.secret_hash };
    },

    async findOfRole(scope: Scope, systemRole: string, tx?: Transaction): Promise<OAuthClient | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('oauth_clients')
        .select(COLUMNS)
        .where('system_role', '=', systemRole)
        .executeTakeFirst();
      return row && clientOf(row);
    },

    async update(tx: Transaction, scope: Scope, id: OAuthClientId, terms: ClientTerms): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oauth_clients')
        .set(columnsOf(terms))
        .where('id', '=', id)
        .execute();
    },

    async replaceSecret(tx: Transaction, scope: Scope, id: OAuthClientId, secretHash: Buffer): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oauth_clients')
        .set((eb) => ({ secret_hash: secretHash, secret_epoch: eb('secret_epoch', '+', 1) }))
        .where('id', '=', id)
        .execute();
    },

    async revoke(tx: Transaction, scope: Scope, id: OAuthClientId, nowMs: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oauth_clients')
        .set({ revoked_at: nowMs, secret_hash: null })
        .where('id', '=', id)
        .execute();
    },

    async setLastUsed(tx: Transaction, scope: Scope, id: OAuthClientId, atMs: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oauth_clients')
        .set({ last_used_at: atMs })
        .where('id', '=', id)
        .where((where) => where.or([where('last_used_at', 'is', null), where('last_used_at', '<', atMs)]))
        .execute();
    },
  };
}

function columnsOf(terms: ClientTerms) {
  return {
    name: terms.name,
    allowed_scopes: terms.allowedScopes && JSON.stringify(terms.allowedScopes),
    redirect_uris: JSON.stringify(terms.redirectUris),
    require_dpop: Number(terms.requireDpop),
    require_dpop_nonce: Number(terms.requireDpopNonce),
    refresh_grace_seconds: terms.refreshGraceSeconds,
    consent_html_template: terms.consentHtmlTemplate,
    step_up_scopes: JSON.stringify(terms.stepUpScopes),
    active: Number(terms.isActive),
  };
}

function clientOf(row: ReadRow): OAuthClient {
  const type = CLIENT_TYPES.find((one) => one === row.type);
  assert(type, 'a stored client has an unknown type');
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id, sandbox: row.sandbox === 1 },
    clientId: row.client_id,
    type,
    grantTypes: listOf(row.grant_types),
    systemRole: row.system_role,
    secretEpoch: row.secret_epoch,
    createdAtMs: row.created_at,
    lastUsedAtMs: row.last_used_at,
    revokedAtMs: row.revoked_at,
    name: row.name,
    allowedScopes: row.allowed_scopes === null ? null : listOf(row.allowed_scopes),
    redirectUris: listOf(row.redirect_uris),
    requireDpop: row.require_dpop === 1,
    requireDpopNonce: row.require_dpop_nonce === 1,
    refreshGraceSeconds: row.refresh_grace_seconds,
    consentHtmlTemplate: row.consent_html_template,
    stepUpScopes: listOf(row.step_up_scopes),
    isActive: row.active === 1,
  };
}

function listOf(text: string): readonly string[] {
  return JSON.parse(text) as string[];
}
