import type { MissingGrant } from '../engine.js';
import type { MysqlConnection } from './connection.js';
import type { ServerKind } from './server-kind.js';
import { grantScope, quoteName } from './sql.js';

interface Grant {
  readonly privileges: ReadonlySet<string>;
  /** As written: `*.*`, `` `db`.* `` or `` `db`.`table` ``. */
  readonly scope: string;
  readonly isGrantable: boolean;
}

/** What `SHOW GRANTS` tells of the admin, its roles included. */
export class AdminGrants {
  readonly #grants: readonly Grant[];
  readonly #admin: string;
  readonly #kind: ServerKind;

  constructor(lines: readonly string[], admin: string, kind: ServerKind) {
    this.#grants = lines.flatMap((line) => parseGrant(line) ?? []);
    this.#admin = admin;
    this.#kind = kind;
  }

  has(privilege: string, ...scopes: readonly string[]): boolean {
    return this.#grants.some(
      ({ privileges, scope }) =>
        (scope === '*.*' || scopes.includes(scope)) &&
        (privileges.has(privilege) || privileges.has('ALL PRIVILEGES')),
    );
  }

  /** The first right without which users cannot be made, or not be thrown out. */
  missing(database: string | null): MissingGrant | null {
    const problem = (text: string, privilege: string, scope = '*.*', suffix = ''): MissingGrant => ({
      problem: `The admin ${text}`,
      hint: `GRANT ${privilege} ON ${scope} TO ${this.#admin}${suffix}`,
    });
    if (!this.has('CREATE USER')) return problem('may not create and drop users', 'CREATE USER');
    if (!this.#kind.isMariadb && !this.maySeeSessions())
      return problem('may not see the sessions of other users', 'PROCESS');
    if (!this.mayEndSessions()) {
      const word = this.#kind.isMariadb ? 'CONNECTION ADMIN' : 'CONNECTION_ADMIN';
      return problem(
        'may not end the sessions of other users',
        this.#kind.hasConnectionAdmin ? word : 'SUPER',
      );
    }
    if (!this.#grants.some(({ isGrantable }) => isGrantable)) {
      const scope = database === null ? '*.*' : grantScope(database);
      const privileges = 'SELECT, INSERT, UPDATE, DELETE';
      return problem('may pass none of its rights on', privileges, scope, ' WITH GRANT OPTION');
    }
    return null;
  }

  maySeeSessions(): boolean {
    return this.has('PROCESS');
  }

  mayReadUsers(): boolean {
    const table = `${quoteName('mysql')}.${quoteName('user')}`;
    return this.has('SELECT', `${quoteName('mysql')}.*`, table);
  }

  /** For others: MariaDB asks for the right to write its tables of users, which is every right. */
  maySetDefaultRoles(): boolean {
    if (!this.#kind.isMariadb) return this.has('ROLE_ADMIN') || this.has('SUPER');
    return this.has('UPDATE', `${quoteName('mysql')}.*`);
  }

  mayEndSessions(): boolean {
    return this.has('CONNECTION ADMIN') || this.has('CONNECTION_ADMIN') || this.has('SUPER');
  }
}

/** MySQL shows the rights of roles only where they are named. */
export async function showGrants(connection: MysqlConnection, kind: ServerKind): Promise<readonly string[]> {
  const firstColumn = async (sql: string) => (await connection.run(sql)).rows.map(([value]) => String(value));
  if (kind.isMariadb || !kind.hasRoles) return firstColumn('SHOW GRANTS');
  const [roles = 'NONE'] = await firstColumn('SELECT CURRENT_ROLE()');
  return firstColumn(roles === 'NONE' ? 'SHOW GRANTS' : `SHOW GRANTS FOR CURRENT_USER() USING ${roles}`);
}

/** `GRANT a, b (c), d ON scope TO user … [WITH GRANT OPTION]`; a granted role has no scope. */
function parseGrant(line: string): Grant | null {
  const [, list, scope] =
    /^GRANT (.+?) ON (?:TABLE )?(\*\.\*|`(?:[^`]|``)*`\.(?:\*|`(?:[^`]|``)*`)) TO /.exec(line) ?? [];
  if (list === undefined || scope === undefined) return null;
  const privileges = list.replace(/ \([^)]*\)/g, '').split(/, ?/);
  const isGrantable = /\bWITH (?:[A-Z_]+ \d+ )*GRANT OPTION\b/.test(line);
  return { privileges: new Set(privileges), scope, isGrantable };
}
