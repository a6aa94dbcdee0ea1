import type pg from 'pg';
import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import { POSTGRES_COLUMNS } from './columns.js';
import type { StorageLogger } from './engine.js';
import type { Migration } from './migration.js';
import { type MigrationTarget, migrate } from './migrator.js';
import type { PostgresEngine } from './postgres.js';
import { isPostgresError, postgresFailure } from './postgres-errors.js';

/** Of this program, among all that use the database; any number that stays the same. */
export const LOCK_KEY = 4_701_199_812;
const LOCK_WAIT = '60s';
const DROP_LOCK_WAIT = '1s';

const DAY_MS = 86_400_000;
const DAYS_AHEAD = 2;
const PARTITION_CHECK_MS = 3_600_000;
const CHECK_VIOLATION = '23514';

/** All in one transaction: of two processes that start at once the second finds the work done. */
export async function migratePostgres(
  engine: PostgresEngine,
  migrations: readonly Migration[],
  clock: Clock,
): Promise<void> {
  await engine.maintain(async (client) => {
    await takeLock(client);
    await migrate(targetOf(client), migrations, 'all', clock);
    for (const table of partitionedTables(migrations)) {
      await client.query(`CREATE TABLE IF NOT EXISTS "${table}_default" PARTITION OF "${table}" DEFAULT`);
    }
  });
}

export interface DayPartitions {
  /** Of a partitioned table: the days that end then or earlier; how many were dropped. */
  dropBefore(table: string, beforeMs: number): Promise<number>;
  stop(): Promise<void>;
}

/** Makes the partitions of today and the next days, now and every hour. */
export async function startDayPartitions(
  engine: PostgresEngine,
  migrations: readonly Migration[],
  clock: Clock,
  logger: StorageLogger | undefined,
): Promise<DayPartitions> {
  const tables = partitionedTables(migrations);
  let cancelTimer = () => {};
  let stopped = false;
  let running: Promise<void> = Promise.resolve();

  async function ensureAll(): Promise<void> {
    const today = startOfDay(clock.nowMs());
    for (const table of tables) {
      for (let day = 0; day <= DAYS_AHEAD; day++)
        await ensurePartition(engine, table, today + day * DAY_MS, logger);
    }
  }

  function schedule(): void {
    cancelTimer = clock.setTimer(PARTITION_CHECK_MS, () => {
      // Rows of a day without a partition go to the default one: nothing is lost by trying again later.
      running = ensureAll()
        .catch((error) => logger?.warn({ err: error }, 'day partitions could not be made'))
        .finally(() => stopped || schedule());
    });
  }

  await ensureAll();
  schedule();
  return {
    async dropBefore(table, beforeMs) {
      assert(tables.includes(table), `table "${table}" is not partitioned by day`);
      const past = (await daysOf(engine, table)).filter(({ fromMs }) => fromMs + DAY_MS <= beforeMs);
      for (const { name } of past) await dropPartition(engine, table, name);
      return past.length;
    },
    async stop() {
      stopped = true;
      cancelTimer();
      await running;
    },
  };
}

async function ensurePartition(
  engine: PostgresEngine,
  table: string,
  fromMs: number,
  logger: StorageLogger | undefined,
): Promise<void> {
  const name = partitionName(table, fromMs);
  try {
    await engine.maintain(async (client) => {
      // Looked up first: making one that is there would still lock the table against its writers.
      const { rows } = await client.query('SELECT to_regclass($1) IS NOT NULL AS exists', [`"${name}"`]);
      if (rows[0].exists === 1) return;
      await takeLock(client);
      await client.query(partitionText(table, fromMs));
    });
  } catch (error) {
    if (!isPostgresError(error) || error.code !== CHECK_VIOLATION) throw postgresFailure(error, table);
    logger?.warn(
      { partition: name },
      'the default partition already holds rows of this day; they stay there',
    );
  }
}

interface Day {
  readonly name: string;
  readonly fromMs: number;
}

async function daysOf(engine: PostgresEngine, table: string): Promise<Day[]> {
  const { rows } = await engine.maintain((client) =>
    client.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
       WHERE i.inhparent = to_regclass($1) ORDER BY 1`,
      [`"${table}"`],
    ),
  );
  return rows.flatMap(({ name }) => {
    const [, year, month, day] = /_p(\d{4})(\d\d)(\d\d)$/.exec(name) ?? [];
    return year === undefined
      ? []
      : [{ name, fromMs: Date.UTC(Number(year), Number(month) - 1, Number(day)) }];
  });
}

/** Another process may have done it. Writers of the table wait as long as this one does, so it does not wait long. */
async function dropPartition(engine: PostgresEngine, table: string, name: string): Promise<void> {
  try {
    await engine.maintain(async (client) => {
      await client.query(`SET LOCAL lock_timeout = '${DROP_LOCK_WAIT}'`);
      await client.query(`DROP TABLE IF EXISTS "${name}"`);
    });
  } catch (error) {
    throw postgresFailure(error, table);
  }
}

function partitionName(table: string, fromMs: number): string {
  const day = new Date(fromMs).toISOString().slice(0, 10).replaceAll('-', '');
  return `${table}_p${day}`;
}

/** Of the day that begins then. */
export function partitionText(table: string, fromMs: number): string {
  const bounds = `FOR VALUES FROM (${fromMs}) TO (${fromMs + DAY_MS})`;
  return `CREATE TABLE IF NOT EXISTS "${partitionName(table, fromMs)}" PARTITION OF "${table}" ${bounds}`;
}

export function startOfDay(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS;
}

function partitionedTables(migrations: readonly Migration[]): string[] {
  return migrations.flatMap((migration) => [...(migration.dayPartitioned ?? [])]);
}

async function takeLock(client: pg.Client): Promise<void> {
  await client.query(`SET LOCAL lock_timeout = '${LOCK_WAIT}'`);
  await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK_KEY]);
}

function targetOf(client: pg.Client): MigrationTarget {
  return {
    types: POSTGRES_COLUMNS,
    query: async (sql) => (await client.query(sql)).rows,
    async execute(sql) {
      await client.query(sql);
    },
    async insert(table, row) {
      const columns = Object.keys(row);
      const places = columns.map((_, index) => `$${index + 1}`);
      const sql = `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places.join(', ')})`;
      await client.query(sql, Object.values(row));
    },
  };
}
