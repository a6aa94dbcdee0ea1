import type { DialectAdapter, QueryCompiler } from 'kysely';
import { AppError } from '../../kernel/errors.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { Insertion } from './database.js';

export type FileName = 'main' | 'log';

/** A compiled query with its values, already checked by the binder. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  /** Defined queries have one: PostgreSQL keeps the prepared statement under it. */
  readonly name?: string | undefined;
  readonly kind: 'read' | 'write';
  readonly returnsRows: boolean;
  readonly table: string;
  readonly file: FileName;
  /** A read that may take long: SQLite runs it in a thread of its own. */
  readonly isAside?: boolean;
}

export type Row = Record<string, unknown>;

export interface StatementResult {
  readonly rows: Row[];
  readonly changes: number;
}

/** One open transaction of the database itself; `OpenTransaction` is what stores see of it. */
export interface Session {
  run(statement: Statement): Promise<StatementResult>;
  lock(table: string, id: string): Promise<void>;
  commit(): Promise<void>;
  /** Never throws: a session that cannot roll back is dropped. */
  rollback(): Promise<void>;
}

/** What the two databases do differently, and nothing more. */
export interface Engine {
  readonly dialect: 'sqlite' | 'postgres';
  readonly adapter: DialectAdapter;
  createCompiler(): QueryCompiler;
  /** A statement that stands alone; a write is durable when it resolves. SQLite answers most reads at once. */
  run(statement: Statement): Promisable<StatementResult>;
  /** May call `attempt` again with a new session when the database asks for a retry. */
  transaction<T>(attempt: (session: Session) => Promise<T>): Promise<T>;
  /**
   * The same for one at a time over all processes: null, with nothing run, where another holds that name. READ
   * COMMITTED on PostgreSQL, so that it stands in no serializable transaction's way.
   */
  exclusively<T>(name: string, attempt: (session: Session) => Promise<T>): Promise<T | null>;
  /** `Database.changeMark`. */
  changeMark(): number | null;
  /** One commit; the answer says per group what refused it. Throws when the whole commit failed. */
  insertGroups(
    file: FileName,
    groups: readonly (readonly Insertion[])[],
  ): Promise<readonly (Error | undefined)[]>;
  scrub(table: string): Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** For operators; drivers put values into their messages, so those are never passed on. */
export interface StorageLogger {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The database refused a statement for a reason that only a bug can cause. Holds codes and names, never values. */
export class StatementFailure extends Error {
  override readonly name = 'StatementFailure';
  constructor(
    readonly table: string,
    readonly code: string,
    reason: string,
  ) {
    super(`statement on ${table || 'no table'} failed: ${reason} (${code})`);
  }
}

export function databaseUnavailable(detail: string, cause?: unknown): AppError {
  return new AppError('dependency_unavailable', 'The database is not available', {
    dependency: 'database',
    retryAfterSeconds: 1,
    detail,
    cause,
  });
}
