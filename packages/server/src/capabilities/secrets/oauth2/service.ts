import type { Clock } from '../../../kernel/clock.js';
import { notFound, validationError } from '../../../kernel/errors.js';
import type { IdSource, Scope } from '../../../kernel/ids.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Egress } from '../../../platform/egress/egress.js';
import type { JobContext, JobReport } from '../../../platform/jobs/definition.js';
import type { Logger } from '../../../platform/log/logger.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { Accounts } from '../../accounts/index.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import type { EgressAllowlist } from '../../egress-allowlist/index.js';
import type { TenantKeys } from '../../kms/index.js';
import type { Plans } from '../../plans/index.js';
import type { OAuth2Values, StoredSecret } from '../types.js';
import { readTokenEntry } from './audit.js';
import { createBackground } from './background.js';
import { type BegunVisit, createConnecting, type Outcome, type Return } from './connecting.js';
import { type Connection, createConnectionStore } from './connection-store.js';
import { type CurrentToken, createCurrentTokens } from './current-tokens.js';
import { changedMeanwhile, credentialsRefused, destinationMoved, notOAuth2 } from './errors.js';
import { type ConnectionStatus, hasOwnGrant, statusOf } from './life.js';
import { PRESETS } from './providers.js';
import { createRenewals } from './renewals.js';
import { type Credentials, createSealing } from './sealing.js';
import { createOAuth2ConfigStore, type OAuth2Config } from './store.js';
import type { GrantType, ProviderName } from './tables.js';
import { createTokenClient, type TokenGrant } from './token-client.js';
import { TokenRefused } from './token-set.js';
import { createTokenUrlJudge } from './token-urls.js';
import { createVisitStore } from './visit-store.js';

export interface NewOAuth2 extends Credentials {
  readonly provider: ProviderName;
  readonly grantType: GrantType;
  readonly clientId: string;
  /** Null: that of the provider. */
  readonly authUrl: string | null;
  readonly tokenUrl: string | null;
  readonly scopes: readonly string[];
}

/** Judged, asked for where that needs no person, and sealed: what is left is to write it. */
export interface PreparedOAuth2 {
  /** In the transaction that has written the secret. */
  write(tx: Transaction, secret: Place): Promise<void>;
  describe(secret: Place): OAuth2Details;
}

export interface PreparedChange {
  /** In the transaction of the change. */
  write(tx: Transaction): Promise<void>;
}

export interface OAuth2Details {
  readonly provider: ProviderName;
  readonly grantType: GrantType;
  readonly clientId: string;
  readonly authUrl: string | null;
  readonly tokenUrl: string;
  readonly scopes: readonly string[];
  /** To be registered with the provider. */
  readonly redirectUri: string;
  readonly status: ConnectionStatus;
  /** Why the last try led to nothing; null = it did not. */
  readonly lastError: string | null;
  readonly tokenExpiresAtMs: number | null;
}

/** Absent = as it was. */
export interface OAuth2Change {
  readonly tokenUrl?: string;
  readonly clientSecret?: Secret<string>;
  readonly password?: Secret<string>;
  /** Its allowed_hosts cover further ones. */
  readonly isWider?: boolean;
}

type Place = Pick<StoredSecret, 'id' | 'scope' | 'baseEnvironment'>;

/** Secrets whose value is the access token of somebody else's service (dataplane.md §3; docs/decisions/0090). */
export interface OAuth2Secrets extends OAuth2Values {
  /** Before the transaction that adds the secret: 400 of what the provider refuses, 402, 403 of where the guard does not let go. */
  prepare(caller: Caller, input: NewOAuth2): Promise<PreparedOAuth2>;
  /**
   * Before the transaction that changes the secret. 400 where a token URL moves, or tokens may go to further hosts, without the
   * credentials that are stored; either drops the tokens (contract README §10).
   */
  prepareChange(caller: Caller, secret: Place, change: OAuth2Change): Promise<PreparedChange>;
  remove(tx: Transaction, scope: Scope, secretId: string): Promise<void>;
  renameEnvironment(tx: Transaction, scope: Scope, from: string, to: string): Promise<void>;
  describe(secret: Place, environment: string | null): Promise<OAuth2Details>;
  /** Environments with a connection of their own, in order. */
  connectionsOf(secret: Pick<StoredSecret, 'id' | 'scope'>): Promise<readonly Connection[]>;
  countsOf(scope: Scope, secretIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Audited. 400 `invalid_type` of a secret of another type. */
  token(caller: Caller, secret: StoredSecret, environment: string | null): Promise<CurrentToken>;
  connect(caller: Caller, secret: StoredSecret, environment: string | null): Promise<BegunVisit>;
  complete(back: Return): Promise<Outcome>;
  renewDue(context: Pick<JobContext, 'batchMax' | 'isStopping'>): Promise<JobReport>;
  removeEndedVisits(rowsMax: number): Promise<number>;
  /** Resolves when no renewal is under way. */
  close(): Promise<void>;
}

export interface OAuth2SecretsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly logger: Logger;
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock' | 'stream'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
  readonly plans: Pick<Plans, 'requireFeature'>;
  /** Public origin of this server. */
  origin(): string;
  nameOf(scope: Scope, secretId: string): Promise<string | undefined>;
}

