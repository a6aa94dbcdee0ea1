import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Connection, type ConnectionOptions, createConnection } from 'mysql2';
import { type AppError, isAppError } from '../../../../kernel/errors.js';
import type { Secret } from '../../../../kernel/secret.js';
import { databaseError, targetUnavailable } from '../../errors.js';
import type { Transport } from '../../transports/transport.js';
import type { EngineTarget } from '../engine.js';
import { startTls, type TlsPlan, tlsPlan } from '../tls.js';
import { authPluginsOf, MethodRefused, type ServerTrust } from './authentication.js';
import { errorOfRefusal, MysqlRefusal } from './refusal.js';

/** A server that answers more is not listened to any longer. */
const LOG_IN_BYTES_MAX = 64 * 1024;
/** A row of five bytes is an array here. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;

type Row = readonly unknown[];

export interface MysqlConnection {
  /** Logged in by a digest that the server keeps until its next start; then it asks for what it does not get. */
  readonly dependsOnCachedDigest: boolean;
  /** One statement; `MysqlRefusal`, or an `AppError` where the connection is lost with it. */
  run(sql: string | Secret<string>): Promise<Answer>;
  close(): void;
}

export interface Answer {
  readonly rows: readonly Row[];
  readonly affectedRows: number;
}

/** False where the server refused the statement for one of these reasons. */
export async function tolerating(errnos: readonly number[], work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof MysqlRefusal && errnos.includes(error.errno)) return false;
    throw error;
  }
}

/** What of the driver is used that its types do not tell; its version is pinned, and tests of TLS stand on it. */
interface DriverInternals {
  stream: Duplex;
  startTLS(onSecure: (error?: Error) => void): void;
  readonly packetParser: { execute(chunk: Buffer): void };
  _handleNetworkError(error: Error): void;
}

export async function connectMysql(
  target: EngineTarget,
  transport: Transport,
  signal: AbortSignal,
): Promise<MysqlConnection> {
  const plan = tlsPlan(target);
  if (!plan.usesTls) return logIn(target, transport, signal, null);
  try {
    return await logIn(target, transport, signal, plan);
  } catch (error) {
    if (!plan.fallsBack || !isAppError(error, 'database_error') || error.reason !== NO_TLS) throw error;
    return logIn(target, transport, signal, null);
  }
}

const NO_TLS = 'tls';

const UNKNOWN: ServerTrust = { isVerified: false, isPinned: false };

/** Of a server that gets through the handshake. */
function trustOf(plan: TlsPlan, { sslCa }: EngineTarget): ServerTrust {
  return {
    isVerified: plan.mayTellPassword,
    isPinned: plan.verifiesName || (plan.verifiesChain && sslCa !== null),
  };
}

async function logIn(
  target: EngineTarget,
  transport: Transport,
  signal: AbortSignal,
  plan: TlsPlan | null,
): Promise<MysqlConnection> {
  const socket = await transport.open({ host: target.host, port: target.port }, signal).catch((error) => {
    signal.throwIfAborted();
    throw error;
  });
  const meter = new Meter(LOG_IN_BYTES_MAX);
  meter.watch(socket);
  let dependsOnCachedDigest = false;
  const trust = plan === null ? UNKNOWN : trustOf(plan, target);
  const driver = createConnection({
    ...optionsOf(target, socket),
    // The upgrade is ours and reads none of these, see `upgradeWith`.
    ...(plan === null ? {} : { ssl: {} }),
    enableCleartextPlugin: trust.isVerified,
    authPlugins: authPluginsOf(trust, () => {
      dependsOnCachedDigest = true;
    }),
  });
  // After its log-in the driver tells of a lost connection here too; the statement that meets it says so.
  driver.on('error', () => {});
  const internals = driver as unknown as DriverInternals;
  if (plan !== null) upgradeWith(internals, socket, plan, meter);
  const stop = () => internals.stream.destroy(new Error('aborted'));
  signal.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      driver.once('connect', () => resolve());
      driver.once('error', reject);
      if (signal.aborted) stop();
    });
  } catch (error) {
    signal.removeEventListener('abort', stop);
    internals.stream.destroy();
    socket.destroy();
    signal.throwIfAborted();
    throw logInError(error, target);
  }
  return new DriverConnection({
    driver,
    internals,
    meter,
    timeoutMs: target.statementTimeoutMs,
    signal,
    stop,
    dependsOnCachedDigest,
  });
}

function optionsOf(target: EngineTarget, socket: Socket): ConnectionOptions {
  return {
    stream: socket,
    host: target.host,
    user: target.adminUsername,
    password: target.adminPassword.reveal(),
    connectTimeout: target.connectTimeoutMs,
    charset: 'utf8mb4',
    flags: ['-LOCAL_FILES'],
    multipleStatements: false,
    // The server's own column names become no code and no keys of objects.
    disableEval: true,
    rowsAsArray: true,
    connectAttributes: { program_name: 'knoxcall' },
  };
}

/** Why there is no TLS, in our own words or a code of Node's. */
class TlsFailure extends Error {
  override readonly name = 'TlsFailure';
}

/** The driver's own upgrade verifies an address against the name `localhost`. */
function upgradeWith(driver: DriverInternals, socket: Socket, plan: TlsPlan, meter: Meter): void {
  driver.startTLS = (onSecure) => {
    socket.removeAllListeners('data');
    // What came after the greeting is nobody's: it would be taken for an answer from within TLS.
    if (!meter.isAtEndOfGreeting()) return onSecure(new TlsFailure('the server spoke before it'));
    const secure = startTls(socket, plan);
    let isSecure = false;
    secure.once('secureConnect', () => {
      isSecure = true;
      onSecure();
    });
    secure.on('error', (error) =>
      isSecure ? driver._handleNetworkError(error) : onSecure(new TlsFailure(codeOf(error))),
    );
    meter.watch(secure);
    secure.on('data', (chunk: Buffer) => driver.packetParser.execute(chunk));
    driver.stream = secure;
  };
}

