import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AppError } from '../../../../kernel/errors.js';
import { systemRandom } from '../../../../platform/crypto/random.js';
import { onMysql, openTargetMysql, type TargetMysql } from '../../../../testing/target-mysql.js';
import { generateUsername } from '../../statements/names.js';
import { generatePassword } from '../../statements/password.js';
import { allTextOf, dialingTransport } from '../engine.contract.js';
import { type EngineTarget, type MintedUser, type RoleStatements, SSL_MODES } from '../engine.js';
import { mysqlEngine } from './engine.js';

const GROUP = {
  name: `kc_tpl_readonly_${systemRandom.bytes(4).toString('hex')}`,
  template: 'readonly',
  schemas: null,
} as const;

describe('the texts of a role', () => {
  it('of a template are those that its row shows', () => {
    expect(
      mysqlEngine.templateStatements({ ...GROUP, name: 'kc_tpl_readonly_01234567' }, 'shop'),
    ).toMatchObject({
      creation:
        "CREATE USER '{{username}}'@'%' IDENTIFIED BY '{{password}}';\nGRANT `kc_tpl_readonly_01234567` TO '{{username}}'@'%';\nSET DEFAULT ROLE `kc_tpl_readonly_01234567` TO '{{username}}'@'%'",
      revocation: "ALTER USER '{{username}}'@'%' ACCOUNT LOCK;\nDROP USER IF EXISTS '{{username}}'@'%'",
    });
    const { creation, revocation } = mysqlEngine.templateStatements(GROUP, null);
    expect(() => mysqlEngine.checkStatements(creation, revocation)).not.toThrow();
  });

  it.each([
    ["CREATE USER '{{username}}'", "DROP USER '{{username}}'", 'creation_sql'],
    ["CREATE USER '{{username}}' IDENTIFIED BY '{{password}}'", "DROP USER 'x'", 'revocation_sql'],
    [
      "CREATE USER '{{username}}' IDENTIFIED BY '{{password}}' /*! , x */",
      "DROP USER '{{username}}'",
      'creation_sql',
    ],
    ["CREATE USER '{{username}}' IDENTIFIED BY '{{pass}}'", "DROP USER '{{username}}'", 'creation_sql'],
  ])('that are custom are judged: %s', (creation, revocation, field) => {
    expect(() => mysqlEngine.checkStatements(creation, revocation)).toThrow(
      expect.objectContaining({ type: 'validation_error', fields: { [field]: expect.any(Array) } }),
    );
  });
});

