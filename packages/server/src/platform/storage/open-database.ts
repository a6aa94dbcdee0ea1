import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import type { Instruments } from '../telemetry/instruments.js';
import { createAside } from './aside.js';
import type { Database, Insertion, TableDeclaration } from './database.js';
import { databaseUnavailable, type Engine, type FileName, type StorageLogger } from './engine.js';
import { createGroupCommit, type GroupCommit } from './group-commit.js';
import { measuredEngine } from './measured-engine.js';
import type { Migration } from './migration.js';
import { assertMigrated } from './migrator.js';
import { type DayPartitions, migratePostgres, startDayPartitions } from './postgres-migrations.js';
import { openSqlite } from './sqlite.js';
import { migrateSqlite } from './sqlite-migrations.js';
import { openSqliteReadOnly } from './sqlite-read-only.js';
import { runTransaction } from './transaction.js';
import { CheckedInsertion, createView } from './view.js';

export type StorageOptions =
  | { readonly kind: 'sqlite'; readonly path: string; readonly logPath: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly poolMax: number };

export interface OpenOptions {
  readonly migrations: readonly Migration[];
  readonly clock: Clock;
  readonly logger?: StorageLogger;
  /**
   * A module that SQLite's writer loads for the main file; PostgreSQL has no use for it. Its default export takes the
   * connection and returns `{table, isDue(rows), beforeCommit(rows), defer(rows)}`: before each commit it is asked, and
   * gets, the rows that the transaction has inserted into that table; when it throws it is undone, and `defer` gets
   * them instead.
   */
  readonly commitHook?: URL;
  readonly instruments?: Instruments;
}

const MiB = 1024 * 1024;
const GROUP_COMMIT_LIMITS = {
  batchRowsMax: 1_000,
  batchBytesMax: 8 * MiB,
  queueRowsMax: 20_000,
  queueBytesMax: 32 * MiB,
};

const NO_DAYS: DayPartitions = { dropBefore: async () => 0, stop: async () => {} };

/** Its driver is loaded by a server that has such a database. */
const loadPostgres = async () => (await import('./postgres.js')).openPostgres;

/** Opens the database and brings its tables up to date. */
export async function openDatabase(storage: StorageOptions, options: OpenOptions): Promise<Database> {
  const { migrations, clock, logger } = options;
  switch (storage.kind) {
    case 'sqlite': {
      const paths = { main: storage.path, log: storage.logPath };
      const engine = await openSqlite(paths, { commitHook: options.commitHook, logger });
      await closingOnFailure(engine, () => migrateSqlite(engine, migrations, clock));
      return createDatabase(engine, options, NO_DAYS);
    }
    case 'postgres': {
      const engine = await (await loadPostgres())({ ...storage, logger });
      const days = await closingOnFailure(engine, async () => {
        await migratePostgres(engine, migrations, clock);
        return startDayPartitions(engine, migrations, clock, logger);
      });
      return createDatabase(engine, options, days);
    }
  }
}

/** For a command beside a running server, or on the data of a stopped one: changes nothing, makes no tables. */
export async function openDatabaseForReading(
  storage: StorageOptions,
  options: OpenOptions,
): Promise<Database> {
  const engine =
    storage.kind === 'sqlite'
      ? openSqliteReadOnly(storage.path)
      : await (await loadPostgres())({ ...storage, logger: options.logger, isReadOnly: true });
  return closingOnFailure(engine, async () => {
    const ids = options.migrations.filter(({ file }) => storage.kind === 'postgres' || file === 'main');
    assertMigrated(
      await appliedMigrations(engine),
      ids.map(({ id }) => id),
    );
    return createDatabase(engine, options, NO_DAYS);
  });
}

async function appliedMigrations(engine: Engine): Promise<string[]> {
  const sql = 'SELECT id FROM schema_migrations';
  const place = { table: 'schema_migrations', file: 'main' } as const;
  const { rows } = await engine.run({ ...place, sql, parameters: [], kind: 'read', returnsRows: true });
  return rows.map((row) => String(row.id));
}

async function closingOnFailure<T>(engine: Engine, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await engine.close();
    throw error;
  }
}

function createDatabase(
  opened: Engine,
  { clock, logger, instruments }: OpenOptions,
  days: DayPartitions,
): Database {
  const engine = instruments ? measuredEngine(opened, instruments, clock) : opened;
  const groupCommits: Record<FileName, GroupCommit> = {
    main: groupCommitOf('main'),
    log: groupCommitOf('log'),
  };
  const definitions = new Map<string, string>();
  const aside = createAside();
  const declared = new Map<string, TableDeclaration>();
  let closing: Promise<void> | null = null;

  async function close(): Promise<void> {
    await Promise.all([groupCommits.main.close(), groupCommits.log.close()]);
    await days.stop();
    await engine.close();
  }

  function groupCommitOf(file: FileName): GroupCommit {
    const groupCommit = createGroupCommit({
      ...GROUP_COMMIT_LIMITS,
      commit: (groups) => engine.insertGroups(file, groups),
    });
    instruments?.gauge(
      'knox_group_commit_queued_rows',
      'Rows that wait for their commit: audit rows in main, log rows in log.',
      () => groupCommit.queuedRows(),
      { file },
    );
    return groupCommit;
  }

  function declare(tables: Readonly<Record<string, TableDeclaration>>): void {
    for (const [name, table] of Object.entries(tables)) {
      const known = declared.get(name) ?? table;
      const same = known.scope === table.scope && (known.file ?? 'main') === (table.file ?? 'main');
      assert(same, `table "${name}" is declared in two ways`);
      declared.set(name, table);
    }
  }

  const database: Database = {
    dialect: engine.dialect,
    view(tables) {
      declare(tables as Readonly<Record<string, TableDeclaration>>);
      return createView({ owner: database, engine, definitions, aside }, tables);
    },
    async transaction(run) {
      if (closing) throw databaseUnavailable('the database is closed');
      return engine.transaction((session) =>
        runTransaction(session, run, { owner: database, clock, logger }),
      );
    },
    async exclusively(name, run) {
      if (closing) throw databaseUnavailable('the database is closed');
      return engine.exclusively(name, (session) =>
        runTransaction(session, run, { owner: database, clock, logger }),
      );
    },
    async commitInserts(rows) {
      if (rows.length === 0) return;
      const file = rows[0]?.shape.file ?? 'main';
      assert(
        rows.every((row) => row instanceof CheckedInsertion && row.shape.file === file),
        'insertions are made by a view and go to one file',
      );
      await groupCommits[file].add(rows, bytesOf(rows));
    },
    changeMark: () => engine.changeMark(),
    dropDays: days.dropBefore,
    async flush() {
      await Promise.all([groupCommits.main.flush(), groupCommits.log.flush()]);
    },
    scrub: (table) => engine.scrub(table),
    ping: () => engine.ping(),
    close() {
      closing ??= close();
      return closing;
    },
  };
  return database;
}

function bytesOf(rows: readonly Insertion[]): number {
  return rows.reduce((sum, row) => sum + (row instanceof CheckedInsertion ? row.bytes : 0), 0);
}
