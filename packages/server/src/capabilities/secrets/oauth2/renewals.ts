import type { Clock } from '../../../kernel/clock.js';
import type { IdSource, Scope } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { createShare } from '../../../kernel/share.js';
import type { Logger } from '../../../platform/log/logger.js';
import type { Database } from '../../../platform/storage/database.js';
import type { Accounts } from '../../accounts/index.js';
import type { Connection, ConnectionStore, StoredTokens } from './connection-store.js';
import { hasOwnGrant, renewAtMsOf, retryDelayMs } from './life.js';
import { scopeTextOf } from './providers.js';
import type { Credentials, Sealing, Tokens } from './sealing.js';
import type { OAuth2Config, OAuth2ConfigStore } from './store.js';
import type { TokenClient, TokenGrant } from './token-client.js';
import { TokenRefused, type TokenSet } from './token-set.js';

/** `busy`: another process is at it. */
export type RenewalOutcome = 'renewed' | 'failed' | 'busy';

export interface Renewals {
  /** One at a time of a connection in all processes; who asks meanwhile in this one shares it. Never in a transaction. */
  renew(scope: Scope, config: OAuth2Config, seen: Connection): Promise<RenewalOutcome>;
  /** A grant of its own, that is no refresh: of `client_credentials` and `password`. Throws `TokenRefused`. */
  askAnew(scope: Scope, config: AskedWith, credentials: Credentials): Promise<TokenGrant>;
  /** Sealed for that row. */
  stored(
    scope: Scope,
    config: Pick<OAuth2Config, 'provider' | 'grantType'>,
    connectionId: string,
    tokens: TokenSet,
    former: Tokens | null,
  ): Promise<StoredTokens>;
  /** Resolves when what is under way is stored: a refresh token that rotated is not left behind. */
  settle(): Promise<void>;
}

type AskedWith = Omit<OAuth2Config, 'secretId'>;

export interface RenewalsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: Logger;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly configs: OAuth2ConfigStore;
  readonly connections: ConnectionStore;
  readonly sealing: Sealing;
  readonly tokenClient: TokenClient;
}

const STORE_AGAIN_MS = 500;

