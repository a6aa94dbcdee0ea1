import { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { AppError } from '../kernel/errors.js';
import type { Dialer, DialTarget } from '../platform/egress/dial.js';
import type { ClientPresence, Egress, UpstreamCall, UpstreamHead } from '../platform/egress/egress.js';
import { createEgress, type EgressDeps } from '../platform/egress/guarded-fetch.js';
import { createHostList } from '../platform/egress/name-policy.js';
import { type DnsAnswers, startDnsServer, type TestDnsServer } from './dns-server.js';
import { createManualClock, type ManualClock } from './manual-clock.js';

export interface EgressRigOptions extends Partial<Omit<EgressDeps, 'clock' | 'dnsServers'>> {
  readonly records?: Record<string, DnsAnswers | readonly string[]>;
}

export interface Answer extends UpstreamHead {
  readonly body: Buffer;
}

export interface SendOptions extends Partial<Omit<UpstreamCall, 'clock'>> {
  readonly tenantSlug?: string;
  readonly allowedHosts?: readonly string[];
  readonly timeoutMs?: number;
  readonly clientGone?: AbortSignal;
  readonly onHead?: (head: UpstreamHead) => Writable;
}

/** The real guard with a DNS server of the test's own and time that only the test moves on. */
export interface EgressRig {
  readonly egress: Egress;
  readonly clock: ManualClock;
  readonly dns: TestDnsServer;
  /** A whole call; throws what the guard throws. */
  send(url: string, options?: SendOptions): Promise<Answer>;
  close(): Promise<void>;
}

export async function startEgressRig(options: EgressRigOptions = {}): Promise<EgressRig> {
  const { records, ...deps } = options;
  const clock = createManualClock();
  const dns = await startDnsServer(records ? { records } : {});
  const egress = createEgress({
    clock,
    allowPrivateUpstreams: '',
    dnsServers: [dns],
    extraCaPem: null,
    nat64: false,
    ownNames: [],
    ...deps,
  });
  return {
    egress,
    clock,
    dns,
    async send(rawUrl, sendOptions = {}) {
      const {
        tenantSlug = 'acme',
        allowedHosts = [],
        timeoutMs = 25_000,
        clientGone,
        onHead,
        ...call
      } = sendOptions;
      const policy = { tenantSlug, allowedHosts: createHostList(allowedHosts) };
      const callClock = egress.startClock(timeoutMs, clientOf(clientGone));
      const chunks: Buffer[] = [];
      let head: UpstreamHead = { status: 0, rawHeaders: [] };
      try {
        const url = egress.parse(rawUrl, policy);
        const target = await egress.judge(url, policy, callClock);
        await egress.stream(
          target,
          {
            method: 'GET',
            path: url.pathname + url.search,
            headers: [],
            body: null,
            idleTimeoutMs: timeoutMs,
            ...call,
            clock: callClock,
          },
          (received) => {
            head = received;
            return onHead ? onHead(received) : collector(chunks);
          },
        );
      } finally {
        callClock.stop();
      }
      return { ...head, body: Buffer.concat(chunks) };
    },
    async close() {
      await egress.close();
      await dns.close();
    },
  };
}

export interface RecordingDialer {
  readonly dial: Dialer;
  readonly dialled: readonly DialTarget[];
}

/** Notes what would have been dialled and refuses the connection; nothing leaves the process. */
export function recordingDialer(): RecordingDialer {
  const dialled: DialTarget[] = [];
  return {
    dialled,
    dial(target) {
      dialled.push(target);
      return new Socket().destroy(new Error(`recorded, not dialled: ${target.address}:${target.port}`));
    },
  };
}

/** `PASS` when something would have been dialled, else the type of the refusal. */
export async function verdictOf(attempt: Promise<unknown>, { dialled }: RecordingDialer): Promise<string> {
  const before = dialled.length;
  try {
    await attempt;
    return 'PASS';
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.type === 'upstream_unreachable' && dialled.length > before ? 'PASS' : error.type;
  }
}

/** Lets the event loop turn until the condition holds: for what arrives over a socket, where no clock can be moved. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** So many turns that whatever two sockets of this process have to say to each other has been said. */
export async function turns(count = 200): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

function collector(chunks: Buffer[]): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
}

/** A client that stays, or one that goes when the signal says so. */
export function clientOf(signal?: AbortSignal): ClientPresence {
  return {
    get isGone() {
      return signal?.aborted === true;
    },
    onGone: (callback) => signal?.addEventListener('abort', callback, { once: true }),
  };
}
