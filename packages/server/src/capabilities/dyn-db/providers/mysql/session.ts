import type { AppError } from '../../../../kernel/errors.js';
import { LIMITS } from '../../../../kernel/limits.js';
import { Secret } from '../../../../kernel/secret.js';
import { databaseError, usernameTaken } from '../../errors.js';
import {
  parseCreation,
  parseRevocation,
  renderCreation,
  renderRevocation,
} from '../../statements/template.js';
import type {
  EngineSession,
  EngineTarget,
  GroupRole,
  MintedUser,
  MissingGrant,
  RoleStatements,
} from '../engine.js';
import { type Answer, type MysqlConnection, tolerating } from './connection.js';
import { AdminGrants, showGrants } from './grants.js';
import { ERRNO, errorOfRefusal, MysqlRefusal, RIGHT_MISSING } from './refusal.js';
import type { ServerKind } from './server-kind.js';
import { endSessions } from './sessions.js';
import { account, grantScope, isSystemSchema, quoteName, quoteText, TEMPLATE_PRIVILEGES } from './sql.js';
import { warningsOf } from './warnings.js';

/** What a revocation may meet where its user, or what the user was granted, is gone already. */
const GONE: readonly number[] = [
  1133,
  1141,
  1147,
  ERRNO.cannotUser,
  ERRNO.invalidRole,
  ERRNO.unknownAuthorizationId,
];

export class MysqlSession implements EngineSession {
  readonly serverVersion: string;
  readonly #connection: MysqlConnection;
  readonly #kind: ServerKind;
  readonly #database: string | null;
  /** Those of the log-in: what is granted later counts in the next session. */
  #readGrants: Promise<AdminGrants> | null = null;

  constructor(connection: MysqlConnection, kind: ServerKind, serverVersion: string, target: EngineTarget) {
    this.#connection = connection;
    this.#kind = kind;
    this.serverVersion = serverVersion;
    this.#database = target.database;
  }

  async ensureGroupRole(group: GroupRole): Promise<void> {
    this.#refuseSystemDatabase();
    if (!this.#kind.hasRoles) return;
    const role = quoteName(group.name);
    await this.#unless([ERRNO.cannotUser], 'making the group role', `CREATE ROLE ${role}`);
    await this.#grantTemplate(group, role);
  }

  async dropGroupRole(group: GroupRole): Promise<void> {
    if (!this.#kind.hasRoles) return;
    await this.#unless(GONE, 'dropping the group role', `DROP ROLE ${quoteName(group.name)}`);
  }

  async createUser(user: MintedUser, statements: RoleStatements): Promise<void> {
    if ((await this.#hostsOf(user.username))?.length) throw usernameTaken();
    if (statements.group !== null) return this.#createFromTemplate(user, statements);
    const sql = statements.creation;
    await this.#orDrop(user.username, statements, () => this.#runCreation(user, sql));
  }

  async #createFromTemplate({ username, password }: MintedUser, statements: RoleStatements): Promise<void> {
    this.#refuseSystemDatabase();
    const group = statements.group as GroupRole;
    const user = account(username);
    const creation = new Secret(`CREATE USER ${user} IDENTIFIED BY ${quoteText(password.reveal())}`);
    const isNew = await this.#unless([ERRNO.cannotUser], 'creating the user', creation);
    if (!isNew) throw usernameTaken();
    await this.#orDrop(username, statements, async () => {
      if (!(await this.#joinGroup(user, group))) await this.#grantTemplate(group, user);
    });
  }

  /** Each statement was committed as it ran. */
  async #orDrop(username: string, statements: RoleStatements, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      await this.dropUser(username, statements).catch(() => {});
      throw error;
    }
  }

  /**
   * False where there are no roles, or the admin may not hand this one out: then the user is granted what is in it,
   * the same rights in a row of its own.
   */
  async #joinGroup(user: string, group: GroupRole): Promise<boolean> {
    if (!this.#kind.hasRoles) return false;
    const role = quoteName(group.name);
    const refusals = [...RIGHT_MISSING, ...GONE];
    const join = () => this.#unless(refusals, 'granting the group role', `GRANT ${role} TO ${user}`);
    if (!(await join())) {
      // It is made by a test of the connection, which may never have been; another admin's cannot be handed out.
      await this.ensureGroupRole(group);
      if (!(await join())) return false;
    }
    const word = this.#kind.isMariadb ? 'FOR' : 'TO';
    return this.#unless(
      refusals,
      'making the group role the default',
      `SET DEFAULT ROLE ${role} ${word} ${user}`,
    );
  }

  async #grantTemplate({ template }: GroupRole, grantee: string): Promise<void> {
    const privileges = TEMPLATE_PRIVILEGES[template];
    for (const database of await this.#databases()) {
      const scope = grantScope(database);
      const sql = `GRANT ${privileges} ON ${scope} TO ${grantee}`;
      if (await this.#unless(RIGHT_MISSING, 'granting the rights of the template', sql)) continue;
      const hint = `GRANT ${privileges} ON ${scope} TO ${await this.#admin()} WITH GRANT OPTION`;
      throw databaseError('42000', `the admin may not grant the rights of the template; it needs: ${hint}`);
    }
  }

  #refuseSystemDatabase(): void {
    if (this.#database === null || !isSystemSchema(this.#database)) return;
    throw databaseError('template', 'the templates grant nothing on the databases of the server itself');
  }

