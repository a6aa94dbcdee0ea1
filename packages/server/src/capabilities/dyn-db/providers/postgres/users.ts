import { assert } from '../../../../kernel/assert.js';
import { isAppError } from '../../../../kernel/errors.js';
import { LIMITS } from '../../../../kernel/limits.js';
import { Secret } from '../../../../kernel/secret.js';
import { scramSha256Verifier } from '../../../../platform/crypto/scram.js';
import { databaseError, tableAclFull, usernameTaken } from '../../errors.js';
import { MINTED_PREFIX } from '../../statements/names.js';
import {
  expirationText,
  parseCreation,
  parseRevocation,
  renderCreation,
  renderRevocation,
} from '../../statements/template.js';
import type { GroupRole, MintedUser, RoleStatements } from '../engine.js';
import { type PostgresConnection, type Row, sqlState } from './connection.js';
import { fullestAcls } from './inspection.js';
import { becomeMember, databasesOf, disown } from './ownership.js';

const UNDEFINED_OBJECT = '42704';
const DUPLICATE_OBJECT = '42710';
/** Each waits in the server; a session that outlives them all is one that does not react to signals. */
const ENDS_TRIED = 10;
const END_WAIT_MS = 500;
const ACL_REFUSED_BYTES = 7 * 1024;

/**
 * The template's statement, which is its own transaction, with what the server would keep of the password: statements
 * stand in its log, in pg_stat_statements and pg_stat_activity, where others than the admin may read them.
 */
export async function createTemplateUser(
  connection: PostgresConnection,
  { username, password, expiresAtMs, ...user }: MintedUser,
  group: GroupRole,
): Promise<void> {
  const verifier = await (user.verifier ?? scramSha256Verifier(password));
  const options = [
    `LOGIN PASSWORD ${connection.literal(verifier.reveal())}`,
    `VALID UNTIL ${connection.literal(expirationText(expiresAtMs))}`,
    `IN ROLE ${connection.identifier(group.name)}`,
  ];
  const statement = `CREATE ROLE ${mintedIdentifier(connection, username)} WITH ${options.join(' ')}`;
  try {
    await connection.rendered(new Secret(statement), [password, verifier]);
  } catch (error) {
    throw sqlState(error) === DUPLICATE_OBJECT ? usernameTaken() : error;
  }
}

export async function createCustomUser(
  connection: PostgresConnection,
  user: MintedUser,
  { creation }: RoleStatements,
): Promise<void> {
  const statements = renderedCreation(connection, user, creation);
  const [full] = await fullestAcls(connection, ACL_REFUSED_BYTES);
  if (full !== undefined) throw tableAclFull(full.name);
  // Statements that take what is there for theirs would give another's user a second password.
  if (await exists(connection, user.username)) throw usernameTaken();
  await connection.transaction(async () => {
    for (const statement of statements) await connection.rendered(statement, [user.password]);
    const [made] = await connection.batch([
      `SELECT FROM pg_roles WHERE rolname = ${connection.literal(user.username)} AND rolcanlogin`,
    ]);
    if (made === undefined) {
      throw databaseError('no_user', `creation_sql made no role ${user.username} that may log in`);
    }
  });
}

function renderedCreation(connection: PostgresConnection, user: MintedUser, creation: string) {
  return renderCreation(parseCreation(creation, 'postgres'), { ...user, database: connection.database });
}

export async function renewUser(
  connection: PostgresConnection,
  username: string,
  expiresAtMs: number,
): Promise<void> {
  const until = connection.literal(expirationText(expiresAtMs));
  await connection.batch([`ALTER ROLE ${mintedIdentifier(connection, username)} VALID UNTIL ${until}`]);
}

/**
 * Locks, ends sessions, runs the custom revocation if there is one, then does what that left undone
 * (contract dyn-db.md §3.1). Each step stands alone: what fails is done by the next call.
 */
export async function dropUser(
  connection: PostgresConnection,
  username: string,
  statements: RoleStatements,
): Promise<void> {
  const state = await lock(connection, username);
  if (state === null) return;
  let failure: unknown;
  try {
    let { databases } = state;
    // Until they end, sessions could make something.
    if (state.sessions > 0) await endSessions(connection, username);
    if (statements.group === null) failure = await runRevocation(connection, username, statements.revocation);
    if (state.sessions > 0 || statements.group === null) databases = await databasesOf(connection, username);
    await dropLocked(connection, username, state.oid, databases);
  } catch (error) {
    if (sqlState(error) === undefined) throw error;
    // Another one may have dropped it meanwhile. What the role's own statements say of it is nearer to the cause.
    if (await exists(connection, username)) throw failure ?? error;
  }
}

