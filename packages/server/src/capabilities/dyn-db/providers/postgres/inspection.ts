import type { MissingGrant } from '../engine.js';
import type { PostgresConnection, Row } from './connection.js';

const ACL_WARNED_BYTES = 4 * 1024;

interface Acl extends Row {
  readonly name: string;
  readonly bytes: number;
}

/** The access lists of at least so many bytes as they are stored, in a row of 8 KiB at most: largest first. */
export function fullestAcls(connection: PostgresConnection, bytes: number): Promise<readonly Acl[]> {
  return connection.batch<Acl>([
    `SELECT * FROM (
       SELECT format('%I.%I', n.nspname, c.relname) AS name, pg_column_size(c.relacl) AS bytes
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       UNION ALL SELECT format('schema %I', nspname), pg_column_size(nspacl) FROM pg_namespace
       UNION ALL SELECT format('database %I', datname), pg_column_size(datacl) FROM pg_database
         WHERE datname = current_database()
     ) acl WHERE bytes >= ${bytes} ORDER BY bytes DESC, name LIMIT 5`,
  ]);
}

export async function aclWarnings(connection: PostgresConnection): Promise<readonly string[]> {
  const acls = await fullestAcls(connection, ACL_WARNED_BYTES);
  return acls.map(
    ({ name, bytes }) =>
      `The access list of ${name} has ${bytes} bytes; from 7168 on no user with custom statements is made, and at 8 KiB every GRANT on it fails: use a template, or grant to one role that the users are members of`,
  );
}

interface AdminRow extends Row {
  readonly name: string;
  readonly is_superuser: boolean;
  readonly may_create: boolean;
  readonly inherits: boolean;
  readonly may_connect: boolean;
  readonly closed_schema: string | null;
}

/** What the admin needs, and the statement that gives it (contract dyn-db.md §2.7). */
export async function missingGrant(connection: PostgresConnection): Promise<MissingGrant | null> {
  const [admin] = await connection.query<AdminRow>(
    `SELECT r.rolname::text AS name, r.rolsuper AS is_superuser, r.rolcreaterole AS may_create, r.rolinherit AS inherits,
       has_database_privilege(current_database(), 'CONNECT WITH GRANT OPTION')
         OR has_database_privilege('public', current_database(), 'CONNECT') AS may_connect,
       (SELECT min(nspname)::text FROM pg_namespace
         WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
         HAVING NOT bool_or(has_schema_privilege(oid, 'USAGE WITH GRANT OPTION')
           OR has_schema_privilege('public', oid, 'USAGE'))) AS closed_schema
     FROM pg_roles r WHERE r.rolname = current_user`,
  );
  if (admin === undefined || admin.is_superuser) return null;
  const name = connection.identifier(admin.name);
  if (!admin.may_create) {
    return { problem: `${name} may not create roles`, hint: `ALTER ROLE ${name} CREATEROLE` };
  }
  if (!admin.inherits && connection.majorVersion < 16) {
    return {
      problem: `${name} does not inherit: it could not end the sessions of its users nor take over what they own`,
      hint: `ALTER ROLE ${name} INHERIT`,
    };
  }
  if (!admin.may_connect) {
    const database = connection.identifier(connection.database);
    return {
      problem: `${name} may not let its users connect to ${database}`,
      hint: `GRANT CONNECT ON DATABASE ${database} TO ${name} WITH GRANT OPTION`,
    };
  }
  if (admin.closed_schema !== null) {
    const schema = connection.identifier(admin.closed_schema);
    return {
      problem: `${name} may let its users into no schema of the database`,
      hint: `GRANT USAGE ON SCHEMA ${schema} TO ${name} WITH GRANT OPTION`,
    };
  }
  return null;
}
