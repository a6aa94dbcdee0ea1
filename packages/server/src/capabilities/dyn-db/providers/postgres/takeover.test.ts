import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../kernel/clock.js';
import { systemRandom } from '../../../../platform/crypto/random.js';
import { onPostgres } from '../../../../testing/databases.js';
import { openTargetPostgres, type TargetPostgres } from '../../../../testing/target-postgres.js';
import { generateUsername } from '../../statements/names.js';
import { generatePassword } from '../../statements/password.js';
import { dialingTransport } from '../engine.contract.js';
import type { EngineSession, GroupRole, MintedUser, RoleStatements } from '../engine.js';
import { createPostgresEngine } from './engine.js';

const engine = createPostgresEngine(systemClock);
const custom = (creation: string): RoleStatements => ({
  creation,
  revocation: "SELECT '{{username}}'",
  group: null,
});
const PLAIN = custom(`CREATE ROLE {{username}} LOGIN PASSWORD '{{password}}'`);
/** As every user could before PostgreSQL 15, and can in databases that were upgraded since. */
const MAKER = custom(`${PLAIN.creation}; GRANT CREATE ON SCHEMA public TO {{username}}`);

/** Which of the functions and operators that our own statements use a closer match stands for, and what it gives back. */
const TRAPS: readonly (readonly [signature: string, returns: string, result: string])[] = [
  ['has_database_privilege(name, text)', 'boolean', 'true'],
  ['has_database_privilege(name, name, text)', 'boolean', 'true'],
  ['format(text, name)', 'text', "'trapped'"],
  ['format(text, name, name)', 'text', "'trapped'"],
  ['pg_column_size(aclitem[])', 'int', '1'],
  ['unlike(name, name)', 'boolean', 'true'],
  ['same(oid, regclass)', 'boolean', 'true'],
];

