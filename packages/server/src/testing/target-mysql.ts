import { readFileSync } from 'node:fs';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import { describe } from 'vitest';
import type { EngineTarget } from '../capabilities/dyn-db/providers/engine.js';
import { Secret } from '../kernel/secret.js';
import { systemRandom } from '../platform/crypto/random.js';

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
export async function openTargetMysql(admin: 'root-like' | 'least'): Promise<TargetMysql> {
  const server = new URL(process.env.TEST_MYSQL_URL ?? '');
  const caFile = server.searchParams.get('ssl-ca');
  const [host, port] = [server.hostname, Number(server.port || 3306)];
  const tag = systemRandom.bytes(4).toString('hex');
  const database = `target_${tag}`;
  const [adminName, powerlessName] = [`target_admin_${tag}`, `target_powerless_${tag}`];
  const [adminPassword, powerlessPassword] = [`Adm1n${tag}Adm1n${tag}`, `P0wer${tag}less${tag}`];

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
  await run(`CREATE USER ${adminName} IDENTIFIED BY '${adminPassword}'`);
  await run(`CREATE USER ${powerlessName} IDENTIFIED BY '${powerlessPassword}'`);
  if (admin === 'root-like') {
    await run(`GRANT ALL PRIVILEGES ON *.* TO ${adminName} WITH GRANT OPTION`);
  } else {
    for (const right of LEAST_RIGHTS) await run(`GRANT ${right} TO ${adminName}`);
    await run(
      `GRANT ALL PRIVILEGES ON \`${database.replace('_', '\\_')}\`.* TO ${adminName} WITH GRANT OPTION`,
    );
  }

  const targetOf = (adminUsername: string, password: string): EngineTarget => ({
    host,
    port,
    database,
    adminUsername,
    adminPassword: new Secret(password),
    sslMode: 'prefer',
    sslCa: null,
    connectTimeoutMs: 10_000,
    statementTimeoutMs: 10_000,
    authSource: null,
    replicaSet: null,
  });

  return {
    target: targetOf(adminName, adminPassword),
    powerless: targetOf(powerlessName, powerlessPassword),
    database,
    serverCa: caFile === null ? null : readFileSync(caFile, 'utf8'),
    run,
    logIn: (username, password) => open(username, password.reveal(), database),
    async cleanup() {
      await run(`DROP DATABASE \`${database}\``);
      await run(`DROP USER ${adminName}, ${powerlessName}`);
    },
  };
}
