import type { Accounts, Sessions, SignIns } from '../capabilities/accounts/index.js';
import type { ApiKeys } from '../capabilities/api-keys/index.js';
import type { AuditLogs } from '../capabilities/audit-logs/index.js';
import type { Dpop } from '../capabilities/dpop/index.js';
import type { EgressAllowlist } from '../capabilities/egress-allowlist/index.js';
import {
  clientCredentialsGrant,
  createClientAuthentication,
  createExplain,
  createFindSource,
  createIntrospection,
  createLineage,
  createOAuthTokens,
  createRevocation,
  createTokenEndpoint,
  type Grant,
  refreshTokenGrant,
  rememberSources,
} from '../capabilities/oauth/index.js';
import {
  createIdentifyClient,
  createOAuthClients,
  type KnownClient,
  rememberClients,
} from '../capabilities/oauth-clients/index.js';
import { createOAuthConsent } from '../capabilities/oauth-consent/index.js';
import {
  createIssuerKeys,
  createOidcBindings,
  tokenExchangeGrant,
} from '../capabilities/oidc-bindings/index.js';
import type { Permissions } from '../capabilities/permissions/index.js';
import type { Clock } from '../kernel/clock.js';
import type { IdSource } from '../kernel/ids.js';
import type { Generations } from '../platform/cache/generations.js';
import { cacheCounts } from '../platform/cache/lru.js';
import type { Random } from '../platform/crypto/random.js';
import type { Egress } from '../platform/egress/egress.js';
import type { Logger } from '../platform/log/logger.js';
import type { Database } from '../platform/storage/database.js';
import type { Instruments } from '../platform/telemetry/instruments.js';

interface OAuthDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly logger: Logger;
  readonly egress: Egress;
  readonly accounts: Accounts;
  readonly apiKeys: ApiKeys;
  readonly auditLogs: AuditLogs;
  readonly dpop: Dpop;
  readonly egressAllowlist: EgressAllowlist;
  readonly generations: Generations;
  readonly instruments: Instruments;
  readonly permissions: Permissions;
  readonly sessions: Sessions;
  readonly signIns: SignIns;
  readonly cookies: { readonly isSecure: boolean };
}

/** The authorization server: clients, tokens, and the endpoint with its grants. */
export function createOAuth(deps: OAuthDeps) {
  const { db, clock, accounts, apiKeys, permissions, dpop, instruments } = deps;
  const clients = createOAuthClients(deps);
  const issuerKeys = createIssuerKeys(deps);
  const oidcBindings = createOidcBindings({ ...deps, issuerKeys });
  const findSource = rememberSources({
    ...deps,
    findSource: createFindSource({
      apiKeys,
      clients,
      accounts,
      permissions,
      bindingState: async (scope, id) => {
        const decision = await oidcBindings.decisionOf(scope, id);
        if (!decision) return undefined;
        const ofWorkload = { rateLimit: null, keyId: null, clientId: id, user: null, expiresAtMs: null };
        return { ...decision, ...ofWorkload, requireDpopNonce: false };
      },
    }),
    cacheCounts: cacheCounts(instruments, 'token_sources'),
  });
  const tokens = createOAuthTokens({ ...deps, findSource });
  const identifyClient = rememberClients({
    ...deps,
    identifyClient: createIdentifyClient({ clients, apiKeys, accounts, permissions, clock }),
    recordUse: ({ scope, source }: KnownClient) =>
      source.kind === 'api_key'
        ? apiKeys.recordUse(scope, source.apiKeyId)
        : clients.recordUse(scope, source.oauthClientId),
    cacheCounts: cacheCounts(instruments, 'clients'),
  });
  const authenticateClient = createClientAuthentication({ identifyClient, clock });
  const consent = createOAuthConsent({ ...deps, clients, tokens, authenticateClient });
  const grants: readonly Grant[] = [
    clientCredentialsGrant({ db, tokens, dpop }),
    refreshTokenGrant({ ...deps, tokens }),
    tokenExchangeGrant({ ...deps, bindings: oidcBindings, issuerKeys, tokens }),
    ...consent.grants,
  ];
  const tokenEndpoint = createTokenEndpoint({ authenticateClient, grants, dpop, clock });
  const metadata = {
    grantTypes: tokenEndpoint.grantTypes,
    dpopAlgorithms: dpop.algorithms,
  };
  const introspect = createIntrospection({ authenticateClient, tokens, nowMs: () => clock.nowMs() });
  const revoke = createRevocation({ db, authenticateClient, tokens });
  const explain = createExplain({ tokens, dpop, clock });
  const lineage = createLineage({ db });
  return {
    clients,
    oidcBindings,
    tokens,
    authenticateClient,
    tokenEndpoint,
    consent,
    introspect,
    revoke,
    explain,
    lineage,
    metadata,
  };
}
