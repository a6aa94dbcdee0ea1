import type { Socket } from 'node:net';
import pg from 'pg';
import type { Clock } from '../../../../kernel/clock.js';
import { isAppError } from '../../../../kernel/errors.js';
import { LIMITS } from '../../../../kernel/limits.js';
import type { Secret } from '../../../../kernel/secret.js';
import { databaseError, targetUnavailable } from '../../errors.js';
import type { Transport } from '../../transports/transport.js';
import { redactedMessage } from '../driver-message.js';
import type { EngineTarget } from '../engine.js';
import { type TlsPlan, tlsPlan } from '../tls.js';
import { GuardedConnection, NotPostgres } from './messages.js';
import { openSocket, TlsRefused } from './socket.js';

/** The server's own time-outs come first: an answer is better than a cut. */
const ANSWER_GRACE_MS = 2_000;
/** DDL that waits for a lock makes everybody else wait behind it; a revocation comes again. */
const LOCK_TIMEOUT_MS = 5_000;
const CLOSE_MS = 1_000;
/** Of one answer. A row is an object here, however few bytes it has: millions fit into what a log-in may send. */
const CELLS_MAX = 500_000;
const VERSION_CHARACTERS_MAX = 100;
/**
 * Where our own statements look for functions and operators: else whoever may make one in a schema of the admin's path
 * could put it in the place of the server's, and the admin would run it (CVE-2018-1058).
 */
const OWN_PATH = 'SET search_path = pg_catalog, pg_temp';
/** Shut-down, too many connections, resources, time-outs, locks, deadlock. */
const PASSING = /^(08|53|57|58|40|55P03)/;
/** Two sessions changed the same catalogue row; the server has no code of its own for it. */
const CONCURRENT = /^tuple (concurrently|already)/;

class LogInMethodRefused extends Error {
  override readonly name = 'LogInMethodRefused';
}
class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}
class TooMuchAnswered extends Error {
  override readonly name = 'TooMuchAnswered';
}

/** `password` is how `pg` answers a server that asks for it in clear or as MD5; SCRAM goes another way. */
class ScramOnlyConnection extends GuardedConnection {
  password(): void {
    this.stream.destroy(new LogInMethodRefused());
  }
}

export interface ConnectOptions {
  readonly clock: Clock;
  readonly target: EngineTarget;
  readonly database: string;
  readonly transport: Transport;
  readonly signal: AbortSignal;
}

export type Row = Readonly<Record<string, unknown>>;

/** The SQLSTATE of a refusal by the server that an act expects, or undefined. */
export function sqlState(error: unknown): string | undefined {
  return isAppError(error, 'database_error') ? error.reason : undefined;
}

/** One log-in of the admin to one database. Every wait in it is bounded, every error mapped and redacted. */
export class PostgresConnection {
  readonly #client: pg.Client;
  readonly #socket: Socket;
  readonly #options: ConnectOptions;
  readonly #onAbort: () => void;
  /** False = that of the admin, or not known. */
  #isOwnPath = false;
  serverVersion = '';

