import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import type { Database, Insertion, TableDeclaration } from './database.js';
import { databaseUnavailable, type Engine, type FileName, type StorageLogger } from './engine.js';
import { createGroupCommit, type GroupCommit } from './group-commit.js';
import type { Migration } from './migration.js';
import { openPostgres } from './postgres.js';
import { migratePostgres, startDayPartitions } from './postgres-migrations.js';
import { openSqlite } from './sqlite.js';
import { migrateSqlite } from './sqlite-migrations.js';
import { runTransaction } from './transaction.js';
import { CheckedInsertion, createView } from './view.js';

export type StorageOptions =
  | { readonly kind: 'sqlite'; readonly path: string; readonly logPath: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly poolMax: number };

export interface OpenOptions {
  readonly migrations: readonly Migration[];
  readonly clock: Clock;
  readonly logger?: StorageLogger;
}

const MiB = 1024 * 1024;
const GROUP_COMMIT_LIMITS = {
  batchRowsMax: 1_000,
  batchBytesMax: 8 * MiB,
  queueRowsMax: 20_000,
  queueBytesMax: 32 * MiB,
};

/** Opens the database and brings its tables up to date. */
export async function openDatabase(storage: StorageOptions, options: OpenOptions): Promise<Database> {
  const { migrations, clock, logger } = options;
  switch (storage.kind) {
    case 'sqlite': {
      const engine = await openSqlite({ main: storage.path, log: storage.logPath });
      await closingOnFailure(engine, () => migrateSqlite(engine, migrations, clock));
      return createDatabase(engine, options, async () => {});
    }
    case 'postgres': {
      const engine = await openPostgres({ ...storage, logger });
      const partitions = await closingOnFailure(engine, async () => {
        await migratePostgres(engine, migrations, clock);
        return startDayPartitions(engine, migrations, clock, logger);
      });
      return createDatabase(engine, options, partitions.stop);
    }
  }
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
  engine: Engine,
  { clock, logger }: OpenOptions,
  stopTimers: () => Promise<void>,
): Database {
  const groupCommits: Record<FileName, GroupCommit> = {
    main: groupCommitOf('main'),
    log: groupCommitOf('log'),
  };
  const definitions = new Map<string, string>();
  const declared = new Map<string, TableDeclaration>();
  let closing: Promise<void> | null = null;

  async function close(): Promise<void> {
    await Promise.all([groupCommits.main.close(), groupCommits.log.close()]);
    await stopTimers();
    await engine.close();
  }

  function groupCommitOf(file: FileName): GroupCommit {
    return createGroupCommit({
      ...GROUP_COMMIT_LIMITS,
      commit: (groups) => engine.insertGroups(file, groups),
    });
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
      return createView({ owner: database, engine, definitions }, tables);
    },
    async transaction(run) {
      if (closing) throw databaseUnavailable('the database is closed');
      return engine.transaction((session) =>
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
    async flush() {
      await Promise.all([groupCommits.main.flush(), groupCommits.log.flush()]);
    },
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