/** A minted user who wants to stay, or to be the admin. */
function suite(kind: 'superuser' | 'createrole'): void {
  let server: TargetPostgres;
  let admin: EngineSession;
  const users: (readonly [MintedUser, RoleStatements])[] = [];

  beforeAll(async () => {
    server = await openTargetPostgres(kind);
    await inDatabase(`CREATE TABLE secrets (text text); INSERT INTO secrets VALUES ('of the admin');
      ALTER TABLE secrets OWNER TO ${server.target.adminUsername};
      CREATE TABLE trapped (who text); GRANT INSERT ON trapped TO PUBLIC`);
  });
  beforeEach(async () => {
    admin = await engine.connect(server.target, dialingTransport(), new AbortController().signal);
  });
  afterEach(async () => {
    for (const [user, statements] of users.splice(0)) await admin.dropUser(user.username, statements);
    await admin.close();
  });
  afterAll(() => server.cleanup());

  const inDatabase = (sql: string) => server.run(sql, server.target.database ?? '');

  async function mint(statements: RoleStatements): Promise<MintedUser> {
    const user = {
      username: generateUsername(systemRandom),
      password: generatePassword(systemRandom),
      expiresAtMs: Date.now() + 3_600_000,
    };
    await admin.createUser(user, statements);
    users.push([user, statements]);
    return user;
  }

  async function runAs({ username, password }: MintedUser, sql: string): Promise<unknown[]> {
    const guest = await server.logIn(username, password);
    try {
      return (await guest.query(sql)).rows;
    } finally {
      await guest.end();
    }
  }

  it('has the admin run nothing that it made in the place of functions of the server', async () => {
    const user = await mint(MAKER);
    const traps = TRAPS.map(
      ([signature, returns, result]) =>
        `CREATE FUNCTION public.${signature} RETURNS ${returns} LANGUAGE plpgsql AS
           $$ BEGIN INSERT INTO public.trapped VALUES (current_user); RETURN ${result}; END $$`,
    );
    await runAs(
      user,
      `${traps.join(';')};
       CREATE OPERATOR public.!~ (leftarg = name, rightarg = name, function = public.unlike);
       CREATE OPERATOR public.= (leftarg = oid, rightarg = regclass, function = public.same)`,
    );
    const group: GroupRole = {
      name: `kc_tpl_readonly_${systemRandom.bytes(4).toString('hex')}`,
      template: 'readonly',
      schemas: null,
    };
    await admin.missingGrant();
    await admin.ensureGroupRole(group);
    await admin.warnings();
    await mint(PLAIN);
    await mint({ ...engine.templateStatements(group, null), group });
    for (const [{ username }, statements] of users.splice(0)) await admin.dropUser(username, statements);
    await admin.dropGroupRole(group);
    expect(await inDatabase('SELECT DISTINCT who FROM trapped')).toEqual([]);
    await inDatabase(
      `DROP OPERATOR public.!~ (name, name); DROP OPERATOR public.= (oid, regclass);
       ${TRAPS.map(([signature]) => `DROP FUNCTION public.${signature}`).join(';')}`,
    );
  });

  it('leaves tables that go on, and views and functions that may do nothing', async () => {
    const user = await mint(MAKER);
    await runAs(
      user,
      `CREATE TABLE kept AS SELECT 1 AS id;
       CREATE VIEW leaking AS SELECT * FROM secrets; GRANT SELECT ON leaking TO PUBLIC;
       CREATE FUNCTION leak() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT text FROM public.secrets';
       CREATE FUNCTION whose() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user::text'`,
    );
    await admin.dropUser(user.username, MAKER);
    const next = await mint(PLAIN);
    await expect(runAs(next, 'SELECT * FROM leaking')).rejects.toThrow('permission denied for table secrets');
    await expect(runAs(next, 'SELECT leak()')).rejects.toThrow('permission denied for table secrets');
    const [who] = (await runAs(next, 'SELECT whose() AS name')) as { name: string }[];
    expect(who?.name).toMatch(/^kc_estate_\d+$/);
    expect(
      await server.run(
        `SELECT rolcanlogin, rolsuper, has_schema_privilege(oid, 'public', 'CREATE') AS may_create FROM pg_roles WHERE rolname = '${who?.name}'`,
        server.target.database ?? '',
      ),
    ).toEqual([{ rolcanlogin: false, rolsuper: false, may_create: false }]);
    const asAdmin = `SET ROLE ${server.target.adminUsername};`;
    await inDatabase(`${asAdmin} INSERT INTO kept VALUES (2); DROP VIEW leaking; DROP FUNCTION leak, whose`);
    expect(await inDatabase('SELECT id FROM kept')).toHaveLength(2);
    await inDatabase('DROP TABLE kept');
  });

  it('gets no heir that could do something', async () => {
    const user = await mint(MAKER);
    await runAs(user, 'CREATE TABLE kept (id int)');
    const [{ name } = { name: '' }] = await server.run<{ name: string }>(
      `SELECT 'kc_estate_' || oid AS name FROM pg_roles WHERE rolname = '${server.target.adminUsername}'`,
    );
    const [known] = await server.run(`SELECT FROM pg_roles WHERE rolname = '${name}'`);
    await server.run(`${known ? 'ALTER' : 'CREATE'} ROLE ${name} CREATEDB`);
    await expect(admin.dropUser(user.username, MAKER)).rejects.toThrow(`role ${name}, which takes over`);
    await expect(runAs(user, 'SELECT 1')).rejects.toThrow('is not permitted to log in');
    await server.run(known ? `ALTER ROLE ${name} NOCREATEDB` : `DROP ROLE ${name}`);
    await admin.dropUser(user.username, MAKER);
    await inDatabase('DROP TABLE kept');
  });

  it('finds no password in what the admin has said', async () => {
    const said = async () =>
      (
        await server.run<{ query: string }>(
          `SELECT query FROM pg_stat_activity WHERE usename = '${server.target.adminUsername}'`,
        )
      )
        .map(({ query }) => query)
        .join();
    const group: GroupRole = {
      name: `kc_tpl_readonly_${systemRandom.bytes(4).toString('hex')}`,
      template: 'readonly',
      schemas: null,
    };
    await admin.ensureGroupRole(group);
    const user = await mint({ ...engine.templateStatements(group, null), group });
    expect(await said()).toMatch(/PASSWORD 'SCRAM-SHA-256\$4096:/);
    expect(await said()).not.toContain(user.password.reveal());
    expect(await runAs(user, 'SELECT 1')).toHaveLength(1);
    await admin.changeAdminPassword(server.target.adminPassword);
    expect(await said()).not.toContain(server.target.adminPassword.reveal());
    for (const [{ username }, statements] of users.splice(0)) await admin.dropUser(username, statements);
    await admin.dropGroupRole(group);
    const again = await engine.connect(server.target, dialingTransport(), new AbortController().signal);
    await again.close();
  });
}

onPostgres(() => {
  describe('of a superuser', () => suite('superuser'));
  describe('of an admin with CREATEROLE', () => suite('createrole'));
});
