import type { CompiledQuery, Kysely } from 'kysely';
import type { Scope } from '../../kernel/ids.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { SystemReason } from './system-reasons.js';

/** What may be bound to a statement; all else throws before the driver sees it (architecture, "One writer thread"). */
export type Bindable = string | number | bigint | Buffer | null;

export type TableScope = 'system' | 'tenant' | 'tenant+mode';

/**
 * A declared table. `tenant` tables carry `tenant_id`; `tenant+mode` tables also carry `sandbox` (integer 0 or 1).
 * `file: 'log'` puts the table in the request log's own SQLite file, so that its volume never waits on main data.
 */
export interface TableDeclaration {
  readonly scope: TableScope;
  readonly file?: 'main' | 'log';
}

/** Declarations by table name; `DB` maps the same names to row types (snake_case columns, epoch-ms times, 0/1 flags). */
export type TableSet<DB> = { readonly [Table in keyof DB]: TableDeclaration };

/** A `tenant` table needs only the tenant; a `tenant+mode` table needs the whole scope. */
export type AnyScope = Scope | Pick<Scope, 'tenantId'>;

/**
 * An open transaction. Every use after it ended throws. Nothing but the database may be awaited inside;
 * one that stays open for 1 s is rolled back.
 */
export interface Transaction {
  readonly isOpen: boolean;
  /** Row lock on PostgreSQL, nothing on SQLite, where the one writer is the lock. */
  lock(table: string, id: string): Promise<void>;
  /** Runs once the commit is durable; never when the transaction rolls back. */
  afterCommit(callback: () => void): void;
}

/**
 * Kysely's builders over declared tables with the scope already set: selects, updates and deletes carry
 * `tenant_id` (and `sandbox`) conditions for every table named, inserts have the columns filled in.
 * `selectFrom` takes one table or several (joined by conditions in `where`), each scoped.
 */
export type ScopedQueries<DB> = Pick<Kysely<DB>, 'selectFrom' | 'insertInto' | 'updateTable' | 'deleteFrom'>;

export interface Compilable<Row> {
  compile(): CompiledQuery<Row>;
}

/** A query compiled once at start, run as a prepared statement. `SystemArgs` replaces the scope for system queries. */
export interface DefinedQuery<Where, Args, Row> {
  readonly name: string;
  all(where: Where, args: Args, tx?: Transaction): Promisable<Row[]>;
  first(where: Where, args: Args, tx?: Transaction): Promisable<Row | undefined>;
}

/** Stands for the argument of that name while a defined query is built. */
export type Arg<Args> = <Name extends keyof Args>(name: Name) => Args[Name];

/** What a store works with: one capability's tables over the shared database. */
export interface View<DB> {
  /** Runs in `tx` when given, else each query stands alone (writes are still durable when they resolve). */
  scoped(scope: AnyScope, tx?: Transaction): ScopedQueries<DB>;
  /**
   * Reads whose cost grows with the rows of the tenant, such as totals and filters without an index: outside the event
   * loop on SQLite, few at once on either database, one of a tenant.
   */
  aside(scope: AnyScope): Pick<ScopedQueries<DB>, 'selectFrom'>;
  /** Queries across tenants. Each reason is in the golden list of `system-reasons.ts`. */
  system(reason: SystemReason, tx?: Transaction): ScopedQueries<DB>;
  /** Compiled once; the scope's columns are arguments as well. */
  define<Args extends Record<string, Bindable>, Row>(
    name: string,
    build: (queries: ScopedQueries<DB>, arg: Arg<Args>) => Compilable<Row>,
  ): DefinedQuery<AnyScope, Args, Row>;
  defineSystem<Args extends Record<string, Bindable>, Row>(
    name: string,
    reason: SystemReason,
    build: (queries: ScopedQueries<DB>, arg: Arg<Args>) => Compilable<Row>,
  ): DefinedQuery<null, Args, Row>;
  /** One row of a durable logical write, scope columns filled in; hand it to `Database.commitInserts`. */
  insertion<Table extends keyof DB & string>(
    table: Table,
    scope: AnyScope | null,
    row: Record<string, Bindable>,
  ): Insertion;
}

/** What the rows of one kind have in common: one object for all of them, so that it serves as a key. */
export interface RowShape {
  readonly table: string;
  readonly file: 'main' | 'log';
  /** Those that the row named, in its order, then the scope's. */
  readonly columns: readonly string[];
  /** How many of them the row named. */
  readonly given: number;
}

export interface Insertion {
  readonly shape: RowShape;
  /** In the order of the shape's columns. */
  readonly values: readonly Bindable[];
  /** JSON can carry every value: none is a bigint or a Buffer. */
  readonly isJson: boolean;
}

export interface Database {
  readonly dialect: 'sqlite' | 'postgres';
  view<DB>(tables: TableSet<DB>): View<DB>;
  /** SERIALIZABLE on PostgreSQL with bounded retry of the whole function, the one writer on SQLite. */
  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T>;
  /**
   * A transaction that one process at a time runs under that name; null, with nothing run, where another is at it.
   * READ COMMITTED on PostgreSQL: for background work on rows that nobody else changes.
   */
  exclusively<T>(name: string, run: (tx: Transaction) => Promise<T>): Promise<T | null>;
  /**
   * Group commit: the rows are inserted together or not at all, and the promise resolves when they are durable.
   * Concurrent calls share one commit; a failing one fails alone. Rejects with `UniqueViolation`, `ReferenceViolation`, or with
   * `dependency_unavailable` when the queue is full or the database is down. All rows of a call are of one file.
   */
  commitInserts(rows: readonly Insertion[]): Promise<void>;
  /**
   * Stays the same while nothing but group commits, which add rows and change none, is written by this process. Null while anything else
   * is being written, and on PostgreSQL, where other processes write too. What was read of a row under a mark still holds under the
   * same one, in tables that servers alone write: SQLite has one server (`lock.ts`), and commands beside it.
   */
  changeMark(): number | null;
  /**
   * Drops the days of a table partitioned by day that end at `beforeMs` or earlier, rows and all; returns how many. None on
   * SQLite, which has no partitions, and no rows that the default partition holds: those are deleted like any other.
   */
  dropDays(table: string, beforeMs: number): Promise<number>;
  /**
   * After a commit that overwrote what must not be found again: folds SQLite's write-ahead log into the file, where freed bytes are
   * zeroed; vacuums that table on PostgreSQL (docs/decisions/0052). Rejects while another process holds the old bytes in use.
   */
  scrub(table: string): Promise<void>;
  /** Resolves when every accepted insertion is durable. */
  flush(): Promise<void>;
  /** Throws `dependency_unavailable` when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** A unique or primary key refused the row. Stores turn it into their own `conflict`. */
export class UniqueViolation extends Error {
  override readonly name = 'UniqueViolation';
  constructor(
    readonly table: string,
    readonly columns: readonly string[],
  ) {
    super(`unique key of ${table} (${columns.join(', ')})`);
  }
}

/** A foreign key refused the row: what it refers to is gone, or what is deleted is still referred to. */
export class ReferenceViolation extends Error {
  override readonly name = 'ReferenceViolation';
  constructor(readonly table: string) {
    super(`foreign key of ${table}`);
  }
}
