import type { Scope, TenantId, UserId } from '../../kernel/ids.js';
import type { ResolvedHost } from '../../platform/http/hosts.js';
import { type Accounts, isSubscriptionActive, type Membership, type SignedIn } from '../accounts/index.js';
import { grantedScopes, invalidGrant, tenantInactive } from '../oauth/index.js';
import { permissionsOfClient } from '../oauth-clients/index.js';
import { decisionOfUser, narrowDecision } from '../permissions/index.js';
import type { AskingClient } from './asking-client.js';
import { PageError } from './errors.js';

/** A signed-in user in the tenant that a client is to act in. */
export interface ConsentingUser {
  readonly userId: UserId;
  readonly email: string;
  readonly tenant: Membership;
  readonly scope: Scope;
}

/** What a user is to say before the tenant is known. */
export interface TenantChoice {
  readonly tenants: readonly Membership[];
}

/**
 * The tenant of a consent: that of a registered client; of the CLI that of the host, the one it hints at, or the user's
 * only one (auth.md §2.4).
 */
export function consentingUser(
  signedIn: SignedIn,
  client: AskingClient,
  host: ResolvedHost,
  hint: string | null,
): ConsentingUser | TenantChoice {
  const { user, memberships } = signedIn;
  const sandbox = client.mode === 'test';
  const found = tenantsFor(memberships, client, host, hint);
  const [tenant, ...others] = found;
  if (tenant === undefined)
    throw new PageError(403, `The account ${user.email} cannot use this application.`);
  if (others.length > 0) return { tenants: found };
  return {
    userId: user.id,
    email: user.email,
    tenant,
    scope: { tenantId: tenant.tenantId as TenantId, sandbox },
  };
}

function tenantsFor(
  memberships: readonly Membership[],
  client: AskingClient,
  host: ResolvedHost,
  hint: string | null,
): readonly Membership[] {
  const { registered } = client;
  if (registered !== null)
    return memberships.filter(({ tenantId }) => tenantId === registered.scope.tenantId);
  const slug = host.tenantSlug ?? hint;
  return slug === null ? memberships : memberships.filter((one) => one.slug === slug);
}

/** What the user can give it: all that both may have, or exactly what is asked for. Throws `OAuthError`. */
export function consentScopes(
  { tenant }: ConsentingUser,
  client: AskingClient,
  asked: readonly string[] | null,
): readonly string[] {
  if (!isSubscriptionActive(tenant.subscriptionStatus)) throw tenantInactive();
  const { grants } = narrowDecision(decisionOfUser(tenant.role), permissionsOfClient(client));
  const held = new Set(grants.map(({ permission }) => permission));
  return grantedScopes(asked ?? undefined, held);
}

/** Whether the subscription lets tokens be given at the moment they are asked for. */
export async function requireActiveTenant(
  accounts: Pick<Accounts, 'tenantById'>,
  tenantId: TenantId,
): Promise<string> {
  const tenant = await accounts.tenantById(tenantId);
  if (!tenant) throw invalidGrant('The tenant is gone');
  if (!isSubscriptionActive(tenant.subscriptionStatus)) throw tenantInactive();
  return tenant.slug;
}
