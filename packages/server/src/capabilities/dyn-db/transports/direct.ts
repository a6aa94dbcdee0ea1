import type { Clock } from '../../../kernel/clock.js';
import { formatIpAddress, type IpAddress } from '../../../kernel/ip-address.js';
import { within } from '../../../platform/egress/call-clock.js';
import { ConnectFailure, type Dialer, dialTcp, tcpDialer } from '../../../platform/egress/dial.js';
import type { Ending } from '../../../platform/egress/egress.js';
import type { Resolver } from '../../../platform/egress/resolver.js';
import { type DatabaseHost, parseDatabaseHost } from './database-host.js';
import { hostNotFound, hostRefused, targetUnreachable, tooManyTargets } from './errors.js';
import type { TargetPolicy } from './target-policy.js';
import type { Transport, Transports } from './transport.js';

export interface DirectTransportDeps {
  readonly clock: Clock;
  /** `createSystemNames`: databases are called by names of the operator's own network (docs/decisions/0067). */
  readonly names: Resolver;
  readonly policy: TargetPolicy;
  /** Longest wait for one `open` or `resolve`; the signal may end it before. */
  readonly connectTimeoutMs: number;
  readonly dialer?: Dialer;
}

/** With other addresses left to try, one that does not answer must not use up the time. */
const TCP_TRY_MS = 3_000;
/** Addresses tried for one `open`. */
const TCP_TRIES_MAX = 4;
/** Hosts of one operation: a replica set has at most 50 members, and a hostile server may name more. */
const HOSTS_MAX = 50;

/** The server dials each database itself (dyn-db.md §5.1). */
export function createDirectTransports(deps: Omit<DirectTransportDeps, 'connectTimeoutMs'>): Transports {
  return {
    problem: (address) => deps.policy.problem(address),
    create: (connectTimeoutMs) => createDirectTransport({ ...deps, connectTimeoutMs }),
  };
}

export function createDirectTransport(deps: DirectTransportDeps): Transport {
  const { clock, names, policy, dialer = tcpDialer } = deps;
  /** A name is resolved once in an operation, so that what was judged is what is dialled. */
  const judged = new Map<string, readonly IpAddress[]>();
  const closing = new AbortController();

  async function addressesOf(host: string, port: number, ending: Ending): Promise<readonly IpAddress[]> {
    const key = `${host} ${port}`;
    const known = judged.get(key);
    if (known) return known;
    if (judged.size >= HOSTS_MAX) throw tooManyTargets(HOSTS_MAX);
    const parsed = parseDatabaseHost(host);
    if (typeof parsed === 'string') throw hostRefused(host, parsed);
    // Before a look-up, so that no name server hears of a name that is refused as it stands.
    policy.judge(parsed, port, []);
    const addresses = await resolved(parsed, ending);
    policy.judge(parsed, port, addresses);
    judged.set(key, addresses);
    return addresses;
  }

  async function resolved(host: DatabaseHost, ending: Ending): Promise<readonly IpAddress[]> {
    if (host.kind === 'address') return [host.address];
    const resolution = await within(names.resolve(host.name), ending);
    if (resolution.kind === 'none') throw hostNotFound(host.name, resolution);
    return resolution.addresses;
  }

  async function bounded<T>(signal: AbortSignal, act: (ending: Ending) => Promise<T>): Promise<T> {
    const late = new AbortController();
    const cancelTimer = clock.setTimer(deps.connectTimeoutMs, () =>
      late.abort(
        targetUnreachable(
          'The database could not be connected to in time',
          `no connection within ${deps.connectTimeoutMs} ms`,
        ),
      ),
    );
    try {
      const end = AbortSignal.any([signal, late.signal, closing.signal]);
      end.throwIfAborted();
      return await act(endingOf(end));
    } finally {
      cancelTimer();
    }
  }

  return {
    open: ({ host, port }, signal) =>
      bounded(signal, async (ending) => {
        const addresses = await addressesOf(host, port, ending);
        const tries = addresses.slice(0, TCP_TRIES_MAX);
        const failures: string[] = [];
        for (const [i, address] of tries.entries()) {
          const target = { address: formatIpAddress(address), port, servername: host };
          const tcpTimeoutMs = i < tries.length - 1 ? TCP_TRY_MS : null;
          try {
            const socket = await dialTcp({ target, address, dialer, ending, clock, tcpTimeoutMs });
            // Until its driver listens, an error would be nobody's and end the process.
            return socket.on('error', () => {});
          } catch (error) {
            if (!(error instanceof ConnectFailure)) throw error;
            failures.push(`${target.address}:${port} ${String(error.cause)}`);
          }
        }
        throw targetUnreachable('No connection to the database', failures.join('; '));
      }),

    resolve: ({ host, port }, signal) => bounded(signal, (ending) => addressesOf(host, port, ending)),

    async close() {
      closing.abort(targetUnreachable('The connection was given up', 'transport closed'));
    },
  };
}

function endingOf(signal: AbortSignal): Ending {
  return {
    onEnd(callback) {
      const call = () => callback(signal.reason);
      if (signal.aborted) call();
      else signal.addEventListener('abort', call, { once: true });
      return () => signal.removeEventListener('abort', call);
    },
  };
}
