import { readFileSync } from 'node:fs';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import { describe } from 'vitest';
import type { EngineTarget } from '../capabilities/dyn-db/providers/engine.js';
import type { Secret } from '../kernel/secret.js';
import { newGuests } from './targets.js';

/** For what only MariaDB or MySQL has; suites share the server and keep to names of their own. */
export function onMysql(suite: () => void): void {
  const run = process.env.TEST_MYSQL_URL ? describe : describe.skip;
  run(
    `on MariaDB or MySQL${process.env.TEST_MYSQL_URL ? '' : ' (skipped: TEST_MYSQL_URL is not set)'}`,
    suite,
  );
}

/** A database with an admin of its own on the server that TEST_MYSQL_URL names: a customer's, not the product's. */
export interface TargetMysql {
  readonly target: EngineTarget;
  /** May log in and nothing else. */
  readonly powerless: EngineTarget;
  readonly database: string;
  /** PEM of the authority of the server's certificate; null where it is not known. */
  readonly serverCa: string | null;
  /** As the URL's user, who may do everything; each row's first value. */
  run(sql: string): Promise<unknown[]>;
  /** Rejects where the server refuses. */
  logIn(username: string, password: Secret<string>): Promise<Connection>;
  cleanup(): Promise<void>;
}

/** What the documents name: nothing on the tables of the server but that it may read who its users are. */
const LEAST_RIGHTS = ['CREATE USER, CONNECTION ADMIN ON *.*', 'SELECT ON mysql.user'] as const;

/** `least` is what a careful operator gives; its database's name would match others, were it not escaped. */
export async function openTargetMysql(rights: 'root-like' | 'least'): Promise<TargetMysql> {
  const server = new URL(process.env.TEST_MYSQL_URL ?? '');
  const caFile = server.searchParams.get('ssl-ca');
  const [host, port] = [server.hostname, Number(server.port || 3306)];
  const { database, admin, powerless } = newGuests({ host, port });

  async function open(user: string, password: string, name?: string): Promise<Connection> {
    const options = { host, port, user, password, ...(name === undefined ? {} : { database: name }) };
    const connection = await mysql.createConnection(options);
    connection.on('error', () => {});
    return connection;
  }

  async function run(sql: string): Promise<unknown[]> {
    const connection = await open(decodeURIComponent(server.username), decodeURIComponent(server.password));
    try {
      const [rows] = await connection.query<RowDataPacket[]>({ sql, rowsAsArray: true });
      return Array.isArray(rows) ? rows.map((row) => (row as unknown as unknown[])[0]) : [];
    } finally {
      await connection.end();
    }
  }

  await run(`CREATE DATABASE \`${database}\``);
  for (const { name, password } of [admin, powerless])
    await run(`CREATE USER ${name} IDENTIFIED BY '${password}'`);
  if (rights === 'root-like') {
    await run(`GRANT ALL PRIVILEGES ON *.* TO ${admin.name} WITH GRANT OPTION`);
  } else {
    for (const right of LEAST_RIGHTS) await run(`GRANT ${right} TO ${admin.name}`);
    await run(
      `GRANT ALL PRIVILEGES ON \`${database.replace('_', '\\_')}\`.* TO ${admin.name} WITH GRANT OPTION`,
    );
  }

  return {
    target: admin.target,
    powerless: powerless.target,
    database,
    serverCa: caFile === null ? null : readFileSync(caFile, 'utf8'),
    run,
    logIn: (username, password) => open(username, password.reveal(), database),
    async cleanup() {
      await run(`DROP DATABASE \`${database}\``);
      await run(`DROP USER ${admin.name}, ${powerless.name}`);
    },
  };
}