export function createRenewals(deps: RenewalsDeps): Renewals {
  const { db, clock, ids, logger, accounts, configs, connections, sealing, tokenClient } = deps;
  const share = createShare<RenewalOutcome>();
  const underWay = new Set<Promise<unknown>>();

  async function request(
    scope: Scope,
    config: AskedWith,
    clientSecret: Credentials['clientSecret'],
    params: Readonly<Record<string, string | null>>,
  ): Promise<TokenGrant> {
    const tenant = await accounts.tenantById(scope.tenantId);
    if (!tenant) throw new TokenRefused('permanent', 'tenant_gone');
    const { tokenUrl, clientId, clientAuth } = config;
    return tokenClient.ask({
      scope,
      tenantSlug: tenant.slug,
      tokenUrl,
      clientId,
      clientSecret,
      clientAuth,
      params,
    });
  }

  function askAnew(scope: Scope, config: AskedWith, { clientSecret, username, password }: Credentials) {
    const { grantType, provider, scopes } = config;
    return request(scope, config, clientSecret, {
      grant_type: grantType,
      scope: scopeTextOf(provider, scopes),
      ...(grantType === 'password' && {
        username: username?.reveal() ?? null,
        password: password?.reveal() ?? null,
      }),
    });
  }

  /** By the refresh token where there is one; a grant of its own makes good what that is no longer worth. */
  async function ask(scope: Scope, config: AskedWith, credentials: Credentials, former: Tokens | null) {
    const refreshToken = former?.refreshToken ?? null;
    if (refreshToken === null) return askAnew(scope, config, credentials);
    try {
      return await request(scope, config, credentials.clientSecret, {
        grant_type: 'refresh_token',
        refresh_token: refreshToken.reveal(),
      });
    } catch (error) {
      const isOver = error instanceof TokenRefused && error.kind === 'permanent';
      if (!isOver || !hasOwnGrant(config.grantType)) throw error;
      return askAnew(scope, config, credentials);
    }
  }

  async function stored(
    scope: Scope,
    { provider, grantType }: Pick<OAuth2Config, 'provider' | 'grantType'>,
    connectionId: string,
    tokens: TokenSet,
    former: Tokens | null,
  ): Promise<StoredTokens> {
    const { accessToken, tokenType, scope: scopeText, expiresAtMs } = tokens;
    // RFC 6749 §6: without a new one the former goes on.
    const refreshToken = tokens.refreshToken ?? former?.refreshToken ?? null;
    const isRenewable = refreshToken !== null || hasOwnGrant(grantType);
    const nowMs = clock.nowMs();
    return {
      tokensEnvelope: await sealing.sealTokens(scope, connectionId, { accessToken, refreshToken }),
      tokenType,
      scopeText,
      expiresAtMs,
      isRenewable,
      renewAtMs: renewAtMsOf(tokens, provider, isRenewable, nowMs),
      obtainedAtMs: nowMs,
    };
  }

  async function store(
    scope: Scope,
    config: OAuth2Config,
    seen: Connection,
    grant: TokenGrant,
    former: Tokens | null,
  ) {
    const tokens = await stored(scope, config, seen.id, grant.tokens, former);
    await db.transaction(async (tx) => {
      if (!(await configs.hasVersion(tx, scope, config.secretId, config.version))) return;
      await connections.putTokens(tx, scope, seen, tokens);
      if (config.clientAuth === null && grant.clientAuth !== null)
        await configs.setClientAuth(tx, scope, config, grant.clientAuth);
    });
  }

  /** The provider may have ended the former refresh token: a database that is away for a moment must not cost the new one. */
  async function keep(
    scope: Scope,
    config: OAuth2Config,
    seen: Connection,
    grant: TokenGrant,
    former: Tokens | null,
    untilMs: number,
  ): Promise<void> {
    for (let delayMs = STORE_AGAIN_MS; ; delayMs *= 2) {
      try {
        return await store(scope, config, seen, grant, former);
      } catch (error) {
        logger.warn(
          { err: error, secret_id: config.secretId },
          'tokens of an OAuth2 secret could not be stored',
        );
        if (clock.nowMs() + delayMs >= untilMs) throw error;
        await new Promise<void>((resolve) => clock.setTimer(delayMs, resolve));
      }
    }
  }

  async function run(scope: Scope, config: OAuth2Config, seen: Connection): Promise<RenewalOutcome> {
    const { grantType } = config;
    if (seen.claimUntilMs !== null && clock.nowMs() < seen.claimUntilMs) return 'busy';
    // All that needs the tenant's key comes before the provider is asked, whose answer may not come twice.
    const credentials = await sealing.openCredentials(scope, config);
    const former = seen.tokensEnvelope && (await sealing.openTokens(scope, seen.id, seen.tokensEnvelope));
    const owner = ids.uuid();
    const nowMs = clock.nowMs();
    const untilMs = nowMs + LIMITS.oauth2ClaimMs;
    const claimed = await connections.claim(scope, seen, { owner, nowMs, untilMs });
    if (!claimed) return 'busy';
    try {
      const grant = await ask(scope, config, credentials, former);
      await keep(scope, config, seen, grant, former, untilMs);
      return 'renewed';
    } catch (error) {
      if (!(error instanceof TokenRefused)) throw error;
      // Who began before was broken off, perhaps between the provider's answer and our store.
      const isLost = seen.beganAtMs !== null && error.code === 'invalid_grant' && !hasOwnGrant(grantType);
      await fail(scope, claimed, owner, error.kind, isLost ? 'renewal_interrupted' : error.code);
      return 'failed';
    }
  }

  async function fail(
    scope: Scope,
    { id, attempts: before }: Connection,
    owner: string,
    kind: TokenRefused['kind'],
    code: string,
  ): Promise<void> {
    const attempts = before + 1;
    const atMs = clock.nowMs();
    const delayMs = kind === 'permanent' ? LIMITS.oauth2RetryMsMax : retryDelayMs(attempts);
    const retryAtMs = atMs + delayMs;
    const renewAtMs = kind === 'permanent' ? null : retryAtMs;
    await connections.putFailure(scope, id, owner, {
      attempts,
      failure: kind,
      lastError: code,
      retryAtMs,
      renewAtMs,
      atMs,
    });
  }

  return {
    askAnew,
    stored,

    renew(scope, config, seen) {
      const renewal = share(`${scope.tenantId} ${scope.sandbox} ${seen.id} ${seen.tokenVersion}`, () =>
        run(scope, config, seen),
      );
      underWay.add(renewal);
      const done = () => {
        underWay.delete(renewal);
      };
      renewal.then(done, done);
      return renewal;
    },

    async settle() {
      while (underWay.size > 0) await Promise.allSettled([...underWay]);
    },
  };
}
