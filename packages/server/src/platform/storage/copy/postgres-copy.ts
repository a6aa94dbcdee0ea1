import pg from 'pg';
import { POSTGRES_COLUMNS } from '../columns.js';
import type { Migration } from '../migration.js';
import { assertApplied, UNFINISHED_COPY } from '../migrator.js';
import type { StorageOptions } from '../open-database.js';
import { APPLICATION_NAME, CONNECT_TIMEOUT_MS } from '../postgres.js';
import { isPostgresError } from '../postgres-errors.js';
import { LOCK_KEY, partitionText, startOfDay } from '../postgres-migrations.js';
import { StorageRefused } from '../refused.js';
import { type CopiedRow, type CopiedTable, columnList } from './copied-table.js';
import { BATCH_ROWS_FIRST, type CopyEnd, type CopyTarget, nextBatchRows } from './copy-end.js';

export type PostgresOptions = Extract<StorageOptions, { kind: 'postgres' }>;

const PARAMETERS_MAX = 60_000;
const LOCK_WAIT = '2s';
const GONE_TRIES = 5;
const GONE_WAIT_SECONDS = 0.1;
const LOCK_NOT_AVAILABLE = '55P03';
const OID_INT8 = 20;

/** Refuses a source that a server is connected to; its tables take no write until the end is closed. */
export async function openPostgresSource(
  { url }: PostgresOptions,
  migrations: readonly Migration[],
  tables: readonly CopiedTable[],
): Promise<CopyEnd> {
  const client = await connect(url);
  try {
    await lockOut(client, 'source');
    await assertNoServer(client);
    const applied = await appliedIn(client);
    if (!applied) throw new StorageRefused('the source holds no installation');
    assertApplied(applied, migrations, POSTGRES_COLUMNS);
    await client.query(`BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout = '${LOCK_WAIT}'`);
    // Before the first read, which takes the snapshot.
    await client.query(`LOCK TABLE ${tables.map(({ name }) => `"${name}"`).join(', ')} IN SHARE MODE`);
  } catch (error) {
    await client.end();
    const isLocked = isPostgresError(error) && error.code === LOCK_NOT_AVAILABLE;
    throw isLocked
      ? new StorageRefused('the source is being written to: stop every server on it first')
      : error;
  }
  return endOf(client);
}

/** Refuses a database that holds any table of ours. */
export async function assertEmptyPostgres(
  { url }: PostgresOptions,
  tables: readonly CopiedTable[],
): Promise<void> {
  const client = await connect(url);
  try {
    const applied = await appliedIn(client);
    if (applied?.has(UNFINISHED_COPY.id)) {
      throw new StorageRefused(
        'the target holds a copy that did not finish: drop that database and make it anew',
      );
    }
    const names = tables.map(({ name }) => name);
    const { rows } = await client.query(
      'SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname = ANY ($1) LIMIT 1',
      [names],
    );
    if (applied?.size || rows.length > 0) {
      throw new StorageRefused(
        'the target is not empty: a copy goes to a database without tables of KnoxCall',
      );
    }
  } finally {
    await client.end();
  }
}

