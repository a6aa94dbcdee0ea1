import { isIPv6 } from 'node:net';
import { PostgresAdapter, PostgresQueryCompiler } from 'kysely';
import pg from 'pg';
import { assertIdentifier } from './binding.js';
import type { Insertion } from './database.js';
import {
  databaseUnavailable,
  type Engine,
  type Row,
  type Session,
  type Statement,
  StatementFailure,
  type StatementResult,
  type StorageLogger,
} from './engine.js';
import { postgresAddress } from './postgres-address.js';
import { DatabaseUnreachable, endsConnection, postgresFailure } from './postgres-errors.js';
import { insertGroups } from './postgres-insert.js';
import { SerializationFailure, TRANSACTION_LIMIT_MS } from './transaction.js';

export const APPLICATION_NAME = 'knoxcall';
const VERSION_MIN = 150_000;
export const CONNECT_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 5_000;
/** The answer to a statement that the server has ended must arrive; without it the connection is dropped. */
const ANSWER_TIMEOUT_MS = 8_000;
const WAITING_MAX = 1_000;
/** Runs of one transaction; from the third on it runs alone, since others would overtake it again and again. */
const ATTEMPTS_MAX = 12;
const FREE_ATTEMPTS = 2;
/**
 * Every transaction of every process locks this table, those of the same mode together. LOCK TABLE takes no snapshot, as
 * an advisory lock would: who has waited sees what the others committed.
 */
const TOGETHER = 'LOCK TABLE schema_migrations IN ROW SHARE MODE';
const ALONE = 'LOCK TABLE schema_migrations IN EXCLUSIVE MODE';

const OID = { bool: 16, int8: 20, numeric: 1700 };

export interface PostgresEngine extends Engine {
  /** A transaction on a connection of its own, without the usual time limits; for migrations only. */
  maintain<T>(work: (client: pg.Client) => Promise<T>): Promise<T>;
}

export interface PostgresOptions {
  readonly url: string;
  readonly poolMax: number;
  readonly logger: StorageLogger | undefined;
  readonly isReadOnly?: boolean;
}

export async function openPostgres({
  url,
  poolMax,
  logger,
  isReadOnly,
}: PostgresOptions): Promise<PostgresEngine> {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolMax,
    application_name: APPLICATION_NAME,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: 30_000,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    keepAlive: true,
    types: { getTypeParser: parserOf },
    ...(isReadOnly && { options: '-c default_transaction_read_only=on' }),
  });
  // Without a listener a connection that the server ends would end the process.
  pool.on('error', (error) =>
    logger?.warn({ err: postgresFailure(error, '') }, 'an idle database connection ended'),
  );
  pool.on('connect', (client) => client.on('error', () => {}));
  const connect = connectionsOf(pool);
  const line = createLine();

  const engine: PostgresEngine = {
    dialect: 'postgres',
    adapter: new PostgresAdapter(),
    createCompiler: () => new PostgresQueryCompiler(),
    run: (statement) =>
      withRetry(line, () => use(connect, statement.table, (client) => query(client, statement))),
    transaction: (attempt) =>
      withRetry(line, async (isAlone) => {
        const client = await connect();
        const session = await beginSession(client, 'SERIALIZABLE', isAlone ? ALONE : TOGETHER);
        return attempt(session);
      }),
    async exclusively(name, attempt) {
      const session = await beginSession(await connect(), 'READ COMMITTED');
      try {
        if (!(await session.claim(name))) {
          await session.rollback();
          return null;
        }
      } catch (error) {
        await session.rollback();
        throw error;
      }
      return attempt(session);
    },
    changeMark: () => null,
    insertGroups: (_file, groups) => insertWithRetry(line, connect, groups),
    maintain: (work) => maintain(url, work),
    async scrub(table) {
      assertIdentifier(table);
      await use(connect, table, (client) => client.query(`VACUUM "${table}"`));
    },
    async ping() {
      await use(connect, '', (client) => client.query('SELECT 1'));
    },
    close: () => pool.end(),
  };
  try {
    await reachServer(pool, url);
    await use(connect, '', assertServer);
  } catch (error) {
    await pool.end();
    throw error;
  }
  return engine;
}

async function maintain<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    application_name: APPLICATION_NAME,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    types: { getTypeParser: parserOf },
  });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } finally {
    // Ends the transaction as well, where it has failed.
    await client.end();
  }
}

async function reachServer(pool: pg.Pool, url: string): Promise<void> {
  try {
    (await pool.connect()).release();
  } catch (error) {
    const { address, port } = postgresAddress(url);
    throw new DatabaseUnreachable(`${isIPv6(address) ? `[${address}]` : address}:${port}`, error);
  }
}

async function assertServer(client: pg.PoolClient): Promise<void> {
  const { rows } = await client.query(
    "SELECT current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding",
  );
  const { version, encoding } = rows[0] as { version: string; encoding: string };
  if (Number(version) < VERSION_MIN)
    throw new StatementFailure('', version, 'PostgreSQL 15 or newer is needed');
  if (encoding !== 'UTF8')
    throw new StatementFailure('', encoding, 'the database must have the encoding UTF8');
}

