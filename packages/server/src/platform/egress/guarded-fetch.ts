import { Readable } from 'node:stream';
import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import { formatIpAddress, type IpAddress, parseIpAddress } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import { classifyAddress, nat64Target } from './address-policy.js';
import { startCallClock, within } from './call-clock.js';
import { createClientCertificates, placeOf } from './client-certificates.js';
import { type Connection, createConnectionPools } from './connection-pools.js';
import {
  ConnectFailure,
  type Dialer,
  type DialTarget,
  dialTcp,
  secure,
  tcpDialer,
  unreachable,
} from './dial.js';
import type {
  AddressClass,
  CallClock,
  Egress,
  EgressPolicy,
  EgressServer,
  JudgedTarget,
  UpstreamCall,
} from './egress.js';
import {
  type AddressRefusal,
  addressRefused,
  certificateNeedsTls,
  dnsFailure,
  egressUnavailable,
  hostNotAllowed,
  invalidProxyUrl,
  nameRefused,
} from './errors.js';
import { exchange } from './exchange.js';
import { createJudgedNames } from './judged-names.js';
import { judgeName, suffixes, withoutRootDot } from './name-policy.js';
import { type IsOwnEndpoint, ownEndpointCheck } from './own-endpoints.js';
import { isPortOpenToAll } from './port-policy.js';
import { parsePrivateUpstreams } from './private-upstreams.js';
import { createResolver, type DnsServer } from './resolver.js';
import { createServerDial, type JudgedAddress } from './server-dial.js';
import { createServerHealth, serverKeyOf } from './server-health.js';
import { parseSourceAddresses } from './source-addresses.js';
import { parseTargetUrl, portOf } from './target-url.js';
import { createTrust } from './trust.js';
import { ServerFailure } from './tunnel.js';

export interface EgressDeps {
  readonly clock: Clock;
  /** KNOX_ALLOW_PRIVATE_UPSTREAMS as written. */
  readonly allowPrivateUpstreams: string;
  /** KNOX_DNS_SERVERS; null = those of the system. */
  readonly dnsServers: readonly DnsServer[] | null;
  /** Content of KNOX_EXTRA_CA_FILE. */
  readonly extraCaPem: string | null;
  /** KNOX_EGRESS_NAT64. */
  readonly nat64: boolean;
  /** Our own hosts; these and all names below them are refused. */
  readonly ownNames: readonly string[];
  /** KNOX_EGRESS_SOURCE_ADDRESSES as written. */
  readonly sourceAddresses?: string;
  readonly dialer?: Dialer;
}

/** With other addresses left to try, one that does not answer must not use up the clock. */
const TCP_TRY_MS = 3_000;
/** Addresses tried for one call. */
const TCP_TRIES_MAX = 4;

type Verdict =
  | {
      readonly kind: 'open';
      readonly addresses: readonly JudgedAddress[];
      readonly poolKeys: readonly string[];
      readonly addressClass: AddressClass;
      readonly tenantSlug: string;
    }
  | { readonly kind: 'refused'; readonly refusal: AddressRefusal; readonly detail: string };

type OpenVerdict = Extract<Verdict, { kind: 'open' }>;

/** Made by `judge` only; `stream` takes nothing else. */
class Judged implements JudgedTarget {
  readonly #verdict: OpenVerdict;

  constructor(
    readonly url: URL,
    readonly hostname: string,
    readonly port: number,
    verdict: OpenVerdict,
  ) {
    this.#verdict = verdict;
  }

  get addressClass(): AddressClass {
    return this.#verdict.addressClass;
  }

