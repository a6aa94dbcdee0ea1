import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../kernel/clock.js';
import { AppError } from '../../../../kernel/errors.js';
import { systemRandom } from '../../../../platform/crypto/random.js';
import { onPostgres } from '../../../../testing/databases.js';
import { openTargetPostgres, type TargetPostgres } from '../../../../testing/target-postgres.js';
import { generateUsername } from '../../statements/names.js';
import { generatePassword } from '../../statements/password.js';
import { allTextOf, dialingTransport } from '../engine.contract.js';
import type { EngineSession, EngineTarget, GroupRole, MintedUser, RoleStatements } from '../engine.js';
import { createPostgresEngine } from './engine.js';

const engine = createPostgresEngine(systemClock);
const CREATE = `CREATE ROLE {{username}} LOGIN PASSWORD '{{password}}'`;

/** What only PostgreSQL has, for both kinds of admin; the rest is in the contract of the engines. */
function suite(kind: 'superuser' | 'createrole'): void {
  let server: TargetPostgres;
  let other: string;
  const closers: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    server = await openTargetPostgres(kind);
    other = `${server.target.database}_other`;
    await server.run(`CREATE DATABASE ${other} TEMPLATE template0 OWNER ${server.target.adminUsername}`);
    await inDatabase(
      `CREATE TABLE items (id serial PRIMARY KEY, name text); ALTER TABLE items OWNER TO ${server.target.adminUsername};
       CREATE SCHEMA "Odd ""name" AUTHORIZATION ${server.target.adminUsername}; CREATE SCHEMA foreign_one;
       CREATE TABLE foreign_one.theirs (id int)`,
    );
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  afterAll(async () => {
    await server.run(`DROP DATABASE ${other} WITH (FORCE)`);
    await server.cleanup();
  });

  const inDatabase = (sql: string, database = server.target.database ?? '') => server.run(sql, database);
  const asAdmin = (sql: string, database?: string) =>
    inDatabase(`SET ROLE ${server.target.adminUsername}; ${sql}`, database);

  async function session(changes: Partial<EngineTarget> = {}): Promise<EngineSession> {
    const target = { ...server.target, ...changes };
    const opened = await engine.connect(target, dialingTransport(), new AbortController().signal);
    closers.push(() => opened.close());
    return opened;
  }

  function templateOf(template: 'readonly' | 'readwrite', schemas: string[] | null = null) {
    const group: GroupRole = {
      name: `kc_tpl_${template}_${systemRandom.bytes(4).toString('hex')}`,
      template,
      schemas,
    };
    closers.push(async () => {
      await (await session()).dropGroupRole(group);
      expect(await server.run(`SELECT FROM pg_roles WHERE rolname = '${group.name}'`)).toEqual([]);
    });
    return { ...engine.templateStatements(group, null), group };
  }

  const custom = (creation: string, revocation = 'DROP ROLE {{username}}'): RoleStatements => {
    engine.checkStatements(creation, revocation);
    return { creation, revocation, group: null };
  };

  function newUser(): MintedUser {
    return {
      username: generateUsername(systemRandom),
      password: generatePassword(systemRandom),
      expiresAtMs: Date.now() + 3_600_000,
    };
  }

  async function mint(admin: EngineSession, statements: RoleStatements): Promise<MintedUser> {
    const user = newUser();
    await admin.createUser(user, statements);
    closers.push(async () => {
      const own = await session();
      await own.dropUser(user.username, statements);
      expect(await exists(user)).toBe(false);
    });
    return user;
  }

  const exists = async ({ username }: MintedUser) =>
    (await server.run(`SELECT FROM pg_roles WHERE rolname = '${username}'`)).length > 0;

  async function refusal(act: Promise<unknown>, secret?: MintedUser): Promise<AppError> {
    const error = await act.then(
      () => expect.fail('was not refused'),
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(AppError);
    for (const text of [server.target.adminPassword.reveal(), secret?.password.reveal()]) {
      if (text !== undefined) expect(allTextOf(error)).not.toContain(text);
    }
    return error as AppError;
  }

  async function rowsAs(user: MintedUser, sql: string, database?: string): Promise<unknown[]> {
    const guest = await server.logIn(user.username, user.password, database);
    try {
      return (await guest.query(sql)).rows;
    } finally {
      await guest.end();
    }
  }

  describe('a template', () => {
    it('covers what the admin makes later, and with a repair what others made', async () => {
      const admin = await session();
      const statements = templateOf('readonly');
      await admin.ensureGroupRole(statements.group);
      const user = await mint(admin, statements);
      const tag = systemRandom.bytes(4).toString('hex');
      await asAdmin(
        `CREATE TABLE later_${tag} (id int); CREATE SCHEMA s_${tag}; CREATE TABLE s_${tag}.t (id int)`,
      );
      await rowsAs(user, `SELECT * FROM later_${tag}, s_${tag}.t`);
      await inDatabase(
        `CREATE TABLE others_${tag} (id int); GRANT SELECT ON others_${tag} TO ${server.target.adminUsername} WITH GRANT OPTION`,
      );
      await expect(rowsAs(user, `SELECT * FROM others_${tag}`)).rejects.toThrow('permission denied');
      await admin.ensureGroupRole(statements.group);
      await rowsAs(user, `SELECT * FROM others_${tag}`);
      await inDatabase(`DROP TABLE others_${tag}; DROP SCHEMA s_${tag} CASCADE; DROP TABLE later_${tag}`);
    });

    it('with schemas is for these alone', async () => {
      const admin = await session();
      await asAdmin('CREATE TABLE IF NOT EXISTS "Odd ""name"."T;--" (id int)');
      const statements = templateOf('readonly', ['Odd "name']);
      await admin.ensureGroupRole(statements.group);
      const user = await mint(admin, statements);
      expect(await rowsAs(user, 'SELECT * FROM "Odd ""name"."T;--"')).toEqual([]);
      await expect(rowsAs(user, 'SELECT * FROM items')).rejects.toThrow('permission denied');
      const absent = templateOf('readonly', ['nowhere']);
      expect(await refusal(admin.ensureGroupRole(absent.group))).toMatchObject({ reason: '3F000' });
    });

    it('tells what the admin may not grant', async () => {
      const admin = await session();
      const statements = templateOf('readwrite');
      await asAdmin('GRANT CREATE ON SCHEMA public TO PUBLIC');
      await inDatabase('CREATE TABLE IF NOT EXISTS public.theirs (id int)');
      await admin.ensureGroupRole(statements.group);
      const warned = (await admin.warnings()).filter((text) => text.includes('public.theirs'));
      expect(warned).toHaveLength(kind === 'superuser' ? 0 : 1);
      const named = templateOf('readonly', ['foreign_one']);
      if (kind === 'superuser') await admin.ensureGroupRole(named.group);
      else {
        const error = await refusal(admin.ensureGroupRole(named.group));
        expect(error.message).toMatch(
          /GRANT USAGE ON SCHEMA "foreign_one" TO CURRENT_USER WITH GRANT OPTION/,
        );
      }
      await inDatabase('DROP TABLE public.theirs');
    });

    it('is not given through a role of that name that could do more', async () => {
      const admin = await session();
      const statements = templateOf('readonly');
      await server.run(`CREATE ROLE ${statements.group.name} CREATEDB`);
      const error = await refusal(admin.ensureGroupRole(statements.group));
      expect(error.message).toContain('attributes or memberships that no template gives');
      await server.run(`DROP ROLE ${statements.group.name}`);
    });

    it('of a connection that was moved leaves nothing in the database before', async () => {
      const statements = templateOf('readwrite');
      await (await session({ database: other })).ensureGroupRole(statements.group);
      const admin = await session();
      await admin.ensureGroupRole(statements.group);
      await admin.dropGroupRole(statements.group);
      expect(await server.run(`SELECT FROM pg_roles WHERE rolname = '${statements.group.name}'`)).toEqual([]);
    });
  });

  describe('the drop', () => {
    it('finds what the user owns and was granted in other databases', async () => {
      const admin = await session();
      const user = await mint(admin, custom(`${CREATE}; GRANT SELECT ON items TO {{username}}`));
      await asAdmin(`CREATE TABLE granted (id int); GRANT SELECT ON granted TO ${user.username}`, other);
      await inDatabase(`GRANT CREATE ON SCHEMA public TO ${user.username}`, other);
      await rowsAs(user, 'CREATE TABLE owned (id int)', other);
      await admin.dropUser(user.username, custom(CREATE));
      expect(await exists(user)).toBe(false);
      const [row] = await server.run<{ tableowner: string }>(
        "SELECT tableowner FROM pg_tables WHERE tablename = 'owned'",
        other,
      );
      expect(row?.tableowner).toMatch(/^kc_estate_\d+$/);
      await inDatabase('DROP TABLE owned, granted', other);
    });

    it.each([
      ['fails', 'DROP ROLE {{username}}; SELECT 1/0'],
      ['does not drop', "SELECT '{{username}}'"],
      ['takes too long', "SELECT pg_sleep(60), '{{username}}'"],
      ['would drop what the user owns', 'DROP OWNED BY {{username}} CASCADE'],
    ])('does it itself where the custom revocation %s', async (_, revocation) => {
      const admin = await session({ statementTimeoutMs: 1_000 });
      const statements = custom(CREATE, revocation);
      const user = await mint(admin, statements);
      const guest = await server.logIn(user.username, user.password);
      await admin.dropUser(user.username, statements);
      expect(await exists(user)).toBe(false);
      await expect(guest.query('SELECT 1')).rejects.toThrow();
      await guest.end();
    });

    it('leaves the next acts of the session as they were', async () => {
      const admin = await session();
      const group = custom(
        `${CREATE}; GRANT {{username}} TO CURRENT_USER; SET ROLE {{username}}; SET lock_timeout = 1`,
      );
      const user = await mint(admin, group);
      await admin.dropUser(user.username, group);
      expect(await exists(user)).toBe(false);
      await mint(admin, custom(CREATE));
    });
  });

  describe('custom statements', () => {
    it.each([
      ['one fails', `${CREATE}; SELECT 1/0`, '22012'],
      ['one is none', `${CREATE}; NONSENSE '{{password}}'`, '42601'],
      ['one tells the password', `${CREATE}; DO $$ BEGIN RAISE EXCEPTION 'is {{password}}'; END $$`, 'P0001'],
      [
        'one tells all',
        `${CREATE}; DO $x$ BEGIN RAISE EXCEPTION '%', $y$ {{password}} $y$; END $x$`,
        'P0001',
      ],
      [
        'one tells it folded',
        `${CREATE}; DO $$ BEGIN RAISE EXCEPTION '%', upper('{{password}}'); END $$`,
        'P0001',
      ],
      ['no user is made', `DO $$ BEGIN PERFORM '{{username}}{{password}}'; END $$`, 'no_user'],
      ['it may not log in', `CREATE ROLE {{username}} NOLOGIN PASSWORD '{{password}}'`, 'no_user'],
    ])('leave nothing where %s, and tell no secret', async (_, creation, code) => {
      const admin = await session();
      const user = newUser();
      const error = await refusal(admin.createUser(user, custom(creation)), user);
      expect(error).toMatchObject({ type: 'database_error', reason: code });
      expect(error.message.toLowerCase()).not.toContain(user.password.reveal().toLowerCase());
      expect(await exists(user)).toBe(false);
    });

    it('are one each: what a server reads as two is refused by it', async () => {
      const admin = await session();
      const user = newUser();
      // Read by the server as an escape, by the scanner as a backslash.
      const sneaky = `${CREATE}; SET standard_conforming_strings = off; SELECT '\\'; DROP TABLE items; --'`;
      const error = await refusal(admin.createUser(user, custom(`${sneaky}\n;SELECT 1`)), user);
      expect(error.type).toBe('database_error');
      expect(await inDatabase("SELECT FROM pg_tables WHERE tablename = 'items'")).toHaveLength(1);
    });

    it('are warned of, then refused, as the access list of a table fills', async () => {
      const admin = await session();
      const fill = (count: number) =>
        inDatabase(`CREATE TABLE IF NOT EXISTS crowded (id int);
          UPDATE pg_class SET relacl = ARRAY(SELECT makeaclitem(((i * 2654435761) % 2000000000 + 20000)::oid, relowner, 'SELECT', false)
            FROM generate_series(1, ${count}) i) WHERE relname = 'crowded'`);
      await fill(900);
      expect((await admin.warnings()).join()).toMatch(/public\.crowded has \d{4} bytes/);
      await mint(admin, custom(CREATE));
      await fill(1300);
      const user = newUser();
      const error = await refusal(admin.createUser(user, custom(CREATE)), user);
      expect(error).toMatchObject({ type: 'conflict', status: 409 });
      expect(await exists(user)).toBe(false);
      await mint(admin, templateOf('readonly'));
      await inDatabase('UPDATE pg_class SET relacl = NULL WHERE relname = $$crowded$$; DROP TABLE crowded');
    });
  });
}

onPostgres(() => {
  describe('for a superuser', () => suite('superuser'));
  describe('for an admin with CREATEROLE', () => suite('createrole'));
});
