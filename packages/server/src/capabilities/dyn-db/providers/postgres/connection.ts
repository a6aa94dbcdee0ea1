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
import { openSocket, TlsRefused } from './socket.js';

/** The server's own time-outs come first: an answer is better than a cut. */
const ANSWER_GRACE_MS = 2_000;
/** DDL that waits for a lock makes everybody else wait behind it; a revocation comes again. */
const LOCK_TIMEOUT_MS = 5_000;
const CLOSE_MS = 1_000;
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
class ScramOnlyConnection extends pg.Connection {
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
      if (parameterName === 'server_version') this.serverVersion = String(parameterValue);
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

  /** One statement and its rows. */
  async query<T extends Row = Row>(text: string, values: readonly unknown[] = []): Promise<readonly T[]> {
    const result = await this.#bounded(() => this.#client.query<T>(text, [...values]), []);
    return result.rows;
  }

  /** Statements in one message and one transaction where they hold no BEGIN; the rows of the last. */
  async batch(
    statements: readonly string[],
    secrets: readonly Secret<string>[] = [],
  ): Promise<readonly Row[]> {
    const results = await this.#bounded(() => this.#client.query<Row>(statements.join('; ')), secrets);
    const all = (Array.isArray(results) ? results : [results]) as pg.QueryResult<Row>[];
    return all.at(-1)?.rows ?? [];
  }

  /** A statement of a role alone: by this protocol the server itself refuses a second one in it. */
  async rendered(statement: Secret<string>, secrets: readonly Secret<string>[]): Promise<void> {
    const query = { text: statement.reveal(), queryMode: 'extended' };
    await this.#bounded(() => this.#client.query(query), secrets, [statement]);
  }

  /** What fails leaves nothing; settings that custom statements changed end with it. */
  async transaction<T>(act: () => Promise<T>): Promise<T> {
    await this.batch(['BEGIN']);
    try {
      const result = await act();
      await this.batch(['COMMIT', 'RESET SESSION AUTHORIZATION', 'RESET ROLE', 'RESET ALL']);
      return result;
    } catch (error) {
      await this.rollback();
      throw error;
    }
  }

  async rollback(): Promise<void> {
    // Where even that fails the connection is gone, and the server does it.
    await this.batch(['ROLLBACK']).catch(() => {});
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
      throw mapped(error, this.#options, secrets, statements);
    } finally {
      cancel();
    }
  }
}

function clientOn(socket: Socket, plan: TlsPlan, { target, database }: ConnectOptions): pg.Client {
  const stream = () => connectedStream(socket);
  const config = {
    connection: plan.mayTellPassword ? new pg.Connection({ stream }) : new ScramOnlyConnection({ stream }),
    // Never dialled: the stream is connected.
    host: target.host,
    port: target.port,
    ssl: false,
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
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > LIMITS.databaseAnswersBytesMax) socket.destroy(new TooMuchAnswered());
  });
  return new pg.Client(config);
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
  if (!(error instanceof pg.DatabaseError)) return transportFailure(error);
  const code = /^[0-9A-Z]{5}$/.test(error.code ?? '') ? (error.code as string) : 'XX000';
  const all = [target.adminPassword, ...secrets];
  // Of a missing right the detail says which one; of other refusals it quotes rows.
  const text = code === '42501' && error.detail ? `${error.message}: ${error.detail}` : error.message;
  const message = redactedMessage(text, all, statements);
  if (PASSING.test(code) || (code === 'XX000' && CONCURRENT.test(error.message))) {
    return targetUnavailable(`PostgreSQL ${code}: ${message}`);
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
