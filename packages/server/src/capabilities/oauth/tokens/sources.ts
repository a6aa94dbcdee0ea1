import type { ApiKeyId, OAuthClientId, OidcBindingId, Scope, UserId } from '../../../kernel/ids.js';
import type { Grant, UserRole } from '../../../kernel/principal.js';
import type { KeyRateLimit } from '../../../kernel/rate-limit.js';
import type { Accounts } from '../../accounts/index.js';
import type { ApiKeys } from '../../api-keys/index.js';
import { type OAuthClient, type OAuthClients, permissionsOfClient } from '../../oauth-clients/index.js';
import { type Decision, decisionOfUser, narrowDecision, type Permissions } from '../../permissions/index.js';

/** On whose behalf a token acts, and whose rights bound it for as long as it lives (auth.md §2.3). */
export type TokenSource =
  | { readonly kind: 'api_key'; readonly apiKeyId: ApiKeyId }
  | { readonly kind: 'client'; readonly oauthClientId: OAuthClientId; readonly epoch: number }
  | {
      readonly kind: 'user';
      readonly userId: UserId;
      readonly oauthClientId: OAuthClientId;
      readonly epoch: number;
    }
  | { readonly kind: 'binding'; readonly bindingId: OidcBindingId };

/** A source as it is at this moment. */
export interface SourceState extends Decision {
  readonly grants: readonly Grant[];
  readonly rateLimit: KeyRateLimit | null;
  /** Proofs of its keys need a nonce of ours (RFC 9449 §8). */
  readonly requireDpopNonce: boolean;
  /** The public half of a key. */
  readonly keyId: string | null;
  /** On the wire: of a key its public half, of a workload its binding. */
  readonly clientId: string;
  readonly user: { readonly email: string; readonly role: UserRole } | null;
  /** When it ends by itself; null = never. */
  readonly expiresAtMs: number | null;
}

/** Undefined: revoked, switched off, ended or gone; its tokens are dead with it. */
export type FindSource = (scope: Scope, source: TokenSource) => Promise<SourceState | undefined>;

export interface TokenSourcesDeps {
  readonly apiKeys: Pick<ApiKeys, 'findActive'>;
  readonly clients: Pick<OAuthClients, 'find'>;
  readonly accounts: Pick<Accounts, 'member'>;
  readonly permissions: Pick<Permissions, 'decisionOfKey'>;
  /** Of workloads: implemented by the bindings, which mint by this capability. */
  bindingState(scope: Scope, bindingId: OidcBindingId): Promise<SourceState | undefined>;
}

export function createFindSource(deps: TokenSourcesDeps): FindSource {
  const { apiKeys, clients, accounts, permissions } = deps;

  async function ofKey(scope: Scope, apiKeyId: ApiKeyId): Promise<SourceState | undefined> {
    const key = await apiKeys.findActive(scope, apiKeyId);
    if (!key) return undefined;
    const { keyId, rateLimit, expiresAtMs } = key;
    const decision = await permissions.decisionOfKey(scope.tenantId, key.access);
    const requireDpopNonce = false;
    return { ...decision, rateLimit, requireDpopNonce, keyId, clientId: keyId, user: null, expiresAtMs };
  }

  async function activeClient(scope: Scope, id: OAuthClientId, epoch: number) {
    const client = await clients.find(scope, id);
    if (!client?.isActive || client.revokedAtMs !== null || client.secretEpoch !== epoch) return undefined;
    return client;
  }

  async function ofClient(scope: Scope, id: OAuthClientId, epoch: number): Promise<SourceState | undefined> {
    const client = await activeClient(scope, id, epoch);
    return client && stateOf(client, decisionOfPermissions(permissionsOfClient(client)), null);
  }

  async function ofUser(
    scope: Scope,
    source: Extract<TokenSource, { kind: 'user' }>,
  ): Promise<SourceState | undefined> {
    const client = await activeClient(scope, source.oauthClientId, source.epoch);
    const user = client && (await accounts.member(scope.tenantId, source.userId));
    if (!client || !user) return undefined;
    const decision = narrowDecision(decisionOfUser(user.role), permissionsOfClient(client));
    return stateOf(client, decision, user);
  }

  return async (scope, source) => {
    switch (source.kind) {
      case 'api_key':
        return ofKey(scope, source.apiKeyId);
      case 'client':
        return ofClient(scope, source.oauthClientId, source.epoch);
      case 'user':
        return ofUser(scope, source);
      case 'binding':
        return deps.bindingState(scope, source.bindingId);
    }
  };
}

function stateOf(
  { clientId, requireDpopNonce }: OAuthClient,
  decision: Decision,
  user: SourceState['user'],
): SourceState {
  return { ...decision, rateLimit: null, requireDpopNonce, keyId: null, clientId, user, expiresAtMs: null };
}

function decisionOfPermissions(permissions: ReadonlySet<string>): Decision {
  return {
    grants: [...permissions].map((permission) => ({ permission, resource: null })),
    may: (permission) => permissions.has(permission),
  };
}
