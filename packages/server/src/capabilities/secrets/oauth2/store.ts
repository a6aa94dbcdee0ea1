import type { Selectable } from 'kysely';
import type { Scope } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import {
  type ClientAuth,
  type GrantType,
  type OAuth2SecretRow,
  oauth2Tables,
  type ProviderName,
} from './tables.js';

/** What tokens of a secret are asked for with. */
export interface OAuth2Config {
  /** Of the row: what is sealed in it is bound to it. */
  readonly id: string;
  readonly secretId: string;
  readonly provider: ProviderName;
  readonly grantType: GrantType;
  readonly clientId: string;
  /** Where a browser is sent to; null of grants without one. */
  readonly authUrl: string | null;
  readonly tokenUrl: string;
  readonly scopes: readonly string[];
  readonly clientAuth: ClientAuth | null;
  readonly credentialsEnvelope: Buffer;
  readonly version: number;
}

type Row = Selectable<OAuth2SecretRow>;
export type OAuth2ConfigStore = ReturnType<typeof createOAuth2ConfigStore>;

export function createOAuth2ConfigStore(db: Database) {
  const view = db.view(oauth2Tables);

  const byId = view.define<{ secretId: string }, Row>('oauth2_secret_by_id', (queries, arg) =>
    queries.selectFrom('oauth2_secrets').selectAll().where('secret_id', '=', arg('secretId')),
  );

  return {
    async insert(tx: Transaction, scope: Scope, config: OAuth2Config): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('oauth2_secrets')
        .values({
          id: config.id,
          secret_id: config.secretId,
          provider: config.provider,
          grant_type: config.grantType,
          client_id: config.clientId,
          auth_url: config.authUrl,
          token_url: config.tokenUrl,
          scopes: JSON.stringify(config.scopes),
          client_auth: config.clientAuth,
          mtls_certificate_id: null,
          credentials_envelope: config.credentialsEnvelope,
          config_version: config.version,
        })
        .execute();
    },

    async find(scope: Scope, secretId: string, tx?: Transaction): Promise<OAuth2Config | undefined> {
      const row = await byId.first(scope, { secretId }, tx);
      return row && configOf(row);
    },

    /** What came of a version that is no longer there counts for nothing: asked in the transaction that stores it. */
    async hasVersion(tx: Transaction, scope: Scope, secretId: string, version: number): Promise<boolean> {
      await tx.lock('oauth2_secrets', secretId);
      return (await byId.first(scope, { secretId }, tx))?.config_version === version;
    },

    async setClientAuth(
      tx: Transaction,
      scope: Scope,
      { secretId, version }: Pick<OAuth2Config, 'secretId' | 'version'>,
      clientAuth: ClientAuth,
    ): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('oauth2_secrets')
        .set({ client_auth: clientAuth })
        .where('secret_id', '=', secretId)
        .where('config_version', '=', version)
        .execute();
    },

    /** False where somebody else has changed it since. */
    async change(
      tx: Transaction,
      scope: Scope,
      former: Pick<OAuth2Config, 'secretId' | 'version'>,
      change: Pick<OAuth2Config, 'tokenUrl' | 'clientAuth' | 'credentialsEnvelope'>,
    ): Promise<boolean> {
      const rows = await view
        .scoped(scope, tx)
        .updateTable('oauth2_secrets')
        .set({
          token_url: change.tokenUrl,
          client_auth: change.clientAuth,
          credentials_envelope: change.credentialsEnvelope,
          config_version: former.version + 1,
        })
        .where('secret_id', '=', former.secretId)
        .where('config_version', '=', former.version)
        .returning('secret_id')
        .execute();
      return rows.length === 1;
    },

    async remove(tx: Transaction, scope: Scope, secretId: string): Promise<void> {
      const queries = view.scoped(scope, tx);
      await queries.deleteFrom('oauth2_visits').where('secret_id', '=', secretId).execute();
      await queries.deleteFrom('oauth2_connections').where('secret_id', '=', secretId).execute();
      await queries.deleteFrom('oauth2_secrets').where('secret_id', '=', secretId).execute();
    },

    /** Connections hold the name of their environment. */
    async renameEnvironment(tx: Transaction, scope: Scope, from: string, to: string): Promise<void> {
      const queries = view.scoped(scope, tx);
      for (const table of ['oauth2_connections', 'oauth2_visits'] as const)
        await queries
          .updateTable(table)
          .set({ environment_name: to })
          .where('environment_name', '=', from)
          .execute();
    },
  };
}

function configOf(row: Row): OAuth2Config {
  return {
    id: row.id,
    secretId: row.secret_id,
    provider: row.provider,
    grantType: row.grant_type,
    clientId: row.client_id,
    authUrl: row.auth_url,
    tokenUrl: row.token_url,
    scopes: JSON.parse(row.scopes) as string[],
    clientAuth: row.client_auth,
    credentialsEnvelope: row.credentials_envelope,
    version: row.config_version,
  };
}