/** After the migrations, and the mark among them, have run on it. */
export async function openPostgresTarget(
  { url }: PostgresOptions,
  tables: readonly CopiedTable[],
): Promise<CopyTarget> {
  const client = await connect(url);
  let references: Reference[];
  let triggers: Trigger[];
  try {
    await lockOut(client, 'target');
    const applied = await appliedIn(client);
    if (!applied?.has(UNFINISHED_COPY.id)) throw new StorageRefused('the target is no longer empty');
    references = await dropReferences(client, tables);
    triggers = await disableTriggers(client, tables);
    // Many small commits; the last one, which takes the mark away, waits for all of them.
    await client.query('SET synchronous_commit = off');
  } catch (error) {
    await client.end();
    throw error;
  }
  const days = new Map<string, DayColumn>();

  async function makePartitions(table: CopiedTable, rows: readonly CopiedRow[]): Promise<void> {
    const day = days.get(table.name) ?? (await dayColumnOf(client, table));
    days.set(table.name, day);
    for (const row of rows) {
      const fromMs = startOfDay(Number(row[day.index]));
      if (day.made.has(fromMs)) continue;
      await client.query(partitionText(table.name, fromMs));
      day.made.add(fromMs);
    }
  }

  return {
    ...endOf(client),
    async clear({ name }) {
      await client.query(`DELETE FROM "${name}"`);
    },
    async insert(table, rows) {
      if (table.isDayPartitioned) await makePartitions(table, rows);
      const size = Math.floor(PARAMETERS_MAX / table.columns.length);
      for (let at = 0; at < rows.length; at += size)
        await insertRows(client, table, rows.slice(at, at + size));
    },
    async continueNumbers(table, last) {
      const sequence = await sequenceOf(client, table);
      // A sequence begins with 1, so one that gave nothing yet is said to be about to.
      await client.query('SELECT setval($1, $2, $3)', [sequence, String(last || 1n), last > 0n]);
    },
    async restoreRules() {
      for (const { table, name, definition } of references) {
        await client.query(`ALTER TABLE ${table} ADD CONSTRAINT "${name}" ${definition}`);
      }
      for (const { table, name, enabled } of triggers) {
        await client.query(`ALTER TABLE ${table} ${ENABLE[enabled]} TRIGGER "${name}"`);
      }
    },
    async removeMark() {
      await client.query('SET synchronous_commit = on');
      await client.query('DELETE FROM schema_migrations WHERE id = $1', [UNFINISHED_COPY.id]);
    },
  };
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: `${APPLICATION_NAME}-copy`,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    types: { getTypeParser: parserOf },
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}

function parserOf(oid: number, format?: 'text' | 'binary'): (text: string) => unknown {
  return oid === OID_INT8 ? BigInt : pg.types.getTypeParser(oid, format ?? 'text');
}

/** A start of a server, which migrates under the same lock, waits for it in vain. */
async function lockOut(client: pg.Client, which: 'source' | 'target'): Promise<void> {
  const { rows } = await client.query('SELECT pg_try_advisory_lock($1) AS taken', [LOCK_KEY]);
  if (!rows[0].taken)
    throw new StorageRefused(`the ${which} is in use: another process starts or copies on it`);
}

/** Servers say who they are; one that has just stopped may be seen for a moment longer. */
async function assertNoServer(client: pg.Client): Promise<void> {
  for (let tries = 0; tries < GONE_TRIES; tries++) {
    const { rows } = await client.query(
      'SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1 LIMIT 1',
      [APPLICATION_NAME],
    );
    if (rows.length === 0) return;
    await client.query(`SELECT pg_sleep(${GONE_WAIT_SECONDS})`);
  }
  throw new StorageRefused('the source is in use: stop every server on it first');
}

async function appliedIn(client: pg.Client): Promise<Map<string, string> | null> {
  const { rows: found } = await client.query("SELECT to_regclass('schema_migrations') IS NOT NULL AS exists");
  if (!found[0].exists) return null;
  const { rows } = await client.query('SELECT id, checksum FROM schema_migrations');
  return new Map(rows.map(({ id, checksum }) => [id, checksum]));
}

async function insertRows(client: pg.Client, table: CopiedTable, rows: readonly CopiedRow[]): Promise<void> {
  const values: unknown[] = [];
  const tuples = rows.map((row) => {
    const places = row.map((value) => `$${values.push(typeof value === 'bigint' ? String(value) : value)}`);
    return `(${places.join(', ')})`;
  });
  // Numbers given by the source are kept, also where the database would always give its own.
  const into = `INSERT INTO "${table.name}" (${columnList(table)}) OVERRIDING SYSTEM VALUE`;
  await client.query(`${into} VALUES ${tuples.join(', ')}`, values);
}

interface DayColumn {
  readonly index: number;
  readonly made: Set<number>;
}

