import { LIMITS } from '../../../kernel/limits.js';
import type { UpstreamCredential } from '../credential.js';
import { notOfGateway, repeatedHeader } from '../errors.js';
import { withoutNamed } from '../header-fates.js';
import type { RequestHeaders } from '../request-headers.js';
import { type EphemeralOptions, readDryRun, readMode, readTimeout } from './options.js';

/** Where a gateway token leads, known once it is admitted (dataplane.md §3.1). */
export interface GatewayTarget {
  /** Without the query, which is that of the request. */
  readonly url: string;
  readonly credential: UpstreamCredential;
}

/** In which client libraries send a key: where the gateway token may stand, if it does not stand in the path. */
export const KEY_HEADERS = ['x-api-key', 'api-key', 'x-goog-api-key'] as const;

/**
 * Always transparent: what an unmodified client sends is no template of ours, and its holder may read no vault. The longest
 * clock: it seldom asks for one, and models answer late.
 */
export function gatewayOptions(headers: RequestHeaders, target: GatewayTarget): EphemeralOptions {
  for (const [name, value] of [
    ['X-Knox-Proxy-URL', headers.proxyUrl],
    ['X-Knox-Encrypted', headers.encrypted],
    ['X-Knox-Upstream-Authorization', headers.upstreamAuthorization],
    ['X-Knox-Upstream-Auth-Secret', headers.upstreamAuthSecret],
    ['X-Knox-Upstream-Auth-Scheme', headers.upstreamAuthScheme],
  ] as const)
    if (value !== null) throw notOfGateway(name);
  if (headers.repeated !== null) throw repeatedHeader(headers.repeated);
  readMode(headers.mode);
  headers.forward = withoutTokens(headers.forward);
  return {
    proxyUrl: target.url,
    timeoutMs: readTimeout(headers.timeoutMs, LIMITS.upstreamTimeoutMaxMs),
    isTransparent: true,
    isDryRun: readDryRun(headers.dryRun),
    encrypted: null,
    credential: target.credential,
  };
}

/** The token itself, where the client was told to use it as its key. */
function withoutTokens(forward: readonly string[]): string[] {
  const named = new Set<string>();
  for (let i = 0; i < forward.length; i += 2) {
    const name = forward[i]!.toLowerCase();
    if (KEY_HEADERS.some((one) => one === name) && forward[i + 1]!.includes('wkt_')) named.add(name);
  }
  return named.size === 0 ? [...forward] : withoutNamed(forward, named);
}
