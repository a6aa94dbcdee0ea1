import { databaseError } from '../../errors.js';
import type { GroupRole, TemplateName } from '../engine.js';
import type { PostgresConnection, Row } from './connection.js';
import { databasesOf, disown } from './ownership.js';

const PRIVILEGES: Record<TemplateName, readonly string[]> = {
  readonly: ['SELECT'],
  readwrite: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
};
/** Without them inserts into serial columns fail (contract dyn-db.md §3.1). */
const SEQUENCE_PRIVILEGES = ['USAGE', 'SELECT'];
const OBJECTS_PER_GRANT = 500;
/** One number for all our grants in a database: two GRANTs on one table at once fail with "tuple concurrently updated". */
const GRANT_LOCK = 0x6b635f74706c;
const LOCK_NOT_AVAILABLE = '55P03';

interface GroupRow extends Row {
  readonly has_log_in: boolean;
  readonly is_mighty: boolean;
  readonly may_grant_it: boolean;
}

interface SchemaRow extends Row {
  readonly name: string;
  readonly is_usable: boolean;
  readonly may_grant: boolean;
}

interface ObjectRow extends Row {
  readonly name: string;
  readonly is_sequence: boolean;
  readonly may_grant: boolean;
}

/** Makes the group role or repairs it; returns what the admin may not grant, as sentences. */
export function ensureGroupRole(connection: PostgresConnection, group: GroupRole): Promise<string[]> {
  return connection.transaction(async () => {
    // Any user of the database could hold it for ever: it saves a retry, and is not waited for without end.
    await connection.unless([LOCK_NOT_AVAILABLE], `SELECT pg_advisory_xact_lock(${GRANT_LOCK})`);
    await ensureRole(connection, group.name);
    await grantConnect(connection, group.name);
    const schemas = await grantSchemas(connection, group);
    const notGranted = await grantObjects(connection, group, schemas);
    await grantFutureObjects(connection, group, schemas);
    return notGranted;
  });
}

async function ensureRole(connection: PostgresConnection, name: string): Promise<void> {
  const [row] = await groupRow(connection, name);
  if (row === undefined) return createRole(connection, name);
  // Its members could take these by SET ROLE, whatever the template says.
  if (row.is_mighty) {
    throw databaseError(
      '42710',
      `role ${name} exists with attributes or memberships that no template gives; drop it`,
    );
  }
  if (!row.may_grant_it) {
    throw databaseError(
      '42501',
      `the admin may not add members to role ${name}: GRANT ${connection.identifier(name)} TO CURRENT_USER WITH ADMIN OPTION as the role that made it, or drop it`,
    );
  }
  if (row.has_log_in) await connection.batch([`ALTER ROLE ${connection.identifier(name)} NOLOGIN`]);
}

async function createRole(connection: PostgresConnection, name: string): Promise<void> {
  // The lock is of this database, a role of the whole server: it may have been made from another one meanwhile.
  await connection.unless(['42710', '23505'], `CREATE ROLE ${connection.identifier(name)} NOLOGIN`);
}

function groupRow(connection: PostgresConnection, name: string): Promise<readonly GroupRow[]> {
  return connection.query<GroupRow>(
    `SELECT g.rolcanlogin AS has_log_in,
       g.rolsuper OR g.rolcreaterole OR g.rolcreatedb OR g.rolreplication OR g.rolbypassrls
         OR EXISTS (SELECT FROM pg_auth_members WHERE member = g.oid) AS is_mighty,
       me.rolsuper OR pg_has_role(g.oid, 'MEMBER WITH ADMIN OPTION')
         OR (me.rolcreaterole AND current_setting('server_version_num')::int < 160000) AS may_grant_it
     FROM pg_roles g, pg_roles me WHERE g.rolname = $1 AND me.rolname = current_user`,
    [name],
  );
}

async function grantConnect(connection: PostgresConnection, name: string): Promise<void> {
  const [row] = await connection.query<{ may_grant: boolean; has_it: boolean }>(
    `SELECT has_database_privilege(current_database(), 'CONNECT WITH GRANT OPTION') AS may_grant,
       has_database_privilege($1::name, current_database(), 'CONNECT') AS has_it`,
    [name],
  );
  const database = connection.identifier(connection.database);
  if (row?.may_grant) {
    await connection.batch([`GRANT CONNECT ON DATABASE ${database} TO ${connection.identifier(name)}`]);
  } else if (!row?.has_it) {
    throw databaseError(
      '42501',
      `the admin may not grant CONNECT: GRANT CONNECT ON DATABASE ${database} TO CURRENT_USER WITH GRANT OPTION as its owner`,
    );
  }
}

