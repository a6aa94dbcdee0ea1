/** What this server's version has; MariaDB and MySQL went their own ways in everything about users. */
export interface ServerKind {
  readonly isMariadb: boolean;
  readonly hasRoles: boolean;
  readonly hasAccountLock: boolean;
  /** `ALTER USER CURRENT_USER() …`; MariaDB answers OK to it and changes nothing. */
  readonly hasAlterCurrentUser: boolean;
  /** Without it a GRANT to a user that is not there makes one that needs no password. */
  readonly hasNoAutoCreateUser: boolean;
  readonly hasConnectionAdmin: boolean;
  /** The server itself ends a statement that takes too long. */
  readonly hasMaxStatementTime: boolean;
}

/** Of `VERSION()`, such as `10.11.19-MariaDB-log` or `8.4.3`. */
export function serverKindOf(version: string): ServerKind {
  const parts = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(version) ?? [];
  const [, major = 0, minor = 0, patch = 0] = parts.map((part) => Number(part ?? 0));
  const number = major * 10_000 + minor * 100 + patch;
  const isMariadb = /mariadb/i.test(version);
  const since = (mariadb: number, mysql: number) => number >= (isMariadb ? mariadb : mysql);
  return {
    isMariadb,
    hasRoles: since(10_00_05, 8_00_00),
    hasAccountLock: since(10_04_02, 5_07_06),
    hasAlterCurrentUser: !isMariadb && number >= 5_07_06,
    hasNoAutoCreateUser: isMariadb || number < 8_00_00,
    hasConnectionAdmin: since(10_05_02, 8_00_00),
    hasMaxStatementTime: isMariadb && number >= 10_01_01,
  };
}
