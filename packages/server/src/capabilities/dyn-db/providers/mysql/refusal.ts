import type { AppError } from '../../../../kernel/errors.js';
import { databaseError, targetUnavailable } from '../../errors.js';

export const ERRNO = {
  databaseAccessDenied: 1044,
  accessDenied: 1045,
  unknownDatabase: 1049,
  noSuchThread: 1094,
  tableAccessDenied: 1142,
  noSuchTable: 1146,
  privilegeMissing: 1227,
  /** CREATE, ALTER or DROP of a user or role that is there already, or is not there. */
  cannotUser: 1396,
  accessDeniedNoPassword: 1698,
  /** MariaDB: no such role, or none that this user may grant. */
  invalidRole: 1959,
  /** MySQL: no such role or user. */
  unknownAuthorizationId: 3523,
} as const;

/** What the admin has no right to. */
export const RIGHT_MISSING: readonly number[] = [
  ERRNO.databaseAccessDenied,
  ERRNO.accessDenied,
  ERRNO.tableAccessDenied,
  ERRNO.privilegeMissing,
  ERRNO.accessDeniedNoPassword,
];

/** An error packet of the server. Its text stays here: it may quote what was sent. */
export class MysqlRefusal extends Error {
  override readonly name = 'MysqlRefusal';

  constructor(
    readonly errno: number,
    readonly sqlState: string,
    /** Of `1227` and `1142`: which rights it asks for. */
    readonly privileges: string | null,
  ) {
    super(`error ${errno}`);
  }
}

/** The server could not take or finish it now: worth another try. */
const PASSING = new Map([
  [1040, 'too many connections'],
  [1053, 'the server shuts down'],
  [1203, 'too many connections of the admin'],
  [1205, 'a lock was not free in time'],
  [1213, 'a deadlock'],
  [1226, 'the admin has used up a resource limit'],
  [1317, 'the statement was interrupted'],
  [1927, 'the connection was killed'],
  [1969, 'the statement took too long'],
  [3024, 'the statement took too long'],
]);

const SENTENCES = new Map([
  [1044, 'the admin has no access to the database'],
  [1045, 'access denied for the admin: the user name or the password is wrong, or a right is missing'],
  [1049, 'no such database'],
  [1064, 'syntax error in a statement'],
  [1095, 'the admin may not end sessions of other users'],
  [1130, 'this server may not connect from here'],
  [1142, 'a right on a table is missing'],
  [1146, 'no such table'],
  [1227, 'a right is missing'],
  [1396, 'the user or role exists already, or does not exist'],
  [1410, 'a GRANT names a user that does not exist'],
  [1698, 'access denied for the admin'],
  [
    1819,
    "the server's password rules refuse generated passwords, which are letters and digits: ask for no special character (validate_password.special_char_count = 0)",
  ],
  [1820, 'the password of the admin has to be changed first'],
  [1862, 'the password of the admin has expired'],
  [1959, 'no such role, or the admin may not grant it'],
  [3118, 'the account of the admin is locked'],
  [3523, 'no such user or role'],
  [
    4006,
    'the user is the definer of a view, routine, trigger or event: change the definer, or GRANT SET_USER_ID (8.0) or ALLOW_NONEXISTENT_DEFINER (8.2 and later) to the admin',
  ],
]);

/** `doing` says in our own words which statement it was. */
export function errorOfRefusal({ errno, sqlState, privileges }: MysqlRefusal, doing: string): AppError {
  const passing = PASSING.get(errno);
  if (passing !== undefined) return targetUnavailable(`${doing}: ${passing} (${errno})`);
  const sentence = SENTENCES.get(errno) ?? 'see the error of that number in its manual';
  const rights = privileges === null ? '' : `: ${privileges}`;
  return databaseError(sqlState, `error ${errno} while ${doing}: ${sentence}${rights}`);
}