export const CALLBACK_PATH = '/auth/oauth2/callback/';

export function createOAuth2Secrets(deps: OAuth2SecretsDeps): OAuth2Secrets {
  const { db, clock, ids, auditLogs, plans } = deps;
  const configs = createOAuth2ConfigStore(db);
  const connections = createConnectionStore(db);
  const visits = createVisitStore(db);
  const sealing = createSealing(deps.tenantKeys);
  const tokenClient = createTokenClient(deps);
  const parts = { ...deps, configs, connections, visits, sealing, tokenClient };
  const renewals = createRenewals(parts);
  const current = createCurrentTokens({ ...parts, renewals });
  const judgeTokenUrl = createTokenUrlJudge(deps);
  const connecting = createConnecting({ ...parts, renewals });
  const background = createBackground({ ...parts, renewals });

  const redirectUriOf = (secretId: string) => `${deps.origin()}${CALLBACK_PATH}${secretId}`;

  function detailsOf(config: OAuth2Config, connection: Shown | undefined) {
    const { secretId, provider, grantType, clientId, authUrl, tokenUrl, scopes } = config;
    return {
      provider,
      grantType,
      clientId,
      authUrl,
      tokenUrl,
      scopes,
      redirectUri: redirectUriOf(secretId),
      status: statusOf(connection, clock.nowMs()),
      lastError: connection?.lastError ?? null,
      tokenExpiresAtMs: connection?.expiresAtMs ?? null,
    };
  }

  /** What the provider refuses is told at once; one that is away is asked again by the job. */
  async function firstGrant(
    scope: Scope,
    config: Omit<OAuth2Config, 'secretId'>,
    input: Credentials,
  ): Promise<TokenGrant | string | null> {
    if (!hasOwnGrant(config.grantType)) return null;
    try {
      return await renewals.askAnew(scope, config, input);
    } catch (error) {
      if (!(error instanceof TokenRefused)) throw error;
      if (error.kind === 'permanent') throw credentialsRefused(error.code);
      return error.code;
    }
  }

  async function newConfig(scope: Scope, input: NewOAuth2): Promise<Omit<OAuth2Config, 'secretId'>> {
    const id = ids.uuid();
    const preset = PRESETS[input.provider];
    const { provider, grantType, clientId, scopes } = input;
    return {
      id,
      provider,
      grantType,
      clientId,
      authUrl: input.authUrl ?? preset.authUrl,
      // Of the implicit grant nobody asks; the schema has seen to all others.
      tokenUrl: input.tokenUrl ?? preset.tokenUrl ?? '',
      scopes,
      clientAuth: preset.clientAuth,
      credentialsEnvelope: await sealing.sealCredentials(scope, id, input),
      version: 1,
    };
  }

  async function configOf({ scope, id }: Pick<StoredSecret, 'scope' | 'id'>): Promise<OAuth2Config> {
    const config = await configs.find(scope, id);
    if (!config) throw notFound('Secret');
    return config;
  }

  async function sealChange(scope: Scope, config: OAuth2Config, change: OAuth2Change): Promise<Buffer> {
    const stored = await sealing.openCredentials(scope, config);
    const isMoved = change.tokenUrl !== undefined && change.tokenUrl !== config.tokenUrl;
    const moved = [...(isMoved ? ['token_url'] : []), ...(change.isWider ? ['allowed_hosts'] : [])];
    const missing = [
      ...(stored.clientSecret && !change.clientSecret ? ['client_secret'] : []),
      ...(stored.password && !change.password ? ['password'] : []),
    ];
    if (moved.length > 0 && missing.length > 0) throw destinationMoved(moved, missing);
    if (change.password && config.grantType !== 'password')
      throw validationError('password', 'is of secrets with the grant_type password alone');
    return sealing.sealCredentials(scope, config.id, {
      clientSecret: change.clientSecret ?? stored.clientSecret,
      username: stored.username,
      password: change.password ?? stored.password,
    });
  }

  function requireOAuth2({ type }: Pick<StoredSecret, 'type'>): void {
    if (type !== 'oauth2') throw notOAuth2();
  }

  return {
    async prepare({ principal }, input) {
      const { scope, tenantSlug } = principal;
      await plans.requireFeature(scope.tenantId, 'oauth2_secrets');
      const made = await newConfig(scope, input);
      if (made.tokenUrl !== '') await judgeTokenUrl(scope, tenantSlug, made.tokenUrl);
      const first = await firstGrant(scope, made, input);
      const grant = typeof first === 'string' ? null : first;
      const lastError = typeof first === 'string' ? first : null;
      const connectionId = ids.uuid();
      const tokens = grant && (await renewals.stored(scope, made, connectionId, grant.tokens, null));
      const configFor = ({ id: secretId }: Pick<StoredSecret, 'id'>): OAuth2Config => ({
        ...made,
        secretId,
        clientAuth: grant?.clientAuth ?? made.clientAuth,
      });
      return {
        describe: (secret) => detailsOf(configFor(secret), { ...NO_TOKENS, ...tokens, lastError }),
        async write(tx, secret) {
          const { id: secretId, baseEnvironment: environment } = secret;
          const atMs = clock.nowMs();
          await configs.insert(tx, scope, configFor(secret));
          await connections.insert(tx, scope, { id: connectionId, secretId, environment, createdAtMs: atMs });
          if (tokens) await connections.putTokens(tx, scope, { id: connectionId, tokenVersion: 0 }, tokens);
          else if (hasOwnGrant(made.grantType))
            await connections.beDue(tx, scope, secretId, { atMs, lastError });
        },
      };
    },

    async prepareChange({ principal }, secret, change) {
      const { id, scope } = secret;
      const former = await configOf(secret);
      const { tokenUrl = former.tokenUrl } = change;
      const isMoved = tokenUrl !== former.tokenUrl;
      const credentialsEnvelope = await sealChange(scope, former, change);
      if (isMoved) await judgeTokenUrl(scope, principal.tenantSlug, tokenUrl);
      const clientAuth = isMoved ? PRESETS[former.provider].clientAuth : former.clientAuth;
      return {
        async write(tx) {
          if (!(await configs.change(tx, scope, former, { tokenUrl, clientAuth, credentialsEnvelope })))
            throw changedMeanwhile();
          const nowMs = clock.nowMs();
          await visits.dropOf(tx, scope, id);
          // What is sent is not compared with what is stored, so that tokens would go to whoever sends anything.
          if (isMoved || change.isWider) await connections.dropTokens(tx, scope, id, nowMs);
          if (hasOwnGrant(former.grantType))
            await connections.beDue(tx, scope, id, { atMs: nowMs, lastError: null });
          else await connections.wake(tx, scope, id, nowMs);
        },
      };
    },

    connectionsOf: ({ id, scope }) => connections.list(scope, id),
    countsOf: (scope, secretIds) => connections.counts(scope, secretIds),
    remove: (tx, scope, secretId) => configs.remove(tx, scope, secretId),
    renameEnvironment: (tx, scope, from, to) => configs.renameEnvironment(tx, scope, from, to),

    async describe(secret, environment) {
      const config = await configOf(secret);
      const named = { ...secret, name: '' };
      return detailsOf(config, await current.connectionOf(secret.scope, named, environment));
    },

    async render(scope, secret, environment) {
      return (await current.get(scope, secret, environment)).accessToken;
    },

    async token(caller, secret, environment) {
      requireOAuth2(secret);
      const token = await current.get(secret.scope, secret, environment);
      await db.transaction((tx) =>
        auditLogs.record(
          tx,
          actorOf(caller),
          readTokenEntry(secret.id, environment ?? secret.baseEnvironment),
        ),
      );
      return token;
    },

    async connect(caller, secret, environment) {
      requireOAuth2(secret);
      const place = environment ?? secret.baseEnvironment;
      return connecting.begin(caller, secret, place, redirectUriOf(secret.id));
    },

    complete: (back) => connecting.complete(back),
    renewDue: (context) => background.renewDue(context),
    removeEndedVisits: (rowsMax) => db.transaction((tx) => visits.removeEnded(tx, clock.nowMs(), rowsMax)),
    close: () => renewals.settle(),
  };
}

type Shown = Pick<Connection, 'tokensEnvelope' | 'expiresAtMs' | 'failure' | 'lastError'>;

const NO_TOKENS = { tokensEnvelope: null, expiresAtMs: null, failure: null } as const;
