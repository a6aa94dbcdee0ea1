import type pg from 'pg';
import { describe } from 'vitest';
import { systemClock } from '../../../../kernel/clock.js';
import { onPostgres } from '../../../../testing/databases.js';
import { openTargetPostgres } from '../../../../testing/target-postgres.js';
import { type Act, type EngineFixture, engineContract } from '../engine.contract.js';
import { createPostgresEngine } from './engine.js';

const READS: Act<pg.Client>[] = [
  statement('SELECT * FROM items'),
  statement('SELECT * FROM app.orders'),
  statement('SELECT * FROM app.order_view'),
];
const WRITES: Act<pg.Client>[] = [
  statement("INSERT INTO items (name) VALUES ('x')"),
  statement("UPDATE items SET name = 'y'"),
  statement('DELETE FROM items'),
  statement("INSERT INTO app.orders (note) VALUES ('x')"),
];
const REFUSED: Act<pg.Client>[] = [
  statement('TRUNCATE items'),
  statement('CREATE TABLE public.mine (id int)'),
  statement('CREATE SCHEMA mine'),
  statement('ALTER TABLE items ADD COLUMN more int'),
  statement('DROP TABLE items'),
  statement('CREATE ROLE kc_user_other'),
  statement('CREATE DATABASE mine'),
  statement('ALTER TABLE items OWNER TO CURRENT_USER'),
  statement('ALTER ROLE CURRENT_USER CREATEROLE'),
  statement("ALTER ROLE CURRENT_USER SET log_statement = 'none'"),
  statement('SELECT * FROM pg_authid'),
  statement("COPY items TO '/dev/null'"),
  statement("SELECT pg_read_file('postgresql.conf')"),
];

function statement(sql: string): Act<pg.Client> {
  return { title: sql, run: (guest) => guest.query(sql) };
}

async function openFixture(admin: 'superuser' | 'createrole'): Promise<EngineFixture<pg.Client>> {
  const server = await openTargetPostgres(admin);
  const { target, run } = server;
  const database = target.database ?? '';
  const owner = target.adminUsername;
  const inDatabase = (sql: string) => run(sql, database);
  await inDatabase(`SET ROLE ${owner};
    CREATE TABLE items (id serial PRIMARY KEY, name text);
    CREATE SCHEMA app;
    CREATE TABLE app.orders (id bigserial PRIMARY KEY, note text);
    CREATE VIEW app.order_view AS SELECT id FROM app.orders;
    RESET ROLE; CREATE SCHEMA workshop; GRANT CREATE, USAGE ON SCHEMA workshop TO PUBLIC`);
  return {
    engine: createPostgresEngine(systemClock),
    target,
    powerless: { target: server.powerless, hint: /^ALTER ROLE "target_powerless_\w+" CREATEROLE$/ },
    customStatements: {
      creation: `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';
        GRANT CONNECT ON DATABASE "{{database}}" TO {{username}};
        GRANT USAGE ON SCHEMA app TO {{username}};
        GRANT SELECT ON ALL TABLES IN SCHEMA public, app TO {{username}}`,
      revocation: 'DROP OWNED BY {{username}}; DROP ROLE {{username}}',
    },
    acts: {
      readonly: { allowed: READS, refused: [...WRITES, ...REFUSED] },
      readwrite: { allowed: [...READS, ...WRITES], refused: REFUSED },
    },
    rolesNotEnforced: null,
    expiresByItself: true,
    ownership: {
      make: async (guest) => {
        await guest.query('CREATE TABLE workshop.made (id int); INSERT INTO workshop.made VALUES (7)');
      },
      isThere: async () => (await inDatabase('SELECT * FROM workshop.made')).length === 1,
    },
    logIn: (username, password) => server.logIn(username, password),
    userExists: async (username) =>
      (await run(`SELECT FROM pg_roles WHERE rolname = '${username}'`)).length > 0,
    makeHalfUser: async (username) => {
      await run(`SET ROLE ${owner}; CREATE ROLE ${username} LOGIN`);
    },
    groupRoleExists: async (name) => (await run(`SELECT FROM pg_roles WHERE rolname = '${name}'`)).length > 0,
    cleanup: () => server.cleanup(),
  };
}

onPostgres(() => {
  describe('the engine postgres', () => {
    engineContract('with an admin who is superuser', () => openFixture('superuser'));
    engineContract('with an admin who has CREATEROLE', () => openFixture('createrole'));
  });
});
