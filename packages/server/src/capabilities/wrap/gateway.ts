import type { Clock } from '../../kernel/clock.js';
import { isAppError } from '../../kernel/errors.js';
import { modeOf, type WrapTokenId } from '../../kernel/ids.js';
import { networkOf } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import type { WrapTokenPrincipal } from '../../kernel/principal.js';
import { createShare } from '../../kernel/share.js';
import { sha256 } from '../../platform/crypto/hashing.js';
import { withoutRootDot } from '../../platform/egress/name-policy.js';
import type { ResolvedHost } from '../../platform/http/hosts.js';
import { createCountWindows } from '../../platform/limits/count-windows.js';
import type { LastUsed } from '../../platform/storage/last-used.js';
import { gatewaySubscriptionInactive, invalidGatewayToken, tooManyInvalidTokens } from './errors.js';
import { createKnownTokens, type KnownToken, type KnownTokensDeps } from './known-tokens.js';
import { type KeyHeader, keyHeaderOf } from './providers.js';
import type { FoundWrapToken } from './store.js';

/** What a call at the gateway says of itself. */
export interface GatewayCall {
  /** As it was sent; null where none was. */
  readonly token: string | null;
  /** In the path: a host that the caller wants; at a name of its own: the label of that. */
  readonly place: { readonly host: string } | { readonly dnsLabel: string };
  /** That the call came to. */
  readonly at: ResolvedHost;
  readonly ip: string | null;
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

export interface GatewayDeps extends KnownTokensDeps {
  readonly clock: Clock;
  readonly lastUsed: LastUsed<WrapTokenId>;
}

const WINDOW_MS = 60_000;
const NETWORKS_KEPT = 10_000;

/** A token that is in memory is judged at once, whatever its network does; what is unknown there is counted, and then read. */
export function createGatewayAdmission(deps: GatewayDeps) {
  const { clock, lastUsed } = deps;
  const tokens = createKnownTokens(deps);
  const reading = createShare<KnownToken>();
  const failuresOf = createCountWindows(clock, { windowMs: WINDOW_MS, namesMax: NETWORKS_KEPT });

  /** Counted before it is looked up: of many that are sent at once no more are let through than one by one. */
  async function unlessGuessed<T>(ip: string | null, judge: () => Promise<T>): Promise<T> {
    const failures = failuresOf(networkOf(ip));
    if (failures.count >= LIMITS.gatewayFailuresPerNetworkMax) throw tooManyInvalidTokens(failures.leftMs());
    failures.count++;
    try {
      const judged = await judge();
      failures.count--;
      return judged;
    } catch (error) {
      if (!isAppError(error, 'invalid_token')) failures.count--;
      throw error;
    }
  }

  function isGood(token: KnownToken, { place, at }: GatewayCall): boolean {
    return token.endsAtMs > clock.nowMs() && isAt(token, place) && isOfMode(token, at);
  }

  function admitted(token: KnownToken): AdmittedCall {
    const principal = principalOf(token);
    if (!token.isActive) throw gatewaySubscriptionInactive(principal);
    lastUsed.record(token.scope, token.id);
    const { host, secretId, provider } = token;
    return { principal, host, secretId, header: keyHeaderOf(provider) };
  }

  /** Many calls with one token are one guess. */
  function find(hash: Buffer, ip: string | null): Promise<KnownToken> {
    return reading(`${networkOf(ip)} ${hash.toString('base64')}`, () =>
      unlessGuessed(ip, () => tokens.find(hash)),
    );
  }

  return async (call: GatewayCall): Promise<AdmittedCall> => {
    const { token: text, ip } = call;
    const hash = text !== null && FORM.test(text) ? sha256(text) : null;
    const token = hash && (tokens.kept(hash) ?? (await find(hash, ip)));
    if (token && isGood(token, call)) return admitted(token);
    return unlessGuessed(ip, () => Promise.reject(invalidGatewayToken()));
  };
}

function isAt({ host, dnsLabel }: FoundWrapToken, place: GatewayCall['place']): boolean {
  if ('dnsLabel' in place) return dnsLabel === place.dnsLabel;
  return dnsLabel === null && host === withoutRootDot(place.host.toLowerCase());
}

function isOfMode({ scope }: FoundWrapToken, { mode }: ResolvedHost): boolean {
  return mode === null || mode === modeOf(scope);
}

function principalOf({ id, scope, tenantSlug }: KnownToken): WrapTokenPrincipal {
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