interface LockedState {
  readonly oid: string;
  readonly sessions: number;
  readonly databases: readonly string[];
}

/** Committed before anything else, so that no session can begin while the others are ended; null = no such user. */
async function lock(connection: PostgresConnection, username: string): Promise<LockedState | null> {
  try {
    const [row] = await connection.batch([
      'BEGIN',
      `ALTER ROLE ${mintedIdentifier(connection, username)} NOLOGIN`,
      'COMMIT',
      stateQuery(connection.literal(username)),
    ]);
    if (row === undefined) return null;
    return {
      oid: String(row['oid']),
      sessions: Number(row['sessions']),
      databases: row['databases'] as readonly string[],
    };
  } catch (error) {
    await connection.rollback();
    if (sqlState(error) === UNDEFINED_OBJECT || !(await exists(connection, username))) return null;
    throw error;
  }
}

function stateQuery(username: string): string {
  return `SELECT r.oid::text AS oid,
    (SELECT count(*) FROM pg_stat_activity WHERE usesysid = r.oid)::int AS sessions,
    ARRAY(SELECT DISTINCT coalesce(d.datname, current_database())::text
      FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid
      WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid) AS databases
    FROM pg_roles r WHERE r.rolname = ${username}`;
}

async function endSessions(connection: PostgresConnection, username: string): Promise<void> {
  await becomeMember(connection, username);
  const all = 'FROM pg_stat_activity WHERE usename = $1';
  // All of them first: the waits below are one after the other.
  await connection.query(`SELECT pg_terminate_backend(pid) ${all}`, [username]);
  for (let tried = 0; tried < ENDS_TRIED; tried += 1) {
    const left = await connection.query(`SELECT pg_terminate_backend(pid, ${END_WAIT_MS}) ${all}`, [
      username,
    ]);
    if (left.length === 0) return;
  }
  throw databaseError('sessions', `sessions of ${username} do not end`);
}

/** Of a role that is gone: one that had passed the check of its log-in just before the lock. */
async function endSessionsOf(connection: PostgresConnection, oid: string): Promise<void> {
  try {
    await connection.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = $1', [
      oid,
    ]);
  } catch (error) {
    // Who is no superuser has no rights of a role that is gone, and no session of it is left but in that instant.
    if (sqlState(error) !== '42501') throw error;
  }
}

/** In one transaction; its failure is told only where our own steps fail too. */
async function runRevocation(
  connection: PostgresConnection,
  username: string,
  revocation: string,
): Promise<unknown> {
  const template = parseRevocation(revocation, 'postgres');
  const rendered = renderRevocation(template, { username, database: connection.database });
  try {
    await becomeMember(connection, username);
    await connection.transaction(async () => {
      for (const statement of rendered) await connection.rendered(statement, []);
    });
    return undefined;
  } catch (error) {
    // A time-out of theirs must not keep the user alive; whether the connection is lost, the next step tells.
    if (!isAppError(error)) throw error;
    return error;
  }
}

async function dropLocked(
  connection: PostgresConnection,
  username: string,
  oid: string,
  databases: readonly string[],
): Promise<void> {
  for (const database of databases) await disown(connection, username, database);
  await connection.batch([`DROP ROLE IF EXISTS ${mintedIdentifier(connection, username)}`]);
  await endSessionsOf(connection, oid);
}

async function exists(connection: PostgresConnection, username: string): Promise<boolean> {
  const rows: readonly Row[] = await connection.query('SELECT FROM pg_roles WHERE rolname = $1', [username]);
  return rows.length > 0;
}

export async function mintedUsers(connection: PostgresConnection): Promise<readonly string[]> {
  const rows = await connection.query<{ name: string }>(
    'SELECT rolname::text AS name FROM pg_roles WHERE starts_with(rolname::text, $1) ORDER BY 1 LIMIT $2',
    [MINTED_PREFIX, LIMITS.mintedUsersMax],
  );
  return rows.map((row) => row.name);
}

/** Nothing but what we have made is ever locked or dropped. */
function mintedIdentifier(connection: PostgresConnection, username: string): string {
  assert(username.startsWith(MINTED_PREFIX), 'a user is dropped that was not minted');
  return connection.identifier(username);
}
