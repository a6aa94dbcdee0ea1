import { ReferenceViolation, UniqueViolation } from './database.js';
import { databaseUnavailable, StatementFailure } from './engine.js';
import { SerializationFailure } from './transaction.js';

/** What `pg` puts on its errors. Messages and details may quote values of the row, so they are not passed on. */
interface PostgresError {
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
}

/** Connection, resources, operator, system, read-only after a failover, lock or statement time-out. */
const UNAVAILABLE = /^(08|28|3D|53|57|58|XX|25006|25P03|55P03)/;
const SQLSTATE = /^[0-9A-Z]{5}$/;

export function isPostgresError(error: unknown): error is PostgresError {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && SQLSTATE.test(error.code)
  );
}

/** `table` is the one the statement names: the server would name a partition. */
export function postgresFailure(error: unknown, table: string): Error {
  if (error instanceof StatementFailure) return error;
  // No SQLSTATE: the server never answered (refused, reset, timed out, connection ended).
  if (!isPostgresError(error)) return databaseUnavailable(`PostgreSQL: ${transportReason(error)}`);
  const { code } = error;
  if (code === '40001' || code === '40P01') return new SerializationFailure(`PostgreSQL ${code}`);
  if (code === '23505') return new UniqueViolation(table, columnsOf(error.detail));
  if (code === '23503') return new ReferenceViolation(table);
  if (UNAVAILABLE.test(code)) return databaseUnavailable(`PostgreSQL ${code}: ${error.message}`);
  // Syntax and unknown names: the message quotes the statement's text, which holds no values.
  const reason = code.startsWith('42') ? error.message : 'refused';
  return new StatementFailure(table, `PostgreSQL ${code}`, reason);
}

/** No first connection: what is to be put right is the address, the credentials or the server. */
export class DatabaseUnreachable extends Error {
  override readonly name = 'DatabaseUnreachable';
  /** `place` is its host and port. What a server says of a refused log-in holds no password. */
  constructor(place: string, reason: unknown) {
    super(
      isPostgresError(reason)
        ? `${place} refuses the connection: ${reason.message} (${reason.code})`
        : `cannot reach ${place} (${transportReason(reason)})`,
    );
  }
}

/** After these the connection's state is not known. */
export function endsConnection(error: unknown): boolean {
  if (error instanceof StatementFailure) return false;
  return !isPostgresError(error) || /^(08|57P|25P03|XX)/.test(error.code);
}

/** `Key (tenant_id, name)=(…) already exists.`: the names are taken, the values left. */
function columnsOf(detail: string | undefined): string[] {
  const list = /\(([^()]*)\)=\(/.exec(detail ?? '')?.[1];
  return list === undefined ? [] : list.split(', ').map((name) => name.replaceAll('"', ''));
}

function transportReason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}

/** Connection, credentials, no such database, missing right, resources, operator: what they say holds no values. */
const TELLING = /^(08|28|3D|42501|53|57)/;

/** For an operator's terminal. */
export function databaseErrorText(error: unknown): string {
  if (isPostgresError(error) && !TELLING.test(error.code)) {
    return `PostgreSQL refused a statement (${error.code}); its own log says which`;
  }
  if (!(error instanceof Error)) return String(error);
  if (!('code' in error)) return error.stack ?? error.message;
  // One of several addresses tried has no text of its own.
  return error.message || String(error.code);
}