  private constructor(client: pg.Client, socket: Socket, options: ConnectOptions) {
    this.#client = client;
    this.#socket = socket;
    this.#options = options;
    this.#onAbort = () => socket.destroy();
    options.signal.addEventListener('abort', this.#onAbort);
    // Without a listener the loss of an idle connection would end the process; the next query tells of it.
    client.on('error', () => {});
    client.connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
      if (parameterName === 'server_version') this.serverVersion = printable(String(parameterValue));
    });
  }

  static async open(options: ConnectOptions): Promise<PostgresConnection> {
    const { clock, target, transport, signal } = options;
    const plan = tlsPlan(target);
    const late = new AbortController();
    const cancel = clock.setTimer(target.connectTimeoutMs, () => late.abort(new NoAnswer()));
    const either = AbortSignal.any([signal, late.signal]);
    let socket: Socket | undefined;
    try {
      socket = await openSocket(target, plan, transport, either);
      const opened = socket;
      const onLate = () => opened.destroy();
      either.addEventListener('abort', onLate);
      either.throwIfAborted();
      const connection = new PostgresConnection(clientOn(socket, plan, options), socket, options);
      await connection.#client.connect();
      either.removeEventListener('abort', onLate);
      return connection;
    } catch (error) {
      socket?.destroy();
      if (late.signal.aborted && !signal.aborted)
        throw targetUnavailable('no log-in within the connect time-out');
      throw mapped(error, options, []);
    } finally {
      cancel();
    }
  }

  get database(): string {
    return this.#options.database;
  }

  get majorVersion(): number {
    return Number.parseInt(this.serverVersion, 10);
  }

  /** One statement of ours and its rows. */
  async query<T extends Row = Row>(text: string, values: readonly unknown[] = []): Promise<readonly T[]> {
    if (!this.#isOwnPath) await this.#message([OWN_PATH]);
    this.#isOwnPath = true;
    const result = await this.#bounded(() => this.#client.query<T>(text, [...values]), []);
    return result.rows;
  }

  /** Statements of ours in one message and one transaction where they hold no BEGIN; the rows of the last. */
  async batch<T extends Row = Row>(
    statements: readonly string[],
    secrets: readonly Secret<string>[] = [],
  ): Promise<readonly T[]> {
    const rows = await this.#message(this.#isOwnPath ? statements : [OWN_PATH, ...statements], secrets);
    this.#isOwnPath = true;
    return rows as readonly T[];
  }

  /** A statement of a role alone: by this protocol the server itself refuses a second one in it. */
  async rendered(statement: Secret<string>, secrets: readonly Secret<string>[]): Promise<void> {
    // The names in it are found where its author's own log-in would find them.
    if (this.#isOwnPath) await this.#message(['RESET search_path']);
    this.#isOwnPath = false;
    const query = { text: statement.reveal(), queryMode: 'extended' };
    await this.#bounded(() => this.#client.query(query), secrets, [statement]);
  }

  /** What fails leaves nothing; settings that custom statements changed end with it. */
  async transaction<T>(act: () => Promise<T>): Promise<T> {
    await this.#message(['BEGIN']);
    try {
      const result = await act();
      this.#isOwnPath = false;
      await this.#message(['COMMIT', 'RESET SESSION AUTHORIZATION', 'RESET ROLE', 'RESET ALL']);
      return result;
    } catch (error) {
      await this.rollback();
      throw error;
    }
  }

  async rollback(): Promise<void> {
    this.#isOwnPath = false;
    // Where even that fails the connection is gone, and the server does it.
    await this.#message(['ROLLBACK']).catch(() => {});
  }

  /** False where it failed for one of these reasons; the transaction goes on. */
  async unless(sqlStates: readonly string[], statement: string): Promise<boolean> {
    await this.batch(['SAVEPOINT tried']);
    try {
      await this.batch([statement]);
      return true;
    } catch (error) {
      if (!isAppError(error) || !sqlStates.includes(error.reason ?? '')) throw error;
      await this.#message(['ROLLBACK TO SAVEPOINT tried']);
      return false;
    }
  }

  identifier(name: string): string {
    return this.#client.escapeIdentifier(name);
  }

  literal(text: string): string {
    return this.#client.escapeLiteral(text);
  }

  /** Another database of the same server, by the same way. */
  sibling(database: string): Promise<PostgresConnection> {
    return PostgresConnection.open({ ...this.#options, database });
  }

  async close(): Promise<void> {
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    const cancel = this.#options.clock.setTimer(CLOSE_MS, () => this.#socket.destroy());
    await this.#client.end().catch(() => {});
    cancel();
    this.#socket.destroy();
  }

  async #message(
    statements: readonly string[],
    secrets: readonly Secret<string>[] = [],
  ): Promise<readonly Row[]> {
    const results = await this.#bounded(() => this.#client.query<Row>(statements.join('; ')), secrets);
    const all = (Array.isArray(results) ? results : [results]) as pg.QueryResult<Row>[];
    return all.at(-1)?.rows ?? [];
  }

  async #bounded<T>(
    act: () => Promise<T>,
    secrets: readonly Secret<string>[],
    statements: readonly Secret<string>[] = [],
  ): Promise<T> {
    const { clock, target } = this.#options;
    const cancel = clock.setTimer(target.statementTimeoutMs + ANSWER_GRACE_MS, () =>
      this.#socket.destroy(new NoAnswer()),
    );
    try {
      return await act();
    } catch (error) {
      // The setting may have gone with what failed.
      this.#isOwnPath = false;
      throw mapped(error, this.#options, secrets, statements);
    } finally {
      cancel();
    }
  }
}

function clientOn(socket: Socket, plan: TlsPlan, { target, database }: ConnectOptions): pg.Client {
  const stream = () => connectedStream(socket);
  const config = {
    connection: plan.mayTellPassword
      ? new GuardedConnection({ stream })
      : new ScramOnlyConnection({ stream }),
    // Never dialled: the stream is connected.
    host: target.host,
    port: target.port,
    ssl: false,
    // As libpq does: who stands between with a certificate of its own cannot pass our log-in on to the server.
    enableChannelBinding: 'getPeerCertificate' in socket,
    user: target.adminUsername,
    database,
    // Asked for at log-in only, so that no object keeps it in between.
    password: () => target.adminPassword.reveal(),
    application_name: 'knoxcall',
    statement_timeout: target.statementTimeoutMs,
    lock_timeout: Math.min(LOCK_TIMEOUT_MS, target.statementTimeoutMs),
    // A server of ours that is gone must not keep a lock there.
    idle_in_transaction_session_timeout: 2 * target.statementTimeoutMs,
    // The scanner of statements reads strings so.
    options: '-c standard_conforming_strings=on -c client_min_messages=error',
  };
  boundAnswers(config.connection, socket);
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > LIMITS.databaseAnswersBytesMax) socket.destroy(new TooMuchAnswered());
  });
  return new pg.Client(config);
}

