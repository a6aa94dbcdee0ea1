// The databases of the comparison of dynamic credentials: those that users are made in, and those that leases are kept in.
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import pg from 'pg';

const GROUPED_AT_ONCE = 1_000;

/** A PostgreSQL that users are made in. `run` has a session of its own. */
export async function openTarget(url, database) {
  const server = new pg.Client({ connectionString: url });
  await server.connect();
  await server.query(`DROP DATABASE IF EXISTS ${database}`);
  await server.query(`CREATE DATABASE ${database}`);
  await server.end();
  const { hostname, port, username, password } = new URL(url);
  const login = { host: hostname, port: Number(port), user: username, password, database, ssl: false };
  const session = await logIn(login);
  const run = async (text, values) => (await session.query(text, values)).rows;
  await run('CREATE TABLE things (n integer)');
  return { login, run, close: () => session.end() };
}

export async function logIn(login) {
  const client = new pg.Client(login);
  // Users are dropped with their sessions: the next query tells of it.
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** As a mint makes them, with the stored form of a password in place of one that the server would have to hash. */
export async function makeUsers({ run }, count, nameOf, { group, verifier }) {
  for (let from = 1; from <= count; from += GROUPED_AT_ONCE) {
    const names = Array.from({ length: Math.min(GROUPED_AT_ONCE, count - from + 1) }, (_, n) =>
      nameOf(from + n),
    );
    const statements = names.map(
      (name) =>
        `CREATE ROLE "${name}" WITH LOGIN PASSWORD '${verifier}' VALID UNTIL '2099-01-01' IN ROLE "${group}"`,
    );
    await run(statements.join(';'));
  }
  // What earlier users left behind in the catalogue is not the next ones' to walk over.
  for (const table of ['pg_authid', 'pg_auth_members', 'pg_shdepend']) await run(`VACUUM ANALYZE ${table}`);
}

export async function usersLeft({ run }, prefix) {
  const [{ n }] = await run('SELECT count(*)::int AS n FROM pg_authid WHERE starts_with(rolname, $1)', [
    prefix,
  ]);
  return n;
}

/** Takes every connection and never says a word. */
export async function openSilent() {
  const sockets = new Set();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Statements on the server's own database, while it is stopped. */
export async function changeStore({ dataDir, storeUrl }, act) {
  if (storeUrl === null) {
    const db = new DatabaseSync(join(dataDir, 'knox.db'));
    try {
      return await act(async (text) => db.prepare(text).all());
    } finally {
      db.close();
    }
  }
  const client = new pg.Client({ connectionString: storeUrl });
  await client.connect();
  try {
    return await act(async (text) => (await client.query(text)).rows);
  } finally {
    await client.end();
  }
}

/** So many more of one lease that was minted, with other values where `values` has SQL of `n`, their number. */
export async function copyLease(run, id, count, values) {
  const [lease] = await run(`SELECT * FROM dyn_db_leases WHERE id = ${id}`);
  const columns = Object.keys(lease).filter((column) => column !== 'id');
  const selected = columns.map((column) => values[column] ?? column);
  await run(
    `WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < ${count})
     INSERT INTO dyn_db_leases (${columns.join(', ')})
     SELECT ${selected.join(', ')} FROM dyn_db_leases, series WHERE id = ${id}`,
  );
}
