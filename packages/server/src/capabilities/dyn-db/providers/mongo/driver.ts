import type { LookupFunction } from 'node:net';
import { MongoClient, type MongoClientOptions } from 'mongodb';
import type { Clock } from '../../../../kernel/clock.js';
import { formatIpAddress, type IpAddress } from '../../../../kernel/ip-address.js';
import type { DatabaseAddress, Transport } from '../../transports/transport.js';
import type { EngineTarget } from '../engine.js';
import { type TlsPlan, tlsPlan } from '../tls.js';
import { isAnswer } from './failures.js';

/**
 * All that the driver is told of where it connects to. It resolves nowhere, so that a look-up other than ours leads
 * nowhere, and an address as the host, which no look-up would see, cannot be given to it.
 */
const PLACEHOLDER_HOST = 'database.invalid';
/** A session is over before the first of these. */
const HEARTBEAT_MS = 600_000;
const CLOSE_MS_MAX = 1_000;

type Credentials = Required<Pick<MongoClientOptions, 'auth' | 'authSource'>>;

export interface DriverWay {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * A driver that is logged in to this one server, or, without credentials, connected to it. It dials the addresses that
 * the transport has judged; members that the server advertises are nothing to it.
 */
export async function openDriver(
  target: EngineTarget,
  address: DatabaseAddress,
  credentials: Credentials | null,
  { transport, clock, signal }: DriverWay,
): Promise<MongoClient> {
  const addresses = await transport.resolve(address, signal);
  const plan = tlsPlan({ ...target, host: address.host });
  const open = (tls: TlsPlan | null, ending: AbortSignal) =>
    connectDriver(driverOptions(target, addresses, credentials, tls), address.port, clock, ending);
  if (!plan.usesTls) return open(null, signal);
  if (!plan.fallsBack) return open(plan, signal);
  try {
    // A server without TLS may wait for the rest of what it takes for a message.
    return await within(clock, target.connectTimeoutMs / 2, signal, (ending) => open(plan, ending));
  } catch (error) {
    if (signal.aborted || isAnswer(error)) throw error;
    return open(null, signal);
  }
}

function driverOptions(
  target: EngineTarget,
  addresses: readonly IpAddress[],
  credentials: Credentials | null,
  tls: TlsPlan | null,
): MongoClientOptions {
  return {
    ...credentials,
    ...(tls ? tlsOptions(tls) : { tls: false }),
    lookup: lookupAmong(addresses),
    directConnection: true,
    appName: 'knoxcall',
    maxPoolSize: 1,
    minPoolSize: 0,
    connectTimeoutMS: target.connectTimeoutMs,
    serverSelectionTimeoutMS: target.connectTimeoutMs,
    waitQueueTimeoutMS: target.connectTimeoutMs,
    socketTimeoutMS: target.statementTimeoutMs,
    // No second connection that measures times, and no monitoring while a session lasts.
    serverMonitoringMode: 'poll',
    heartbeatFrequencyMS: HEARTBEAT_MS,
    // An act that failed is tried again by the lease worker, which knows for how long.
    retryReads: false,
    retryWrites: false,
    // Whatever the process's environment asks for: commands hold passwords.
    mongodbLogComponentSeverities: { default: 'off' },
  };
}

/** Mechanism and user are the driver's to negotiate: SCRAM-SHA-256, or SCRAM-SHA-1 with a server that has no other. */
function tlsOptions({ options }: TlsPlan): MongoClientOptions {
  const { secureContext, rejectUnauthorized, checkServerIdentity, servername } = options;
  return {
    tls: true,
    secureContext,
    rejectUnauthorized,
    checkServerIdentity,
    // Else the placeholder would be asked for.
    servername: servername ?? '',
  } as MongoClientOptions;
}

function lookupAmong(addresses: readonly IpAddress[]): LookupFunction {
  const answers = addresses.map((address) => ({ address: formatIpAddress(address), family: address.family }));
  return (_hostname, { all }, callback) => {
    const [first] = answers;
    if (!first) callback(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '');
    else if (all) callback(null, answers);
    else callback(null, first.address, first.family);
  };
}

async function connectDriver(
  options: MongoClientOptions,
  port: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<MongoClient> {
  signal.throwIfAborted();
  const driver = new MongoClient(`mongodb://${PLACEHOLDER_HOST}:${port}/`, options);
  // The driver goes on until its time is over: a certificate that is refused, say, it would be shown again and again.
  const failed = new Promise<never>((_resolve, reject) =>
    driver.once('serverHeartbeatFailed', ({ failure }) => reject(failure)),
  );
  try {
    return await unlessAborted(signal, Promise.race([driver.connect(), failed]));
  } catch (error) {
    await closeDriver(driver, clock);
    throw error;
  }
}

/**
 * The driver says good-bye, for which it may connect once more where its connection broke. It is not waited for: what is
 * left of that ends by the driver's own time limits.
 */
export async function closeDriver(driver: MongoClient, clock: Clock): Promise<void> {
  let cancel = () => {};
  const late = new Promise<void>((resolve) => {
    cancel = clock.setTimer(CLOSE_MS_MAX, resolve);
  });
  await Promise.race([driver.close().catch(() => {}), late]);
  cancel();
}

/** Tells the act when its time is over or `outer` is aborted; the act ends itself. */
export async function within<T>(
  clock: Clock,
  timeoutMs: number,
  outer: AbortSignal | null,
  act: (ending: AbortSignal) => Promise<T>,
): Promise<T> {
  const ending = new AbortController();
  const abort = () => ending.abort(outer?.reason);
  if (outer?.aborted) abort();
  outer?.addEventListener('abort', abort, { once: true });
  const cancel = clock.setTimer(timeoutMs, () => ending.abort(new TookTooLong(timeoutMs)));
  try {
    return await act(ending.signal);
  } finally {
    cancel();
    outer?.removeEventListener('abort', abort);
  }
}

class TookTooLong extends Error {
  constructor(timeoutMs: number) {
    super(`no end within ${timeoutMs} ms`);
  }
}

export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let abort = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
