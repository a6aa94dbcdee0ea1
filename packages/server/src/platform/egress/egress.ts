import type { Readable, Writable } from 'node:stream';

/** On whose behalf and by which rules a call goes out. Pools and judged names are keyed by it. */
export interface EgressPolicy {
  /** Slug of the tenant; `@slug` entries of KNOX_ALLOW_PRIVATE_UPSTREAMS open for it alone. */
  readonly tenantSlug: string;
  /** Hosts the tenant may reach, exact or `*.example.com`; empty = every public host. */
  readonly allowedHosts: readonly string[];
}

/** Classes a refusal may name; never the address itself (ssrf cases S119). */
export type AddressClass =
  | 'public'
  | 'loopback'
  | 'private'
  | 'link_local'
  | 'metadata'
  | 'shared'
  | 'multicast'
  | 'reserved'
  | 'unspecified'
  | 'embedded_ipv4'
  | 'own_listener';

/** One clock for the whole call: started at name resolution, read by every stage, restarted by none (dataplane §1.4). */
export interface CallClock {
  readonly startedAtMs: number;
  readonly timeoutMs: number;
  /** Aborts when the clock ran out or the client went away. */
  readonly signal: AbortSignal;
  remainingMs(): number;
}

/** A URL whose name and every address passed. Holds what the dial needs, so that nothing is resolved twice. */
export interface JudgedTarget {
  readonly url: URL;
  readonly hostname: string;
  readonly port: number;
  readonly policyKey: string;
  readonly addresses: readonly string[];
}

export interface UpstreamHead {
  readonly status: number;
  /** Raw name, value, name, value ... as received, so that `Set-Cookie` keeps its multiplicity. */
  readonly rawHeaders: readonly string[];
}

export interface UpstreamCall {
  readonly method: string;
  /** Path and query as sent, already rendered. */
  readonly path: string;
  /** Flat name, value list; `host` is set by the guard. */
  readonly headers: readonly string[];
  readonly body: Readable | Buffer | null;
  readonly clock: CallClock;
  /** After the response headers: longest silence of the stream, ms. */
  readonly idleTimeoutMs: number;
}

export interface Egress {
  /** Parses and judges the name without DNS: `invalid_proxy_url`, `egress_blocked`. */
  parse(rawUrl: string, policy: EgressPolicy): URL;
  /** Resolves once and judges every address: `dns_failure`, `ssrf_blocked`, `upstream_timeout`. */
  judge(url: URL, policy: EgressPolicy, clock: CallClock): Promise<JudgedTarget>;
  /**
   * Dials exactly a judged address, checks the peer, sends, and pipes the answer's body into the writable that
   * `onHead` returns, with back-pressure both ways. Resolves when the body has ended. No redirect, no retry.
   * `upstream_unreachable`, `upstream_tls_error`, `upstream_timeout`, `ssrf_blocked` (peer). An error after `onHead`
   * destroys the writable.
   */
  stream(target: JudgedTarget, call: UpstreamCall, onHead: (head: UpstreamHead) => Writable): Promise<void>;
  /** Starts the one clock of a call. */
  startClock(timeoutMs: number, clientGone: AbortSignal): CallClock;
  /** Our own listeners, database and cache, by address and port, known once they listen. */
  setOwnEndpoints(endpoints: readonly { address: string; port: number }[]): void;
  close(): Promise<void>;
}