async function dayColumnOf(client: pg.Client, table: CopiedTable): Promise<DayColumn> {
  const { rows } = await client.query(
    `SELECT a.attname AS name FROM pg_partitioned_table p
     JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0] WHERE p.partrelid = $1::regclass`,
    [`"${table.name}"`],
  );
  return { index: table.columns.findIndex(({ name }) => name === rows[0].name), made: new Set() };
}

interface Reference {
  readonly table: string;
  readonly name: string;
  readonly definition: string;
}

/** Rows come in no order of their references, within one table neither; they are checked at the end. */
async function dropReferences(client: pg.Client, tables: readonly CopiedTable[]): Promise<Reference[]> {
  const { rows } = await client.query<Reference>(
    `SELECT conrelid::regclass::text AS "table", conname AS name, pg_get_constraintdef(pg_constraint.oid) AS definition
     FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
     WHERE contype = 'f' AND conparentid = 0 AND connamespace = current_schema()::regnamespace AND relname = ANY ($1)`,
    [tables.map(({ name }) => name)],
  );
  for (const { table, name } of rows) await client.query(`ALTER TABLE ${table} DROP CONSTRAINT "${name}"`);
  return rows;
}

interface Trigger {
  readonly table: string;
  readonly name: string;
  /** As `pg_trigger.tgenabled` has it. */
  readonly enabled: keyof typeof ENABLE;
}

const ENABLE = { O: 'ENABLE', A: 'ENABLE ALWAYS', R: 'ENABLE REPLICA' } as const;

/** What they would do at a copied row was done when it was written first. */
async function disableTriggers(client: pg.Client, tables: readonly CopiedTable[]): Promise<Trigger[]> {
  const { rows } = await client.query<Trigger>(
    `SELECT tgrelid::regclass::text AS "table", tgname AS name, tgenabled AS enabled
     FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
     WHERE NOT tgisinternal AND tgparentid = 0 AND tgenabled <> 'D'
       AND relnamespace = current_schema()::regnamespace AND relname = ANY ($1)`,
    [tables.map(({ name }) => name)],
  );
  for (const { table, name } of rows) await client.query(`ALTER TABLE ${table} DISABLE TRIGGER "${name}"`);
  return rows;
}

/** That of an identity column, or the one that the column's default takes its numbers from. */
async function sequenceOf(client: pg.Client, table: CopiedTable): Promise<string> {
  const { rows } = await client.query(
    `SELECT coalesce(pg_get_serial_sequence($1, $2), (
       SELECT s.oid::regclass::text FROM pg_attrdef d
       JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
       JOIN pg_depend n ON n.classid = 'pg_attrdef'::regclass AND n.objid = d.oid
       JOIN pg_class s ON s.oid = n.refobjid AND s.relkind = 'S'
       WHERE d.adrelid = $1::regclass AND a.attname = $2)) AS name`,
    [`"${table.name}"`, table.numberedColumn],
  );
  return rows[0].name;
}

function endOf(client: pg.Client): CopyEnd {
  return {
    async *read(table) {
      // The source is in its transaction already, which its one snapshot is bound to.
      const isOpen = client.getTransactionStatus() === 'T';
      if (!isOpen) await client.query('BEGIN');
      await client.query(
        `DECLARE copied NO SCROLL CURSOR FOR SELECT ${columnList(table)} FROM "${table.name}"`,
      );
      let limit = BATCH_ROWS_FIRST;
      for (;;) {
        const result = await client.query({ text: `FETCH ${limit} FROM copied`, rowMode: 'array' });
        const rows = result.rows as unknown as CopiedRow[];
        if (rows.length === 0) break;
        yield rows;
        limit = nextBatchRows(limit, rows);
      }
      await client.query('CLOSE copied');
      if (!isOpen) await client.query('COMMIT');
    },
    async lastNumber(table) {
      const { rows } = await client.query(
        `SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS last FROM ${await sequenceOf(client, table)}`,
      );
      return rows[0].last;
    },
    close: () => client.end(),
  };
}