onMysql(() => {
  let server: TargetMysql;
  const open: { close(): Promise<void> }[] = [];
  const guests: Connection[] = [];
  beforeAll(async () => {
    server = await openTargetMysql('root-like');
    await server.run(`CREATE TABLE ${server.database}.orders (id INT)`);
  });
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
    for (const guest of guests.splice(0)) await guest.end().catch(() => {});
  });
  afterAll(async () => {
    await server.run(`DROP ROLE IF EXISTS ${GROUP.name}`);
    await server.cleanup();
  });

  async function session(changes: Partial<EngineTarget> = {}) {
    const opened = await mysqlEngine.connect(
      { ...server.target, ...changes },
      dialingTransport(),
      new AbortController().signal,
    );
    open.push(opened);
    return opened;
  }

  const newUser = () => ({
    username: generateUsername(systemRandom),
    password: generatePassword(systemRandom),
    expiresAtMs: Date.now() + 60_000,
  });
  const template = (): RoleStatements => mysqlEngine.templateStatements(GROUP, server.database);
  const custom = (creation: string, revocation = "DROP USER '{{username}}'"): RoleStatements => ({
    creation,
    revocation,
    group: null,
  });
  /** Without a database: custom statements may grant nothing on it. */
  async function logIn({ username, password }: MintedUser): Promise<Connection> {
    const { host, port } = server.target;
    const guest = await createConnection({ host, port, user: username, password: password.reveal() });
    guest.on('error', () => {});
    guests.push(guest);
    return guest;
  }
  const hostsOf = (username: string) =>
    server.run(`SELECT Host FROM mysql.user WHERE User = '${username}' ORDER BY Host`);
  const refusal = (act: Promise<unknown>) =>
    act.then(
      () => expect.fail('was not refused'),
      (error: unknown) => error as AppError,
    );

  it.each(SSL_MODES)('logs in with sslmode %s', async (sslMode) => {
    const sslCa = sslMode.startsWith('verify') ? server.serverCa : null;
    expect((await session({ sslMode, sslCa })).serverVersion).toMatch(/^\d+\.\d+/);
  });

  it('lets a member of the group role have its rights by the role', async () => {
    const admin = await session();
    const user = newUser();
    await admin.createUser(user, template());
    const rights = await server.run(`SHOW GRANTS FOR '${user.username}'@'%'`);
    expect(rights.join('\n')).toContain(`GRANT \`${GROUP.name}\``);
    expect(rights.join('\n')).not.toContain('GRANT SELECT');
    await admin.dropUser(user.username, template());
  });

  it('without a database grants on all but those of the server, and on later ones at the next test', async () => {
    const admin = await session({ database: null });
    const group = { ...GROUP, name: `${GROUP.name}_all` };
    const later = `${server.database}_later`;
    await admin.ensureGroupRole(group);
    await server.run(`CREATE DATABASE ${later}`);
    await server.run(`CREATE TABLE ${later}.t (id INT)`);
    const user = newUser();
    const statements = mysqlEngine.templateStatements(group, null);
    await admin.createUser(user, statements);
    const guest = await server.logIn(user.username, user.password);
    guests.push(guest);
    await guest.query(`SELECT * FROM ${server.database}.orders`);
    await expect(guest.query(`SELECT * FROM ${later}.t`)).rejects.toThrow('denied');
    await admin.ensureGroupRole(group);
    await guest.query(`SELECT * FROM ${later}.t`);
    for (const table of ['mysql.user', 'mysql.global_priv', 'mysql.db']) {
      await expect(guest.query(`SELECT * FROM ${table}`)).rejects.toThrow('denied');
    }
    await admin.dropUser(user.username, statements);
    await admin.dropGroupRole(group);
    await server.run(`DROP DATABASE ${later}`);
  });

  it('grants nothing by a template on a database of the server itself', async () => {
    const admin = await session({ database: 'MySQL' });
    const user = newUser();
    expect(await refusal(admin.createUser(user, template()))).toMatchObject({
      type: 'database_error',
      reason: 'template',
    });
    expect(await hostsOf(user.username)).toEqual([]);
  });

  it('leaves nothing of a creation whose later statement is refused, and tells which it was, not what it said', async () => {
    const admin = await session();
    const user = newUser();
    const broken = custom(
      "CREATE USER '{{username}}' IDENTIFIED BY '{{password}}'; GRAND SELECT TO '{{username}}' IDENTIFIED BY '{{password}}'",
    );
    const error = await refusal(admin.createUser(user, broken));
    expect(error.type).toBe('database_error');
    expect(error.publicMessage).toContain('error 1064 while running statement 2 of creation_sql');
    expect(allTextOf(error)).not.toMatch(/GRAND|IDENTIFIED/);
    expect(allTextOf(error)).not.toContain(user.password.reveal());
    expect(await hostsOf(user.username)).toEqual([]);
  });

  it.each([
    "DROP USER '{{username}}'",
    "DROP USER '{{username}}'@'10.%'",
    "DO '{{username}}'",
    "REVOKE nonsense FROM '{{username}}'",
  ])('drops a user of every host, whatever its own revocation does: %s', async (revocation) => {
    const admin = await session();
    const user = newUser();
    const twoHosts = custom(
      "CREATE USER '{{username}}'@'10.%' IDENTIFIED BY '{{password}}'; CREATE USER '{{username}}'@'127.0.0.1' IDENTIFIED BY '{{password}}'",
      revocation,
    );
    await admin.createUser(user, twoHosts);
    expect(await hostsOf(user.username)).toEqual(['10.%', '127.0.0.1']);
    const guest = await logIn(user);
    await guest.query('SELECT 1');
    await admin.dropUser(user.username, twoHosts);
    expect(await hostsOf(user.username)).toEqual([]);
    await expect(guest.query('SELECT 1')).rejects.toThrow();
  });

  it('ends a session that is in the middle of a statement', async () => {
    const admin = await session();
    const user = newUser();
    await admin.createUser(user, template());
    const guest = await server.logIn(user.username, user.password);
    guests.push(guest);
    const sleeping = guest.query('SELECT SLEEP(60)').catch((error: unknown) => error);
    await expect
      .poll(() =>
        server.run(
          `SELECT COUNT(*) FROM information_schema.processlist WHERE user = '${user.username}' AND command = 'Query'`,
        ),
      )
      .toEqual([1]);
    await admin.dropUser(user.username, template());
    expect(await sleeping).toBeInstanceOf(Error);
    expect(
      await server.run(`SELECT COUNT(*) FROM information_schema.processlist WHERE user = '${user.username}'`),
    ).toEqual([0]);
  });

  it('warns of a minted user that is the definer of something, and of an anonymous user', async () => {
    const admin = await session();
    const name = `kc_user_${systemRandom.bytes(4).toString('hex')}`;
    await server.run(
      `CREATE DEFINER = '${name}'@'%' SQL SECURITY DEFINER VIEW ${server.database}.orphaned AS SELECT 1`,
    );
    await server.run("CREATE USER ''@'192.0.2.1'");
    const warnings = (await admin.warnings()).join('\n');
    await server.run("DROP USER ''@'192.0.2.1'");
    await server.run(`DROP VIEW ${server.database}.orphaned`);
    expect(warnings).toContain('definer of 1 view(s)');
    expect(warnings).toContain("anonymous user for the host '192.0.2.1'");
    expect(await admin.warnings()).toEqual([]);
  });

  describe('an admin that lacks a right is told which', () => {
    it.each([
      [[], 'CREATE USER ON *.*', ''],
      [['CREATE USER ON *.*'], 'CONNECTION ADMIN ON *.*', ''],
      [['CREATE USER, CONNECTION ADMIN ON *.*'], 'SELECT, INSERT, UPDATE, DELETE ON', ' WITH GRANT OPTION'],
    ])('of %s', async (rights, missing, suffix) => {
      const { adminUsername } = server.powerless;
      for (const right of rights) await server.run(`GRANT ${right} TO ${adminUsername}`);
      const grant = await (await session(server.powerless)).missingGrant();
      for (const right of rights) await server.run(`REVOKE ${right} FROM ${adminUsername}`);
      expect(grant?.hint).toContain(`GRANT ${missing}`);
      expect(grant?.hint).toMatch(new RegExp(`TO '${adminUsername}'@'%'${suffix}$`));
    });

    it('where it may not end sessions: the user goes, and a session that stays is told of', async () => {
      const { adminUsername } = server.powerless;
      await server.run(`GRANT CREATE USER, PROCESS ON *.* TO ${adminUsername}`);
      const user = newUser();
      const plain = custom("CREATE USER '{{username}}' IDENTIFIED BY '{{password}}'");
      const admin = await session({ ...server.powerless, database: null });
      await admin.createUser(user, plain);
      const guest = await logIn(user);
      const error = await refusal(admin.dropUser(user.username, plain));
      expect(error).toMatchObject({
        type: 'database_error',
        publicMessage: expect.stringContaining('error 1095'),
      });
      expect(await hostsOf(user.username)).toEqual([]);
      await guest.end();
      const drop = () =>
        admin.dropUser(user.username, plain).then(
          () => 'gone',
          () => 'not yet',
        );
      await expect.poll(drop).toBe('gone');
      await server.run(`REVOKE CREATE USER, PROCESS ON *.* FROM ${adminUsername}`);
    });

    it('where it may not grant what the template says, by the GRANT that it needs', async () => {
      const { adminUsername } = server.powerless;
      await server.run(`GRANT CREATE USER, CONNECTION ADMIN ON *.* TO ${adminUsername}`);
      const admin = await session(server.powerless);
      const user = newUser();
      const statements = mysqlEngine.templateStatements(
        { ...GROUP, name: `${GROUP.name}_x` },
        server.database,
      );
      const error = await refusal(admin.createUser(user, statements));
      await admin.dropGroupRole({ ...GROUP, name: `${GROUP.name}_x` });
      await server.run(`REVOKE CREATE USER, CONNECTION ADMIN ON *.* FROM ${adminUsername}`);
      expect(error.publicMessage).toContain(
        `GRANT SELECT ON \`${server.database.replace('_', '\\_')}\`.* TO`,
      );
      expect(await hostsOf(user.username)).toEqual([]);
    });
  });
});
