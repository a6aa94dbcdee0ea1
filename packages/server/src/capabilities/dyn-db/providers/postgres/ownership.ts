import type { PostgresConnection } from './connection.js';

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
 * What the role owns in a database becomes the admin's, then what it was granted goes: nothing is dropped with it
 * (contract dyn-db.md §3.1).
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
  // One message is one transaction.
  await connection.batch([`REASSIGN OWNED BY ${quoted} TO CURRENT_USER`, `DROP OWNED BY ${quoted}`]);
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
