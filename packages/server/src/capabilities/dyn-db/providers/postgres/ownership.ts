import { databaseError } from '../../errors.js';
import { type PostgresConnection, type Row, sqlState } from './connection.js';

/** The databases where something belongs to a role or is granted to it; the connection's own for what belongs to none. */
export async function databasesOf(connection: PostgresConnection, role: string): Promise<readonly string[]> {
  const rows = await connection.query<{ name: string }>(
    `SELECT DISTINCT coalesce(d.datname, current_database())::text AS name
     FROM pg_shdepend s JOIN pg_roles r ON s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid
       LEFT JOIN pg_database d ON d.oid = s.dbid
     WHERE r.rolname = $1 ORDER BY 1`,
    [role],
  );
  return rows.map((row) => row.name);
}

/**
 * What the role owns in a database becomes its heir's, then what it was granted goes: nothing is dropped with it
 * (contract dyn-db.md §3.1, docs/decisions/0068).
 */
export async function disown(connection: PostgresConnection, role: string, database: string): Promise<void> {
  if (database !== connection.database) {
    const other = await connection.sibling(database);
    try {
      await disown(other, role, database);
    } finally {
      await other.close();
    }
    return;
  }
  const quoted = connection.identifier(role);
  await becomeMember(connection, role);
  const inheritance = await inheritanceOf(connection, role);
  // One message is one transaction.
  await connection.batch([...inheritance, `DROP OWNED BY ${quoted}`]);
}

interface OwnedRow extends Row {
  readonly owns: boolean;
  readonly heir: string;
  readonly is_superuser: boolean;
}

/** What the role owns in the connection's database goes to its heir; nothing where it owns nothing. */
async function inheritanceOf(connection: PostgresConnection, role: string): Promise<readonly string[]> {
  const [row] = await connection.query<OwnedRow>(
    `SELECT 'kc_estate_' || me.oid AS heir, me.rolsuper AS is_superuser,
       EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = r.oid AND deptype = 'o') AS owns
     FROM pg_roles me, pg_roles r WHERE me.rolname = current_user AND r.rolname = $1`,
    [role],
  );
  if (!row?.owns) return [];
  await ensureHeir(connection, row.heir);
  const heir = connection.identifier(row.heir);
  const reassign = `REASSIGN OWNED BY ${connection.identifier(role)} TO ${heir}`;
  if (row.is_superuser) return [reassign];
  await becomeMember(connection, row.heir);
  const schemas = await schemasToOpen(connection, role, row.heir);
  if (schemas.length === 0) return [reassign];
  const schemasText = schemas.join(', ');
  return [
    // Two of these at once fail, and are tried again: a lock is something that any user could hold.
    `GRANT CREATE ON SCHEMA ${schemasText} TO ${heir}`,
    reassign,
    `REVOKE CREATE ON SCHEMA ${schemasText} FROM ${heir}`,
  ];
}

/**
 * A role that may do nothing: were it the admin, a view or a SECURITY DEFINER function that the user has left, or a
 * function in one of its indexes, would from then on be run with all that the admin may do.
 */
async function ensureHeir(connection: PostgresConnection, name: string): Promise<void> {
  const [known] = await connection.query<{ may_something: boolean }>(
    `SELECT rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
       OR EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid) AS may_something
     FROM pg_roles r WHERE rolname = $1`,
    [name],
  );
  if (known?.may_something) {
    throw databaseError(
      '42710',
      `role ${name}, which takes over what users leave, may log in or has attributes or memberships; take them from it`,
    );
  }
  if (known !== undefined) return;
  await connection.batch([`CREATE ROLE ${connection.identifier(name)} NOLOGIN`]).catch((error: unknown) => {
    if (sqlState(error) !== '42710' && sqlState(error) !== '23505') throw error;
  });
}

/** Where a new owner of functions and the like needs CREATE, and has it not; as they stand in a statement. */
async function schemasToOpen(
  connection: PostgresConnection,
  role: string,
  heir: string,
): Promise<readonly string[]> {
  const rows = await connection.query<{ name: string }>(
    `SELECT quote_ident(n.nspname) AS name FROM pg_namespace n, pg_roles r
     WHERE r.rolname = $1 AND n.nspowner <> r.oid AND n.nspname !~ '^pg_'
       AND has_schema_privilege(n.oid, 'CREATE WITH GRANT OPTION')
       AND NOT has_schema_privilege($2::name, n.oid, 'CREATE')
       AND quote_ident(n.nspname) IN (
         SELECT (pg_identify_object(classid, objid, 0)).schema FROM pg_shdepend
         WHERE refclassid = 'pg_authid'::regclass AND refobjid = r.oid AND deptype = 'o'
           AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
     ORDER BY n.oid`,
    [role, heir],
  );
  return rows.map((row) => row.name);
}

/**
 * Who made a role may administer it, but since PostgreSQL 16 has none of its rights, and before that never had; ending
 * its sessions and REASSIGN need them. The membership goes with the role.
 */
export async function becomeMember(connection: PostgresConnection, role: string): Promise<void> {
  const [row] = await connection.query<{ has_rights: boolean }>(
    "SELECT pg_has_role(oid, 'USAGE') AS has_rights FROM pg_roles WHERE rolname = $1",
    [role],
  );
  if (row === undefined || row.has_rights) return;
  const inherits = connection.majorVersion >= 16 ? ' WITH INHERIT TRUE' : '';
  await connection.batch([`GRANT ${connection.identifier(role)} TO CURRENT_USER${inherits}`]);
}
