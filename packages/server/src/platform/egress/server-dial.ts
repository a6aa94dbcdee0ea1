import type { Socket } from 'node:net';
import type { Clock } from '../../kernel/clock.js';
import { isAppError } from '../../kernel/errors.js';
import { type IpAddress, parseIpAddress } from '../../kernel/ip-address.js';
import { within } from './call-clock.js';
import { ConnectFailure, type Dialer, dialTcp, type TcpDial } from './dial.js';
import type { CallClock, EgressPlace, EgressServer } from './egress.js';
import { codeOf, invalidProxyUrl, sourceNotOpen } from './errors.js';
import type { ServerHealth } from './server-health.js';
import type { SourceAddresses } from './source-addresses.js';
import { ServerFailure, tunnelByConnect, tunnelBySocks } from './tunnel.js';

export interface JudgedAddress {
  readonly address: IpAddress;
  readonly text: string;
}

export interface ServerDialDeps {
  readonly clock: Clock;
  readonly dialer: Dialer;
  readonly health: ServerHealth;
  readonly sources: SourceAddresses;
  /** As the guard judges every place that a tenant has written. */
  addressesOf(url: URL, tenantSlug: string, ending: CallClock): Promise<readonly JudgedAddress[]>;
}

/** Of one server: a stalled one must leave time for the next. */
const SERVER_TCP_MS = 5_000;
const HANDSHAKE_MS = 10_000;
const SERVER_TRIES_MAX = 2;

/** The way to a judged address by an egress server. The server itself stands at a judged address too, or it is not dialled. */
export interface ServerDial {
  judge(place: EgressPlace, tenantSlug: string, ending: CallClock): Promise<void>;
  /** Throws `ServerFailure`, `ConnectFailure` where the server says that of the upstream, and what ends the call. */
  dial(server: EgressServer, tenantSlug: string, upstream: TcpDial, ending: CallClock): Promise<Socket>;
}

export function createServerDial(deps: ServerDialDeps): ServerDial {
  const { clock, dialer, health, sources, addressesOf } = deps;

  async function fromSource(server: EgressServer, tenantSlug: string, upstream: TcpDial): Promise<Socket> {
    const source = parseIpAddress(server.address);
    // Judged at each call: the operator may have taken it back.
    if (!source || !sources.isOpenTo(source, tenantSlug))
      throw new ServerFailure('the source address is not open for this tenant');
    if (source.family !== upstream.address.family)
      throw new ConnectFailure('no TCP connection', {
        cause: new Error(`the source address is of IPv${source.family}`),
      });
    try {
      return await dialTcp({ ...upstream, target: { ...upstream.target, localAddress: server.address } });
    } catch (error) {
      const code = error instanceof ConnectFailure ? codeOf(error.cause) : '';
      if (code === 'EADDRNOTAVAIL' || code === 'EACCES' || code === 'EPERM')
        throw new ServerFailure(`the source address cannot be used: ${code}`);
      throw error;
    }
  }

  async function placesOf(server: EgressServer, tenantSlug: string, ending: CallClock) {
    try {
      return await addressesOf(urlOf(server), tenantSlug, ending);
    } catch (error) {
      // Its own fault, not the call's: the next server may take it.
      const isRefused =
        isAppError(error, 'ssrf_blocked') ||
        isAppError(error, 'dns_failure') ||
        isAppError(error, 'invalid_proxy_url');
      throw isRefused ? new ServerFailure(`${error.type} ${error.detail ?? ''}`) : error;
    }
  }

  async function reach(server: EgressServer, tenantSlug: string, ending: CallClock): Promise<Socket> {
    const places = (await placesOf(server, tenantSlug, ending)).slice(0, SERVER_TRIES_MAX);
    let last: unknown;
    for (const { address, text } of places) {
      const target = { address: text, port: server.port!, servername: '' };
      try {
        return await dialTcp({ target, address, dialer, ending, clock, tcpTimeoutMs: SERVER_TCP_MS });
      } catch (error) {
        if (!(error instanceof ConnectFailure)) throw error;
        last = error.cause;
      }
    }
    throw new ServerFailure(last instanceof Error ? last.message : 'no connection');
  }

  async function byTunnel(
    server: EgressServer,
    tenantSlug: string,
    upstream: TcpDial,
    ending: CallClock,
  ): Promise<Socket> {
    const login = await within(server.login(), ending);
    const socket = await reach(server, tenantSlug, ending);
    const end = { address: upstream.address, text: upstream.target.address, port: upstream.target.port };
    const tunnel = server.kind === 'socks5' ? tunnelBySocks : tunnelByConnect;
    await tunnel(socket, end, login, { ending, clock, timeoutMs: HANDSHAKE_MS });
    return socket;
  }

  return {
    async judge(place, tenantSlug, ending) {
      if (place.kind !== 'source_address') {
        await addressesOf(urlOf(place), tenantSlug, ending);
        return;
      }
      const source = parseIpAddress(place.address);
      if (!source || !sources.isOpenTo(source, tenantSlug)) throw sourceNotOpen();
    },

    async dial(server, tenantSlug, upstream, ending) {
      try {
        const socket =
          server.kind === 'source_address'
            ? await fromSource(server, tenantSlug, upstream)
            : await byTunnel(server, tenantSlug, upstream, ending);
        health.worked(server);
        return socket;
      } catch (error) {
        if (error instanceof ServerFailure) health.failed(server);
        else if (error instanceof ConnectFailure) health.worked(server);
        throw error;
      }
    },
  };
}

/** The form in which the guard judges places. An address that only the parser of URLs reads as one is none (`010.0.0.1`). */
function urlOf({ address, port }: EgressPlace): URL {
  const literal = parseIpAddress(address);
  const url = URL.parse(`https://${literal?.family === 6 ? `[${address}]` : address}:${port}`);
  const isMore = url?.username !== '' || url.pathname !== '/' || url.search !== '' || url.hash !== '';
  if (isMore || (!literal && parseIpAddress(url.hostname)))
    throw invalidProxyUrl('is neither a DNS name nor an IP address');
  return url;
}
