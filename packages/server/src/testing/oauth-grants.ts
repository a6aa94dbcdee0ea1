import { accountsTables } from '../capabilities/accounts/tables.js';
import { actorOfSource } from '../capabilities/oauth/index.js';
import type { OAuthClientId, OAuthFamilyId, RequestId, UserId } from '../kernel/ids.js';
import type { MatrixRig } from './matrix-rig.js';
import { basic } from './oauth-calls.js';
import type { TestTenant } from './tenants.js';

export interface TestClient {
  readonly id: OAuthClientId;
  readonly clientId: string;
  /** Empty of a public client. */
  readonly secret: string;
  /** What it authenticates with; undefined of a public client. */
  readonly authorization: string | undefined;
}

/** A client of the tenant, in live mode. */
export async function makeClient(
  rig: MatrixRig,
  terms: Record<string, unknown> = {},
  tenant: TestTenant = rig.tenant,
): Promise<TestClient> {
  const body = {
    name: 'client',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: ['https://app.example.com/callback'],
    allowed_scopes: ['vaults:read', 'vaults:write', 'log:list'],
    ...terms,
  };
  const made = await rig.world('v1', tenant, 'live').create('/v1/oauth-clients', body);
  const { id, client_id: clientId = '', client_secret: secret = '' } = made;
  return {
    id: id as OAuthClientId,
    clientId,
    secret: secret ?? '',
    authorization: secret ? basic(clientId, secret) : undefined,
  };
}

export interface TestFamily {
  readonly familyId: OAuthFamilyId;
  readonly refreshToken: string;
  readonly accessToken: string;
  readonly userId: UserId;
}

export async function userIdOf(rig: MatrixRig, email: string): Promise<UserId> {
  const { id } = await rig.db
    .view(accountsTables)
    .system('people')
    .selectFrom('users')
    .select('id')
    .where('email_folded', '=', email)
    .executeTakeFirstOrThrow();
  return id;
}

/** What a consent of that user gives, without its pages. */
export async function openFamily(
  rig: MatrixRig,
  client: TestClient,
  options: { email?: string; jkt?: string | null; permissions?: readonly string[]; tenant?: TestTenant } = {},
): Promise<TestFamily> {
  const {
    tenant = rig.tenant,
    permissions = ['vaults:read', 'vaults:write', 'log:list'],
    jkt = null,
  } = options;
  const userId = await userIdOf(rig, options.email ?? tenant.ownerEmail);
  const { tokens, clients } = rig.services.oauth;
  const scope = { tenantId: tenant.id, sandbox: false };
  const { secretEpoch: epoch } = await clients.get(scope, client.id);
  const source = { kind: 'user', userId, oauthClientId: client.id, epoch } as const;
  const request = { scope, source, grantType: 'authorization_code', permissions, jkt };
  const actor = actorOfSource(scope, source, { requestId: 'r' as RequestId, ip: '127.0.0.1' });
  return rig.db.transaction(async (tx) => {
    const { familyId, refreshToken } = await tokens.openFamilyIn(tx, request);
    const minted = await tokens.mintIn(tx, { ...request, ttlSeconds: 3600, familyId }, actor);
    return {
      familyId,
      refreshToken: refreshToken.reveal(),
      accessToken: minted.accessToken.reveal(),
      userId,
    };
  });
}
