import pg from 'pg';
import type { EngineTarget } from '../capabilities/dyn-db/providers/engine.js';
import type { Secret } from '../kernel/secret.js';
import { newGuests } from './targets.js';

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
export async function openTargetPostgres(rights: 'superuser' | 'createrole'): Promise<TargetPostgres> {
  const server = new URL(process.env['TEST_DATABASE_URL'] ?? '');
  const { hostname: host } = server;
  const port = Number(server.port || 5432);
  const { database, admin, powerless } = newGuests({ host, port });

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

  const attributes = rights === 'superuser' ? 'SUPERUSER' : 'NOSUPERUSER CREATEROLE';
  await run(`CREATE ROLE ${admin.name} LOGIN ${attributes} PASSWORD '${admin.password}'`);
  await run(`CREATE ROLE ${powerless.name} LOGIN PASSWORD '${powerless.password}'`);
  await run(`CREATE DATABASE ${database} TEMPLATE template0 OWNER ${admin.name}`);

  return {
    target: admin.target,
    powerless: powerless.target,
    run,
    async logIn(username, password, name = database) {
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
      const [heir] = await run<{ name: string }>(
        `SELECT 'kc_estate_' || oid AS name FROM pg_roles WHERE rolname = '${admin.name}'`,
      );
      await run(`DROP OWNED BY ${admin.name}`);
      await run(`DROP ROLE IF EXISTS ${heir?.name}`);
      await run(`DROP ROLE ${admin.name}, ${powerless.name}`);
    },
  };
}
