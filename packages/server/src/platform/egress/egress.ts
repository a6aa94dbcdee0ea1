import type { Readable, Writable } from 'node:stream';
import type { IpAddress } from '../../kernel/ip-address.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { Secret } from '../../kernel/secret.js';
import type { HostList } from './name-policy.js';

/** On whose behalf and by which rules a call goes out. Pools and judged names are keyed by it. */
export interface EgressPolicy {
  /** Slug of the tenant; `@slug` entries of KNOX_ALLOW_PRIVATE_UPSTREAMS open for it alone. */
  readonly tenantSlug: string;
  /** Hosts the tenant may reach. */
  readonly allowedHosts: HostList;
  /** Whether `http:` will do, on port 80 too (contract README §9); absent = not. */
  readonly mayBePlain?: boolean;
}

/** Classes a refusal may name; never the address itself (ssrf cases S119). */
export const ADDRESS_CLASSES = [
  'public',
  'loopback',
  'private',
  'link_local',
  'metadata',
  'shared',
  'multicast',
  'reserved',
  'unspecified',
  'embedded_ipv4',
  'own_listener',
] as const;
export type AddressClass = (typeof ADDRESS_CLASSES)[number];

/** Whatever may end a wait before its time: a clock, a signal, a client that goes. */
export interface Ending {
  /** Calls back once when it ends, at once if it has; the returned function takes that back. */
  onEnd(callback: (error: Error) => void): () => void;
}

/** One clock for the whole call: started at name resolution, read by every stage, restarted by none (dataplane §1.4). */
export interface CallClock extends Ending {
  readonly timeoutMs: number;
  /** The error with which the call ends: out of time, or ClientGone. Null while neither has come. */
  readonly ended: Error | null;
  /**
   * No more time is to be kept: the response headers have come, or the call is over. The client may still go. `stream`
   * does it, and a `judge` that refuses; whoever ends the call between the two does it himself.
   */
  stop(): void;
}

/** The call ended because nobody waits for it any more: there is no one to answer, and no error of ours. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
  constructor(cause?: unknown) {
    super('the client went away', { cause });
  }
}

/** Who waits for the answer. An AbortSignal would say the same at several times the cost, in every call. */
export interface ClientPresence {
  readonly isGone: boolean;
  /** Calls back once, when it goes. */
  onGone(callback: () => void): void;
}

/** For calls that no client waits for. */
export const NOBODY_WAITS: ClientPresence = { isGone: false, onGone: () => {} };

/** A URL whose name and every address passed. Holds what the dial needs, so that nothing is resolved twice. */
export interface JudgedTarget {
  readonly url: URL;
  readonly hostname: string;
  readonly port: number;
  /** Of its addresses; where they differ, of one that is not public. */
  readonly addressClass: AddressClass;
}

export interface UpstreamHead {
  readonly status: number;
  /** Raw name, value, name, value ... as received, so that `Set-Cookie` keeps its multiplicity. */
  readonly rawHeaders: readonly string[];
}

/** What we show to an upstream that asks who we are. */
export interface ClientCertificate {
  /** Of what is stored, unique over all tenants; with the version it keeps connections apart. */
  readonly id: string;
  readonly version: number;
  /** Asked for where a connection is made. The leaf comes first. */
  load(): Promise<{ readonly key: Secret<string>; readonly certificatePem: string }>;
}

export const EGRESS_SERVER_KINDS = ['socks5', 'http_proxy', 'source_address'] as const;
export type EgressServerKind = (typeof EGRESS_SERVER_KINDS)[number];

/** Where calls leave from in place of this machine's own address (dataplane §8). */
export interface EgressPlace {
  readonly kind: EgressServerKind;
  /** A name or an IP address; of `source_address` an IP address of this machine. */
  readonly address: string;
  /** Null of `source_address`. */
  readonly port: number | null;
}

export interface EgressServer extends EgressPlace {
  /** Of what is stored, unique over all tenants; with the version it keeps connections apart. */
  readonly id: string;
  readonly version: number;
  /** Asked for where a connection is made. */
  login(): Promise<{ readonly username: string; readonly password: Secret<string> } | null>;
}

export interface UpstreamCall {
  readonly method: string;
  /** Path and query as sent, already rendered. */
  readonly path: string;
  /**
   * Flat name, value list. `host` and the connection headers are the guard's own and left out; `content-length` counts
   * for a `Readable` only, which goes out chunked without it.
   */
  readonly headers: readonly string[];
  readonly body: Readable | Buffer | null;
  readonly clock: CallClock;
  /** After the response headers: longest silence of the stream, ms. */
  readonly idleTimeoutMs: number;
  /** With it a call goes over connections that were made with it, and never without TLS. */
  readonly clientCertificate?: ClientCertificate | null;
  /** In the order in which they are tried; null or absent = directly. An empty list is no way at all. */
  readonly via?: readonly EgressServer[] | null;
}

export interface Egress {
  /**
   * Parses and judges name and port without DNS: `invalid_proxy_url`, `egress_blocked`. The URL it returns, root dot
   * and fragment removed, is the only form that goes on.
   */
  parse(rawUrl: string, policy: EgressPolicy): URL;
  /**
   * Resolves once and judges the name again and every address: `invalid_proxy_url`, `egress_blocked`, `dns_failure`,
   * `ssrf_blocked`, `upstream_timeout`, `ClientGone`. A name whose verdict is kept is judged at once.
   */
  judge(url: URL, policy: EgressPolicy, clock: CallClock): Promisable<JudgedTarget>;
  /**
   * Dials exactly a judged address, checks the peer, sends, and pipes the answer's body into the writable that
   * `onHead` returns, with back-pressure both ways. Resolves when the writable has finished. A writable that holds much back
   * emits `progress` when its client takes some of it, so that a slow client is not taken for a silent one. No
   * redirect, no retry.
   * `upstream_unreachable`, `upstream_tls_error`, `upstream_timeout`, `ssrf_blocked` (peer), `validation_error` (what
   * cannot be sent), `egress_unavailable` (no server of `via`; never directly then), `ClientGone`; an `AppError` with which the request body is destroyed, or which `onHead` throws,
   * comes through as it is. An error after `onHead` destroys the writable. The raw headers lack `alt-svc` and trailers.
   */
  stream(target: JudgedTarget, call: UpstreamCall, onHead: (head: UpstreamHead) => Writable): Promise<void>;
  /** Connects as `stream` would, by that server alone and anew, and ends it: with its errors. */
  probe(target: JudgedTarget, server: EgressServer, clock: CallClock): Promise<void>;
  /**
   * Whether an egress server may stand there: `invalid_proxy_url`, `dns_failure`, `ssrf_blocked`, `upstream_timeout`. Every
   * connection judges it again.
   */
  judgeServer(place: EgressPlace, tenantSlug: string, clock: CallClock): Promise<void>;
  /** Starts the one clock of a call; `client` is of that call alone. */
  startClock(timeoutMs: number, client: ClientPresence): CallClock;
  /** Our own listeners, database and cache, by address and port, known once they listen. */
  setOwnEndpoints(endpoints: readonly { address: string; port: number }[]): void;
  /** Whether such an address and port is one of them; of no use before they are known. */
  isOwnEndpoint(address: IpAddress, port: number): boolean;
  close(): Promise<void>;
}
