import pg from 'pg';
import type { EngineTarget } from '../capabilities/dyn-db/providers/engine.js';
import { Secret } from '../kernel/secret.js';
import { systemRandom } from '../platform/crypto/random.js';

/** A database with an admin of its own on the server that TEST_DATABASE_URL names: a customer's, not the product's. */
export interface TargetPostgres {
  readonly target: EngineTarget;
  /** May log in and nothing else. */
  readonly powerless: EngineTarget;
  /** As the superuser of the server. */
  run<T extends pg.QueryResultRow = pg.QueryResultRow>(sql: string, database?: string): Promise<T[]>;
  /** Rejects where the server refuses. */
  logIn(username: string, password: Secret<string>, database?: string): Promise<pg.Client>;
  cleanup(): Promise<void>;
}

/** `createrole` is what the admin of a managed server is: no superuser, owner of its database, CREATEROLE. */
export async function openTargetPostgres(admin: 'superuser' | 'createrole'): Promise<TargetPostgres> {
  const server = new URL(process.env['TEST_DATABASE_URL'] ?? '');
  const tag = systemRandom.bytes(4).toString('hex');
  const database = `target_${tag}`;
  const [adminName, powerlessName] = [`target_admin_${tag}`, `target_powerless_${tag}`];
  const [adminPassword, powerlessPassword] = [`Adm1n${tag}Adm1n${tag}`, `P0wer${tag}less${tag}`];

  async function run<T extends pg.QueryResultRow>(sql: string, name = 'postgres'): Promise<T[]> {
    const url = new URL(server);
    url.pathname = `/${name}`;
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    try {
      return (await client.query<T>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  const rights = admin === 'superuser' ? 'SUPERUSER' : 'NOSUPERUSER CREATEROLE';
  await run(`CREATE ROLE ${adminName} LOGIN ${rights} PASSWORD '${adminPassword}'`);
  await run(`CREATE ROLE ${powerlessName} LOGIN PASSWORD '${powerlessPassword}'`);
  await run(`CREATE DATABASE ${database} TEMPLATE template0 OWNER ${adminName}`);

  const targetOf = (adminUsername: string, password: string): EngineTarget => ({
    host: server.hostname,
    port: Number(server.port || 5432),
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
  const target = targetOf(adminName, adminPassword);

  return {
    target,
    powerless: targetOf(powerlessName, powerlessPassword),
    run,
    async logIn(username, password, name = database) {
      const { host, port } = target;
      const client = new pg.Client({
        host,
        port,
        database: name,
        user: username,
        password: password.reveal(),
      });
      client.on('error', () => {});
      try {
        await client.connect();
      } catch (error) {
        await client.end();
        throw error;
      }
      return client;
    },
    async cleanup() {
      await run(`DROP DATABASE ${database} WITH (FORCE)`);
      await run(`DROP OWNED BY ${adminName}`);
      await run(`DROP ROLE ${adminName}, ${powerlessName}`);
    },
  };
}
