import type { Clock } from '../../kernel/clock.js';
import { modeOf, type WrapTokenId } from '../../kernel/ids.js';
import type { WrapTokenPrincipal } from '../../kernel/principal.js';
import { equalInConstantTime, sha256 } from '../../platform/crypto/hashing.js';
import { withoutRootDot } from '../../platform/egress/name-policy.js';
import type { ResolvedHost } from '../../platform/http/hosts.js';
import type { LastUsed } from '../../platform/storage/last-used.js';
import { type Accounts, isSubscriptionActive } from '../accounts/index.js';
import { gatewaySubscriptionInactive, invalidGatewayToken } from './errors.js';
import { type KeyHeader, keyHeaderOf } from './providers.js';
import type { FoundWrapToken, WrapStore } from './store.js';

/** What a call at the gateway says of itself. */
export interface GatewayCall {
  /** As it was sent; null where none was. */
  readonly token: string | null;
  /** In the path: a host that the caller wants; at a name of its own: the label of that. */
  readonly place: { readonly host: string } | { readonly dnsLabel: string };
  /** That the call came to. */
  readonly at: ResolvedHost;
}

export interface AdmittedCall {
  readonly principal: WrapTokenPrincipal;
  readonly host: string;
  readonly secretId: string;
  readonly header: KeyHeader;
}

export const TOKEN_PREFIX = 'wkt_';
const FORM = /^wkt_[A-Za-z0-9_-]{43}$/;
/** All that a token lets its holder do, at its host. */
const PERMISSION = 'proxy:invoke';

export interface GatewayDeps {
  readonly clock: Clock;
  readonly store: Pick<WrapStore, 'findByHash'>;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly lastUsed: LastUsed<WrapTokenId>;
}

/** Read at each call and not remembered: a token that is revoked is worth nothing in any process from then on. */
export function createGatewayAdmission({ clock, store, accounts, lastUsed }: GatewayDeps) {
  async function find(text: string | null): Promise<FoundWrapToken | undefined> {
    if (text === null || !FORM.test(text)) return undefined;
    const hash = sha256(text);
    const token = await store.findByHash(hash);
    return token && equalInConstantTime(token.hash, hash) ? token : undefined;
  }

  return async ({ token: text, place, at }: GatewayCall): Promise<AdmittedCall> => {
    const token = await find(text);
    if (!token || token.endsAtMs <= clock.nowMs() || !isAt(token, place) || !isOfMode(token, at))
      throw invalidGatewayToken();
    const tenant = await accounts.tenantById(token.scope.tenantId);
    if (!tenant) throw invalidGatewayToken();
    const principal = principalOf(token, tenant.slug);
    if (!isSubscriptionActive(tenant.subscriptionStatus)) throw gatewaySubscriptionInactive(principal);
    lastUsed.record(token.scope, token.id);
    const { host, secretId, provider } = token;
    return { principal, host, secretId, header: keyHeaderOf(provider) };
  };
}

function isAt({ host, dnsLabel }: FoundWrapToken, place: GatewayCall['place']): boolean {
  if ('dnsLabel' in place) return dnsLabel === place.dnsLabel;
  return dnsLabel === null && host === withoutRootDot(place.host.toLowerCase());
}

function isOfMode({ scope }: FoundWrapToken, { mode }: ResolvedHost): boolean {
  return mode === null || mode === modeOf(scope);
}

function principalOf({ id, scope }: FoundWrapToken, tenantSlug: string): WrapTokenPrincipal {
  return {
    kind: 'wrap_token',
    scope,
    tenantSlug,
    wrapTokenId: id,
    apiKeyId: null,
    keyId: null,
    userId: null,
    rateLimit: null,
    grants: [{ permission: PERMISSION, resource: null }],
    may: (permission) => permission === PERMISSION,
  };
}