function boundAnswers(connection: pg.Connection, socket: Socket): void {
  let cells = 0;
  connection.on('dataRow', ({ fields }: { fields: readonly unknown[] }) => {
    cells += Math.max(fields.length, 1);
    if (cells > CELLS_MAX) socket.destroy(new TooMuchAnswered());
  });
  connection.on('readyForQuery', () => {
    cells = 0;
  });
}

function printable(version: string): string {
  return /^[\w.+~() -]*/.exec(version.slice(0, VERSION_CHARACTERS_MAX))![0].trim();
}

/** `pg` connects its stream itself and waits for the event. */
function connectedStream(socket: Socket): Socket {
  socket.connect = () => {
    queueMicrotask(() => socket.emit('connect'));
    return socket;
  };
  return socket;
}

function mapped(
  error: unknown,
  { target, signal }: ConnectOptions,
  secrets: readonly Secret<string>[],
  statements: readonly Secret<string>[] = [],
): unknown {
  if (signal.aborted) return signal.reason;
  if (isAppError(error)) return error;
  if (error instanceof TlsRefused) return databaseError('tls', error.message);
  if (error instanceof LogInMethodRefused) {
    return databaseError(
      'log_in_method',
      'the server asks for the password in clear or as MD5, which is answered with sslmode verify-full only; let it use scram-sha-256',
    );
  }
  if (error instanceof TooMuchAnswered)
    return databaseError('protocol', 'the server sends more than it was asked for');
  if (error instanceof NotPostgres)
    return databaseError('protocol', 'the server does not speak the protocol of PostgreSQL');
  if (!(error instanceof pg.DatabaseError)) return transportFailure(error);
  const code = /^[0-9A-Z]{5}$/.test(error.code ?? '') ? (error.code as string) : 'XX000';
  const all = [target.adminPassword, ...secrets];
  // Of a missing right the detail says which one; of other refusals it quotes rows.
  const text = code === '42501' && error.detail ? `${error.message}: ${error.detail}` : error.message;
  const message = redactedMessage(text, all, statements);
  if (PASSING.test(code) || (code === 'XX000' && CONCURRENT.test(error.message))) {
    return targetUnavailable(`PostgreSQL ${code}: ${message}`, code);
  }
  return databaseError(code, message);
}

/** No SQLSTATE: the server never answered, or not as PostgreSQL does. The text of such an error may quote bytes of it. */
function transportFailure(error: unknown): Error {
  const { code, name, message } = error as NodeJS.ErrnoException;
  if (/^SASL/.test(message ?? '')) {
    return databaseError(
      'log_in_method',
      'the log-in by SCRAM-SHA-256 failed: the server does not offer it, or did not prove itself',
    );
  }
  return targetUnavailable(`PostgreSQL: ${code ?? name ?? 'connection lost'}`);
}