  static verdictOf(target: JudgedTarget): OpenVerdict {
    assert(#verdict in target, 'only a judged target is dialled');
    return target.#verdict;
  }
}

export function createEgress(deps: EgressDeps): Egress {
  const { clock, dialer = tcpDialer } = deps;
  const privateUpstreams = parsePrivateUpstreams(deps.allowPrivateUpstreams);
  const ownNames = suffixes(deps.ownNames.map((name) => withoutRootDot(name.toLowerCase())));
  const names = createJudgedNames<Verdict>({
    clock,
    resolver: createResolver({ clock, servers: deps.dnsServers }),
  });
  const pools = createConnectionPools(clock);
  const trust = createTrust(deps.extraCaPem);
  const health = createServerHealth(clock);
  const serverDial = createServerDial({
    clock,
    dialer,
    health,
    sources: parseSourceAddresses(deps.sourceAddresses ?? ''),
    addressesOf: serverAddresses,
  });
  const clientCertificates = createClientCertificates(clock, deps.extraCaPem);
  let isOwn: IsOwnEndpoint = ownEndpointCheck([]);

  /**
   * Everything that needs no DNS; the same at `parse` and at `judge`, so that no URL gets by. Gives the verdict on the
   * addresses where one is kept: then name and port have been judged for this tenant already.
   */
  function admit(url: URL, policy: EgressPolicy): Verdict | undefined {
    const { hostname } = url;
    const known = names.known(hostname, policy.tenantSlug)?.verdicts.get(verdictKeyOf(url));
    if (!known) judgeNameAndPort(url, policy.tenantSlug);
    if (!policy.allowedHosts.covers(hostname)) throw hostNotAllowed(hostname);
    return known;
  }

  function judgeNameAndPort(url: URL, tenantSlug: string): void {
    const { hostname } = url;
    const port = portOf(url);
    const refusal = judgeName(hostname, {
      ownNames,
      isOpened: (name) => privateUpstreams.opensName(name, tenantSlug),
    });
    if (refusal) throw nameRefused(refusal);
    if (!isPortOpen(url) && !privateUpstreams.mayOpenPort(hostname, port, tenantSlug)) {
      throw invalidProxyUrl('The port is not allowed');
    }
  }

  function subjectOf(address: IpAddress): IpAddress {
    return (deps.nat64 && nat64Target(address)) || address;
  }

  const classOf = (address: IpAddress): AddressClass => classifyAddress(subjectOf(address));

  function refusalOf(url: URL, address: IpAddress, tenantSlug: string): AddressRefusal | null {
    const { hostname } = url;
    const port = portOf(url);
    const subject = subjectOf(address);
    if (isOwn(subject, port)) return 'own_listener';
    const addressClass = classifyAddress(subject);
    const target = { hostname, address: subject, port, tenantSlug };
    if (addressClass !== 'public' && !privateUpstreams.opensAddress(target)) return addressClass;
    return isPortOpen(url) || privateUpstreams.opensPort(target) ? null : 'port_not_open';
  }

  function decide(url: URL, addresses: readonly IpAddress[], tenantSlug: string): Verdict {
    const { hostname } = url;
    const port = portOf(url);
    if (addresses.length > LIMITS.dnsAnswersMax) {
      return { kind: 'refused', refusal: 'too_many_addresses', detail: `${hostname}: ${addresses.length}` };
    }
    for (const address of addresses) {
      const refusal = refusalOf(url, address, tenantSlug);
      if (refusal) {
        return { kind: 'refused', refusal, detail: `${hostname} ${formatIpAddress(address)}:${port}` };
      }
    }
    const judged = addresses.map((address) => ({ address, text: formatIpAddress(address) }));
    // A connection without TLS never serves a call that wants it.
    const scheme = url.protocol === 'http:' ? 'http ' : '';
    const poolKeys = judged.map(({ text }) => `${scheme}${hostname} ${port} ${text} ${tenantSlug}`);
    const addressClass = addresses.map(classOf).find((one) => one !== 'public') ?? 'public';
    return { kind: 'open', addresses: judged, poolKeys, addressClass, tenantSlug };
  }

  async function resolvedVerdict(url: URL, tenantSlug: string, callClock: CallClock): Promise<Verdict> {
    const { hostname } = url;
    const { resolution, verdicts } = await within(names.resolve(hostname, tenantSlug), callClock);
    if (resolution.kind === 'none') throw dnsFailure(hostname, resolution);
    const verdict = decide(url, resolution.addresses, tenantSlug);
    verdicts.set(verdictKeyOf(url), verdict);
    return verdict;
  }

  function judged(url: URL, verdict: Verdict): JudgedTarget {
    if (verdict.kind === 'refused') throw addressRefused(verdict.refusal, verdict.detail);
    return new Judged(url, url.hostname, portOf(url), verdict);
  }

  /** The addresses of an egress server, judged like those of an upstream. */
  async function serverAddresses(url: URL, tenantSlug: string, ending: CallClock) {
    const literal = parseIpAddress(url.hostname.replace(/^\[|\]$/g, ''));
    if (!literal) judgeNameAndPort(url, tenantSlug);
    const known = names.known(url.hostname, tenantSlug)?.verdicts.get(verdictKeyOf(url));
    const verdict = literal
      ? decide(url, [literal], tenantSlug)
      : (known ?? (await resolvedVerdict(url, tenantSlug, ending)));
    if (verdict.kind === 'refused') throw addressRefused(verdict.refusal, verdict.detail);
    return verdict.addresses;
  }

  async function open(
    target: JudgedTarget,
    verdict: OpenVerdict,
    poolKeys: readonly string[],
    call: ConnectingCall,
    server: EgressServer | null,
  ): Promise<Connection> {
    const context = call.clientCertificate
      ? await within(clientCertificates.contextOf(call.clientCertificate), call.clock)
      : trust;
    const failures: { target: DialTarget; cause: unknown }[] = [];
    const tries = verdict.addresses.slice(0, TCP_TRIES_MAX);
    for (const [i, { address, text }] of tries.entries()) {
      const poolKey = poolKeys[i]!;
      const dialTarget = { address: text, port: target.port, servername: target.hostname };
      try {
        const dial = {
          target: dialTarget,
          address,
          dialer,
          ending: call.clock,
          clock,
          tcpTimeoutMs: i < tries.length - 1 ? TCP_TRY_MS : null,
        };
        const raw = await (server
          ? serverDial.dial(server, verdict.tenantSlug, dial, call.clock)
          : dialTcp(dial));
        const socket =
          target.url.protocol === 'http:'
            ? raw
            : await secure({ ...dial, trust: context, session: pools.sessionFor(poolKey) }, raw);
        return pools.adopt(poolKey, originOf(target), socket);
      } catch (error) {
        if (!(error instanceof ConnectFailure)) throw error;
        failures.push({ target: dialTarget, cause: error.cause });
      }
    }
    throw unreachable(failures);
  }

  /** By the first server that can be used. What it says of the upstream is said of the upstream, and ends the call. */
  async function connectVia(
    target: JudgedTarget,
    verdict: OpenVerdict,
    poolKeys: readonly string[],
    call: ConnectingCall,
    servers: readonly EgressServer[],
  ): Promise<Connection> {
    const failures: string[] = [];
    for (const server of health.inOrder(servers)) {
      const keys = poolKeys.map((key) => `${key} via ${serverKeyOf(server)}`);
      try {
        return pools.takeIdle(keys) ?? (await open(target, verdict, keys, call, server));
      } catch (error) {
        if (!(error instanceof ServerFailure)) throw error;
        failures.push(`${server.id} ${error.message}`);
      }
    }
    throw egressUnavailable(failures.join('; ') || 'none is enabled');
  }

  return {
    parse(rawUrl, policy) {
      const url = parseTargetUrl(rawUrl, policy.mayBePlain);
      admit(url, policy);
      return url;
    },

    judge(url, policy, callClock) {
      const refuse = (error: unknown): never => {
        callClock.stop();
        throw error;
      };
      try {
        assert(
          (url.protocol === 'https:' || (policy.mayBePlain === true && url.protocol === 'http:')) &&
            url.username === '' &&
            url.password === '',
          'judge takes what parse returned',
        );
        if (callClock.ended) throw callClock.ended;
        const known = admit(url, policy);
        if (known) return judged(url, known);
        return resolvedVerdict(url, policy.tenantSlug, callClock)
          .then((verdict) => judged(url, verdict))
          .catch(refuse);
      } catch (error) {
        return refuse(error);
      }
    },

    async stream(target, call, onHead) {
      const verdict = Judged.verdictOf(target);
      const poolKeys = poolKeysOf(verdict, call);
      // Until a connection has taken the body over, its errors have no other listener.
      if (call.body instanceof Readable) call.body.on('error', () => {});
      try {
        if (call.clientCertificate && target.url.protocol === 'http:') throw certificateNeedsTls();
        for (;;) {
          const connection = call.via
            ? await connectVia(target, verdict, poolKeys, call, call.via)
            : (pools.takeIdle(poolKeys) ?? (await open(target, verdict, poolKeys, call, null)));
          if ((await exchange({ clock, pools }, connection, call, onHead)) === 'done') return;
        }
      } finally {
        call.clock.stop();
      }
    },

    async probe(target, server, callClock) {
      const verdict = Judged.verdictOf(target);
      const keys = verdict.poolKeys.map((key) => `${key} via ${serverKeyOf(server)}`);
      try {
        pools.discard(await open(target, verdict, keys, { clock: callClock }, server));
      } catch (error) {
        throw error instanceof ServerFailure ? egressUnavailable(error.message) : error;
      } finally {
        callClock.stop();
      }
    },

    judgeServer: (place, tenantSlug, callClock) => serverDial.judge(place, tenantSlug, callClock),

    startClock: (timeoutMs, client) => startCallClock(clock, timeoutMs, client),

    setOwnEndpoints(endpoints) {
      isOwn = ownEndpointCheck(endpoints);
      // What was let through before must be judged again.
      names.clear();
    },

    isOwnEndpoint: (address, port) => isOwn(subjectOf(address), port),

    close: () => pools.close(),
  };
}

type ConnectingCall = Pick<UpstreamCall, 'clock' | 'clientCertificate'>;

/** Connections made with one certificate serve no other, and no call without one. */
function poolKeysOf({ poolKeys }: OpenVerdict, { clientCertificate }: UpstreamCall): readonly string[] {
  if (!clientCertificate) return poolKeys;
  const place = placeOf(clientCertificate);
  return poolKeys.map((key) => `${key} ${place}`);
}

function originOf({ url, hostname, port }: JudgedTarget): string {
  if (url.protocol === 'http:') return port === 80 ? `http://${hostname}` : `http://${hostname}:${port}`;
  return port === 443 ? `https://${hostname}` : `https://${hostname}:${port}`;
}

/** Port 80 is open to what is written with `http:` alone (contract README §9). */
function isPortOpen(url: URL): boolean {
  const port = portOf(url);
  return isPortOpenToAll(port) || (port === 80 && url.protocol === 'http:');
}

/** What was decided for a call without TLS is no answer for one with it: below zero its ports are other ones. */
function verdictKeyOf(url: URL): number {
  return url.protocol === 'http:' ? -portOf(url) : portOf(url);
}
