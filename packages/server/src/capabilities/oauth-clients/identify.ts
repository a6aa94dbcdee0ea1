import type { Clock } from '../../kernel/clock.js';
import type { ApiKeyId, OAuthClientId, Scope } from '../../kernel/ids.js';
import { equalInConstantTime } from '../../platform/crypto/hashing.js';
import type { Accounts, Tenant } from '../accounts/index.js';
import { type ApiKeys, hashKey, isExpired, type StoredCredential } from '../api-keys/index.js';
import type { Permissions } from '../permissions/index.js';
import { hashSecret } from './client-format.js';
import { type OAuthClient, type OAuthClients, permissionsOfClient } from './service.js';

/** What a client says of itself: its name, and its secret where it has one. */
export interface ClientCredentials {
  readonly clientId: string;
  readonly secret: string | null;
}

export type ClientSource =
  | { readonly kind: 'api_key'; readonly apiKeyId: ApiKeyId }
  | { readonly kind: 'client'; readonly oauthClientId: OAuthClientId };

/** A client of the token endpoint: a registered one, or an API key (auth.md §1.2). */
export interface KnownClient {
  readonly scope: Scope;
  readonly tenant: Tenant;
  /** As it named itself; of a key its public half. */
  readonly clientId: string;
  readonly source: ClientSource;
  /** It has shown its secret; a public client has only said its name. */
  readonly isAuthenticated: boolean;
  /** May be switched off by its tenant. */
  readonly isActive: boolean;
  readonly grantTypes: readonly string[];
  /** The most that its tokens may have. */
  readonly permissions: ReadonlySet<string>;
  /** Of the secret that it showed. */
  readonly epoch: number;
  readonly requireDpop: boolean;
  readonly requireDpopNonce: boolean;
  readonly refreshGraceSeconds: number;
  /** When it ends by itself; null = never. */
  readonly expiresAtMs: number | null;
}

export interface IdentifyDeps {
  readonly clients: Pick<OAuthClients, 'findByClientId'>;
  readonly apiKeys: Pick<ApiKeys, 'findActiveByHash'>;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly permissions: Pick<Permissions, 'decisionOfKey'>;
  readonly clock: Clock;
}

/** Undefined where name and secret are not those of one client: wrong, revoked, expired and unknown are one answer. */
export type IdentifyClient = (credentials: ClientCredentials) => Promise<KnownClient | undefined>;

/** An API key is a client of this grant alone: no user stands behind it. */
const KEY_GRANTS = ['client_credentials'];

export function createIdentifyClient(deps: IdentifyDeps): IdentifyClient {
  const { clients, apiKeys, accounts, permissions, clock } = deps;

  async function registered(
    client: OAuthClient & { secretHash: Buffer | null },
    secret: string | null,
  ): Promise<KnownClient | undefined> {
    const isPublic = client.secretHash === null;
    if (isPublic !== (secret === null)) return undefined;
    if (!isPublic && !equalInConstantTime(hashSecret(secret!), client.secretHash!)) return undefined;
    const tenant = await accounts.tenantById(client.scope.tenantId);
    if (!tenant) return undefined;
    return {
      scope: client.scope,
      tenant,
      clientId: client.clientId,
      source: { kind: 'client', oauthClientId: client.id },
      isAuthenticated: !isPublic,
      isActive: client.isActive,
      grantTypes: client.grantTypes,
      permissions: permissionsOfClient(client),
      epoch: client.secretEpoch,
      requireDpop: client.requireDpop,
      requireDpopNonce: client.requireDpopNonce,
      refreshGraceSeconds: client.refreshGraceSeconds,
      expiresAtMs: null,
    };
  }

  async function keyOf(text: string): Promise<StoredCredential | undefined> {
    const hash = hashKey(text);
    const key = await apiKeys.findActiveByHash(hash);
    if (!key || !equalInConstantTime(key.hash, hash) || isExpired(key, clock.nowMs())) return undefined;
    return key;
  }

  async function ofKey(key: StoredCredential): Promise<KnownClient | undefined> {
    const tenant = await accounts.tenantById(key.scope.tenantId);
    if (!tenant) return undefined;
    const { grants } = await permissions.decisionOfKey(key.scope.tenantId, key.access);
    return {
      scope: key.scope,
      tenant,
      clientId: key.keyId,
      source: { kind: 'api_key', apiKeyId: key.id },
      isAuthenticated: true,
      isActive: true,
      grantTypes: KEY_GRANTS,
      permissions: new Set(grants.map(({ permission }) => permission)),
      epoch: 0,
      requireDpop: false,
      requireDpopNonce: false,
      refreshGraceSeconds: 0,
      expiresAtMs: key.expiresAtMs,
    };
  }

  return async ({ clientId, secret }) => {
    const client = await clients.findByClientId(clientId);
    if (client) return registered(client, secret);
    if (secret === null) return undefined;
    // The literal split at the second underscore, a split at the key's id, and access keys alike.
    const joined = await keyOf(`${clientId}_${secret}`);
    if (joined) return ofKey(joined);
    const whole = secret.startsWith(clientId) ? await keyOf(secret) : undefined;
    return whole && ofKey(whole);
  };
}
