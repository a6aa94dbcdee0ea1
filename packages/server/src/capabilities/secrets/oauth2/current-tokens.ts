import type { Clock } from '../../../kernel/clock.js';
import { notFound } from '../../../kernel/errors.js';
import type { Scope } from '../../../kernel/ids.js';
import type { Secret } from '../../../kernel/secret.js';
import type { StoredSecret } from '../types.js';
import type { Connection, ConnectionStore } from './connection-store.js';
import { notConnected, tokenEnded, tokenFailed } from './errors.js';
import { type ConnectionStatus, hasOwnGrant, isFresh, isUsable, statusOf } from './life.js';
import type { RenewalOutcome, Renewals } from './renewals.js';
import type { Sealing } from './sealing.js';
import type { OAuth2ConfigStore } from './store.js';

export interface CurrentToken {
  readonly accessToken: Secret<string>;
  readonly tokenType: string;
  readonly expiresAtMs: number | null;
  readonly status: ConnectionStatus;
}

type Named = Pick<StoredSecret, 'id' | 'name' | 'baseEnvironment'>;

export interface CurrentTokens {
  /**
   * Renewed first where its end is near. Without a provider the present one as long as it lasts. 409 not connected, 500
   * `token_error`, 503 `tenant_sealed`. Never in a transaction.
   */
  get(scope: Scope, secret: Named, environment: string | null): Promise<CurrentToken>;
  /** Of the environment, else of the base environment (dataplane.md §3). */
  connectionOf(scope: Scope, secret: Named, environment: string | null): Promise<Connection | undefined>;
}

export interface CurrentTokensDeps {
  readonly clock: Clock;
  readonly configs: Pick<OAuth2ConfigStore, 'find'>;
  readonly connections: Pick<ConnectionStore, 'find'>;
  readonly sealing: Pick<Sealing, 'openTokens'>;
  readonly renewals: Pick<Renewals, 'renew'>;
}

/** For whom another process renews: longer than that takes where the provider answers. */
const WAITS_MAX = 60;
const WAIT_MS = 200;

export function createCurrentTokens(deps: CurrentTokensDeps): CurrentTokens {
  const { clock, configs, connections, sealing, renewals } = deps;

  async function connectionOf(scope: Scope, { id, baseEnvironment }: Named, environment: string | null) {
    const own = environment === null ? undefined : await connections.find(scope, id, environment);
    return own ?? (await connections.find(scope, id, baseEnvironment));
  }

  async function opened(scope: Scope, connection: Connection): Promise<CurrentToken> {
    const { id, tokensEnvelope, tokenType, expiresAtMs } = connection;
    const { accessToken } = await sealing.openTokens(scope, id, tokensEnvelope!);
    const status = statusOf(connection, clock.nowMs());
    return { accessToken, tokenType: tokenType ?? 'Bearer', expiresAtMs, status };
  }

  async function renewed(scope: Scope, secret: Named, connection: Connection): Promise<RenewalOutcome> {
    const config = await configs.find(scope, secret.id);
    if (!config) throw notFound('Secret');
    if (!connection.isRenewable && !hasOwnGrant(config.grantType))
      throw connection.tokensEnvelope === null ? notConnected(secret.name) : tokenEnded(secret.name);
    return renewals.renew(scope, config, connection);
  }

  const wait = () => new Promise<void>((resolve) => clock.setTimer(WAIT_MS, resolve));

  return {
    connectionOf,

    async get(scope, secret, environment) {
      for (let waits = 0; ; waits++) {
        const connection = await connectionOf(scope, secret, environment);
        if (!connection) throw notConnected(secret.name);
        const nowMs = clock.nowMs();
        if (isFresh(connection, nowMs)) return opened(scope, connection);
        const isStillGood = isUsable(connection, nowMs);
        if (isStillGood && !connection.isRenewable) return opened(scope, connection);
        const { retryAtMs, lastError } = connection;
        const isPutOff = retryAtMs !== null && nowMs < retryAtMs;
        const outcome = isPutOff ? 'failed' : await renewed(scope, secret, connection);
        if (outcome === 'renewed') continue;
        if (isStillGood) return opened(scope, connection);
        if (isPutOff) throw tokenFailed(secret.name, lastError ?? 'unknown_error');
        if (outcome === 'busy') {
          if (waits >= WAITS_MAX) throw tokenFailed(secret.name, 'it is being renewed by another process');
          await wait();
        }
      }
    },
  };
}