/** The schemas of the template; those that were named have to be there and be the admin's to grant. */
async function grantSchemas(connection: PostgresConnection, group: GroupRole): Promise<string[]> {
  const rows = await connection.query<SchemaRow>(
    `SELECT nspname::text AS name,
       has_schema_privilege($1::name, oid, 'USAGE') AS is_usable,
       has_schema_privilege(oid, 'USAGE WITH GRANT OPTION') AS may_grant
     FROM pg_namespace
     WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND ($2::text[] IS NULL OR nspname = ANY ($2))
     ORDER BY nspname`,
    [group.name, group.schemas],
  );
  const missing = group.schemas?.find((schema) => !rows.some((row) => row.name === schema));
  if (missing !== undefined)
    throw databaseError('3F000', `there is no schema ${connection.identifier(missing)} for a template`);
  const refused = rows.find((row) => !row.is_usable && !row.may_grant);
  if (group.schemas !== null && refused !== undefined) {
    throw databaseError(
      '42501',
      `the admin may not grant USAGE: GRANT USAGE ON SCHEMA ${connection.identifier(refused.name)} TO CURRENT_USER WITH GRANT OPTION as its owner`,
    );
  }
  const grantable = rows.filter((row) => row.may_grant).map((row) => row.name);
  await grantInParts(
    connection,
    'USAGE ON SCHEMA',
    grantable.map((name) => connection.identifier(name)),
    group.name,
  );
  return rows.filter((row) => row.may_grant || row.is_usable).map((row) => row.name);
}

/** Only what is not there yet: a repair of a large database writes nothing. */
async function grantObjects(
  connection: PostgresConnection,
  { name, template }: GroupRole,
  schemas: readonly string[],
): Promise<string[]> {
  const every = (check: string, privileges: readonly string[], suffix = '') =>
    privileges.map((privilege) => `${check}'${privilege}${suffix}')`).join(' AND ');
  const wanted = PRIVILEGES[template];
  const rows = await connection.query<ObjectRow>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relkind = 'S' AS is_sequence,
       CASE WHEN c.relkind = 'S' THEN ${every('has_sequence_privilege(c.oid, ', SEQUENCE_PRIVILEGES, ' WITH GRANT OPTION')}
         ELSE ${every('has_table_privilege(c.oid, ', wanted, ' WITH GRANT OPTION')} END AS may_grant
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY ($2) AND c.relkind = ANY ($3)
       AND NOT CASE WHEN c.relkind = 'S' THEN ${every('has_sequence_privilege($1::name, c.oid, ', SEQUENCE_PRIVILEGES)}
         ELSE ${every('has_table_privilege($1::name, c.oid, ', wanted)} END
     ORDER BY c.oid`,
    [name, schemas, template === 'readwrite' ? ['r', 'p', 'v', 'm', 'f', 'S'] : ['r', 'p', 'v', 'm', 'f']],
  );
  const grantable = rows.filter((row) => row.may_grant);
  const named = (isSequence: boolean) =>
    grantable.filter((row) => row.is_sequence === isSequence).map((row) => row.name);
  await grantInParts(connection, `${wanted.join(', ')} ON TABLE`, named(false), name);
  await grantInParts(connection, `${SEQUENCE_PRIVILEGES.join(', ')} ON SEQUENCE`, named(true), name);
  const refused = rows.filter((row) => !row.may_grant);
  if (refused.length === 0) return [];
  return [
    `${refused.length} table(s) or sequence(s), ${refused[0]?.name} among them, are not covered by ${name}: the admin neither owns them nor may grant ${wanted.join(', ')} on them`,
  ];
}

async function grantInParts(
  connection: PostgresConnection,
  what: string,
  objects: readonly string[],
  name: string,
): Promise<void> {
  for (let at = 0; at < objects.length; at += OBJECTS_PER_GRANT) {
    const part = objects.slice(at, at + OBJECTS_PER_GRANT).join(', ');
    await connection.batch([`GRANT ${what} ${part} TO ${connection.identifier(name)}`]);
  }
}

/** What the admin itself makes later; in every schema, or in those that were named. */
async function grantFutureObjects(
  connection: PostgresConnection,
  group: GroupRole,
  schemas: readonly string[],
): Promise<void> {
  const within =
    group.schemas === null ? [''] : schemas.map((schema) => `IN SCHEMA ${connection.identifier(schema)} `);
  const to = `TO ${connection.identifier(group.name)}`;
  await connection.batch(
    within.flatMap((place) => {
      const grant = (what: string) => `ALTER DEFAULT PRIVILEGES ${place}GRANT ${what} ${to}`;
      return [
        grant(`${PRIVILEGES[group.template].join(', ')} ON TABLES`),
        ...(group.template === 'readwrite' ? [grant(`${SEQUENCE_PRIVILEGES.join(', ')} ON SEQUENCES`)] : []),
        ...(place === '' ? [grant('USAGE ON SCHEMAS')] : []),
      ];
    }),
  );
}

/** Its grants may stand in databases that the connection named before. */
export async function dropGroupRole(connection: PostgresConnection, name: string): Promise<void> {
  const [row] = await connection.query('SELECT FROM pg_roles WHERE rolname = $1', [name]);
  if (row === undefined) return;
  for (const database of await databasesOf(connection, name)) await disown(connection, name, database);
  await connection.batch([`DROP ROLE IF EXISTS ${connection.identifier(name)}`]);
}