  /** Without a database all that are none of the server's own. */
  async #databases(): Promise<readonly string[]> {
    if (this.#database !== null) return [this.#database];
    const names = await this.#column(
      'listing the databases',
      'SELECT schema_name FROM information_schema.schemata',
    );
    return names.filter((name) => !isSystemSchema(name));
  }

  async #runCreation({ username, password, expiresAtMs }: MintedUser, sql: string): Promise<void> {
    const database = this.#database;
    const texts = renderCreation(parseCreation(sql, 'mysql'), { username, password, expiresAtMs, database });
    if (database !== null) await this.#run('choosing the database', `USE ${quoteName(database)}`);
    for (const [index, text] of texts.entries()) {
      await this.#run(`running statement ${index + 1} of creation_sql`, text);
    }
  }

  async renewUser(): Promise<void> {
    // An account of MySQL has no end of its own.
  }

  async dropUser(username: string, statements: RoleStatements): Promise<void> {
    const hosts = (await this.#hostsOf(username)) ?? ['%'];
    const accounts = hosts.map((host) => account(username, host));
    if (this.#kind.hasAccountLock) {
      for (const user of accounts) {
        await this.#unless(GONE, 'locking the user', `ALTER USER ${user} ACCOUNT LOCK`);
      }
    }
    // Where sessions cannot be ended the user goes all the same; the second time says so.
    await this.#endSessions(username).catch(() => {});
    const failure =
      statements.group === null ? await this.#runRevocation(username, statements.revocation) : null;
    for (const user of accounts) await this.#unless(GONE, 'dropping the user', `DROP USER ${user}`);
    // Who logged in meanwhile: accounts may have no lock, and custom statements may have opened it.
    await this.#endSessions(username);
    const left = await this.#hostsOf(username);
    if (left === null && failure !== null) throw failure;
    if (left?.length) throw failure ?? databaseError('HY000', 'the user is still there');
  }

  /** Of the refusals the first that does not say that the user is gone. */
  async #runRevocation(username: string, sql: string): Promise<AppError | null> {
    const database = this.#database;
    const texts = renderRevocation(parseRevocation(sql, 'mysql'), { username, database });
    let failure: AppError | null = null;
    if (database !== null)
      await this.#unless(
        [ERRNO.unknownDatabase, ...RIGHT_MISSING],
        'choosing the database',
        `USE ${quoteName(database)}`,
      );
    for (const [index, text] of texts.entries()) {
      const doing = `running statement ${index + 1} of revocation_sql`;
      try {
        await this.#connection.run(text);
      } catch (error) {
        if (!(error instanceof MysqlRefusal)) throw error;
        if (!GONE.includes(error.errno)) failure ??= errorOfRefusal(error, doing);
      }
    }
    return failure;
  }

  async #endSessions(username: string): Promise<void> {
    const grants = await this.#grants();
    await this.#named('ending the sessions of the user', () =>
      endSessions(this.#connection, this.#kind, grants, username),
    );
  }

  /** Null where the admin may not see users. */
  async #hostsOf(username: string): Promise<readonly string[] | null> {
    try {
      const { rows } = await this.#connection.run(
        `SELECT Host FROM mysql.user WHERE User = ${quoteText(username)}`,
      );
      return rows.map(([host]) => String(host));
    } catch (error) {
      if (error instanceof MysqlRefusal && RIGHT_MISSING.includes(error.errno)) return null;
      throw error instanceof MysqlRefusal ? errorOfRefusal(error, 'looking for the user') : error;
    }
  }

  async missingGrant(): Promise<MissingGrant | null> {
    return (await this.#grants()).missing(this.#database);
  }

  async mintedUsers(): Promise<readonly string[]> {
    const sql = `SELECT DISTINCT User FROM mysql.user WHERE User LIKE 'kc\\_user\\_%' LIMIT ${LIMITS.mintedUsersMax}`;
    return this.#column('listing users', sql);
  }

  async changeAdminPassword(next: Secret<string>): Promise<void> {
    const text = quoteText(next.reveal());
    // Of the account that this log-in is of: a name may have several, one for each host.
    const sql = this.#kind.hasAlterCurrentUser
      ? `ALTER USER CURRENT_USER() IDENTIFIED BY ${text}`
      : `SET PASSWORD = PASSWORD(${text})`;
    await this.#run('changing the password of the admin', new Secret(sql));
  }

  warnings(): Promise<readonly string[]> {
    return this.#named('looking for what will go wrong', async () =>
      warningsOf(this.#connection, this.#kind, await this.#grants(), this.#database),
    );
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  #grants(): Promise<AdminGrants> {
    this.#readGrants ??= this.#named('reading the rights of the admin', async () => {
      const lines = await showGrants(this.#connection, this.#kind);
      return new AdminGrants(lines, await this.#admin(), this.#kind);
    });
    return this.#readGrants;
  }

  /** `'name'@'host'`, as a GRANT names it. */
  async #admin(): Promise<string> {
    const [current = ''] = await this.#column('reading who the admin is', 'SELECT CURRENT_USER()');
    const at = current.lastIndexOf('@');
    return account(current.slice(0, at), current.slice(at + 1));
  }

  async #column(doing: string, sql: string): Promise<readonly string[]> {
    const { rows } = await this.#run(doing, sql);
    return rows.map(([value]) => String(value));
  }

  #run(doing: string, sql: string | Secret<string>): Promise<Answer> {
    return this.#named(doing, () => this.#connection.run(sql));
  }

  /** False where the server refused it for one of these reasons. */
  #unless(errnos: readonly number[], doing: string, sql: string | Secret<string>): Promise<boolean> {
    return this.#named(doing, () => tolerating(errnos, () => this.#connection.run(sql)));
  }

  async #named<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof MysqlRefusal ? errorOfRefusal(error, doing) : error;
    }
  }
}