type Connect = () => Promise<pg.PoolClient>;

/**
 * When one connection is lost, those made before it are not used again: after a network has gone silent each of them
 * would cost its call the whole wait for an answer, long after the database is back.
 */
function connectionsOf(pool: pg.Pool): Connect {
  let trusted = new WeakSet<pg.PoolClient>();
  pool.on('connect', (client) => trusted.add(client));
  pool.on('release', (error, client) => {
    if (error && trusted.has(client)) trusted = new WeakSet();
  });
  return async () => {
    if (pool.waitingCount >= WAITING_MAX)
      throw databaseUnavailable('too many wait for a database connection');
    try {
      for (;;) {
        const client = await pool.connect();
        if (trusted.has(client)) return client;
        client.release(true);
      }
    } catch (error) {
      throw postgresFailure(error, '');
    }
  };
}

async function use<T>(
  connect: Connect,
  table: string,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await connect();
  try {
    const result = await work(client);
    client.release();
    return result;
  } catch (error) {
    client.release(endsConnection(error));
    throw postgresFailure(error, table);
  }
}

async function query(client: pg.PoolClient, statement: Statement): Promise<StatementResult> {
  const { name, sql, parameters } = statement;
  const values = [...parameters];
  const result = await client.query<Row>(name ? { name, text: sql, values } : { text: sql, values });
  return { rows: result.rows, changes: result.rowCount ?? 0 };
}

interface PostgresSession extends Session {
  /** An advisory lock until the end of the transaction, so that it ends with its connection at the latest. */
  claim(name: string): Promise<boolean>;
}

/** The level by name; the server ends a statement that outlives the transaction's own limit. */
async function beginSession(
  client: pg.PoolClient,
  isolation: 'SERIALIZABLE' | 'READ COMMITTED',
  lock?: string,
): Promise<PostgresSession> {
  // One statement at a time: the driver's own queue is on its way out.
  let last: Promise<unknown> = Promise.resolve();
  let released = false;
  let lost = false;

  function inTurn<T>(table: string, work: () => Promise<T>): Promise<T> {
    const turn = last.then(async () => {
      try {
        return await work();
      } catch (error) {
        lost ||= endsConnection(error);
        throw postgresFailure(error, table);
      }
    });
    last = turn.catch(() => {});
    return turn;
  }

  function release(broken: boolean): void {
    if (!released) client.release(broken);
    released = true;
  }

  try {
    await client.query(
      `BEGIN ISOLATION LEVEL ${isolation}; ${lock ? `${lock}; ` : ''}SET LOCAL statement_timeout = ${TRANSACTION_LIMIT_MS}`,
    );
  } catch (error) {
    release(true);
    throw postgresFailure(error, '');
  }
  return {
    run: (statement) => inTurn(statement.table, () => query(client, statement)),
    async claim(name) {
      const sql = 'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS taken';
      const { rows } = await inTurn('', () => client.query<{ taken: number }>(sql, [`knoxcall ${name}`]));
      return rows[0]?.taken === 1;
    },
    async lock(table, id) {
      assertIdentifier(table);
      await inTurn(table, () => client.query(`SELECT 1 FROM "${table}" WHERE id = $1 FOR UPDATE`, [id]));
    },
    async commit() {
      await inTurn('', () => client.query('COMMIT'));
      release(false);
    },
    async rollback() {
      await last;
      // Its answer would not come either; the server rolls back what has lost its connection.
      if (lost) return release(true);
      try {
        await inTurn('', () => client.query('ROLLBACK'));
        release(false);
      } catch {
        release(true);
      }
    },
  };
}

async function insertWithRetry(
  line: Line,
  connect: Connect,
  groups: readonly (readonly Insertion[])[],
): Promise<readonly (Error | undefined)[]> {
  return withRetry(line, () => use(connect, '', (client) => insertGroups(client, groups)));
}

type Line = <T>(work: () => Promise<T>) => Promise<T>;

/** One after the other, in the order of coming. */
function createLine(): Line {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  };
}

/** In this process those that failed stand in a line: more than one connection has no use for the lock. */
async function withRetry<T>(line: Line, attempt: (isAlone: boolean) => Promise<T>): Promise<T> {
  for (let run = 1; ; run++) {
    try {
      return await (run <= FREE_ATTEMPTS ? attempt(false) : line(() => attempt(true)));
    } catch (error) {
      if (!(error instanceof SerializationFailure)) throw error;
      if (run >= ATTEMPTS_MAX)
        throw databaseUnavailable(`a transaction failed ${run} times: ${error.message}`);
    }
  }
}

/** Rows come back as they do from SQLite: whole numbers as numbers, truth as 0 and 1. */
function parserOf(oid: number, format?: 'text' | 'binary'): (text: string) => unknown {
  switch (oid) {
    case OID.int8:
      return safeInteger;
    case OID.numeric:
      return (text) => (/^-?\d+$/.test(text) ? safeInteger(text) : Number(text));
    case OID.bool:
      return (text) => (text === 't' ? 1 : 0);
    default:
      return pg.types.getTypeParser(oid, format ?? 'text');
  }
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new StatementFailure('', 'range', 'an integer read is not a safe number');
  return value;
}