/** Counts what a server sends, and ends the connection where it is too much. */
class Meter {
  #left: number;
  #read = 0;
  #head = Buffer.alloc(0);

  constructor(bytesMax: number) {
    this.#left = bytesMax;
  }

  allow(bytesMax: number): void {
    this.#left = bytesMax;
  }

  watch(stream: Duplex): void {
    stream.on('data', (chunk: Buffer) => {
      if (this.#head.length < 3) this.#head = Buffer.concat([this.#head, chunk.subarray(0, 3)]);
      this.#read += chunk.length;
      this.#left -= chunk.length;
      if (this.#left < 0) stream.destroy(new Error('The server answers more than it is allowed to'));
    });
  }

  /** The first packet: three bytes of length, one of its number. */
  isAtEndOfGreeting(): boolean {
    return this.#head.length >= 3 && this.#read === 4 + this.#head.readUIntLE(0, 3);
  }
}

interface LoggedIn {
  readonly driver: Connection;
  readonly internals: DriverInternals;
  readonly meter: Meter;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly stop: () => void;
  readonly dependsOnCachedDigest: boolean;
}

class DriverConnection implements MysqlConnection {
  readonly dependsOnCachedDigest: boolean;
  readonly #of: LoggedIn;
  #isLost = false;

  constructor(loggedIn: LoggedIn) {
    this.#of = loggedIn;
    this.dependsOnCachedDigest = loggedIn.dependsOnCachedDigest;
  }

  run(sql: string | Secret<string>): Promise<Answer> {
    if (this.#isLost) return Promise.reject(targetUnavailable('the connection is lost'));
    this.#of.meter.allow(ANSWER_BYTES_MAX);
    return new Promise((resolve, reject) => {
      const text = typeof sql === 'string' ? sql : sql.reveal();
      this.#of.driver.query(
        { sql: text, rowsAsArray: true, timeout: this.#of.timeoutMs },
        (error, result) => {
          if (error) reject(this.#problemOf(error));
          else resolve(answerOf(result));
        },
      );
    });
  }

  /** A statement that was given up is still under way: nothing more can be said on its connection. */
  #problemOf(error: NodeJS.ErrnoException): Error {
    const refusal = refusalOf(error);
    if (refusal && !isFatal(error)) return refusal;
    this.#isLost = true;
    this.#of.internals.stream.destroy();
    if (this.#of.signal.aborted) return this.#of.signal.reason as Error;
    if (refusal) return refusal;
    return targetUnavailable(codeOf(error));
  }

  close(): void {
    this.#of.signal.removeEventListener('abort', this.#of.stop);
    // The farewell is in the socket's buffer before the socket is closed; nobody waits for the server's.
    if (!this.#isLost) this.#of.driver.end(() => {});
    this.#isLost = true;
    this.#of.internals.stream.destroy();
  }
}

function answerOf(result: unknown): Answer {
  if (Array.isArray(result)) return { rows: result.filter(Array.isArray), affectedRows: 0 };
  const { affectedRows } = result as { affectedRows?: unknown };
  return { rows: [], affectedRows: typeof affectedRows === 'number' ? affectedRows : 0 };
}

function refusalOf(error: NodeJS.ErrnoException): MysqlRefusal | null {
  const { errno, sqlState, sqlMessage } = error as {
    errno?: unknown;
    sqlState?: unknown;
    sqlMessage?: unknown;
  };
  if (typeof errno !== 'number' || typeof sqlMessage !== 'string') return null;
  const state = typeof sqlState === 'string' && /^[A-Z0-9]{5}$/.test(sqlState) ? sqlState : 'HY000';
  const rights = /at least one of\) the ([A-Z_, ]{1,200}) privilege|^([A-Z, ]{1,100}) command denied/.exec(
    sqlMessage,
  );
  return new MysqlRefusal(errno, state, rights?.[1] ?? rights?.[2] ?? null);
}

function isFatal(error: unknown): boolean {
  return (error as { fatal?: unknown }).fatal === true;
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? code : 'connection lost';
}

/** The driver's words may quote the server's: only codes and our own words go on. */
function logInError(error: unknown, { sslMode }: EngineTarget): AppError {
  const refusal = refusalOf(error as NodeJS.ErrnoException);
  if (refusal) return errorOfRefusal(refusal, 'logging in');
  if (error instanceof MethodRefused) return methodRefused(error.message);
  if (error instanceof TlsFailure) return tlsError(error.message);
  switch (codeOf(error)) {
    case 'HANDSHAKE_NO_SSL_SUPPORT':
      return tlsError(`the server has no TLS, and sslmode is ${sslMode}`);
    case 'AUTH_SWITCH_PLUGIN_ERROR':
      return databaseError('log_in_method', 'the server asks for a log-in method that is not supported');
    default:
      return targetUnavailable(codeOf(error));
  }
}

function tlsError(reason: string): AppError {
  return databaseError(NO_TLS, `no TLS connection: ${reason}`);
}

function methodRefused(method: string): AppError {
  return databaseError(
    'log_in_method',
    `the server asks for the password itself (${method}), and is not known well enough: ${
      method === 'mysql_clear_password' ? 'it takes' : 'give its authority as ssl_ca, or'
    } sslmode verify-full`,
  );
}
