import { type MysqlConnection, tolerating } from './connection.js';
import type { AdminGrants } from './grants.js';
import { RIGHT_MISSING } from './refusal.js';
import type { ServerKind } from './server-kind.js';
import { quoteText } from './sql.js';

const DEFINERS = [
  ['views', 'table_schema', 'view'],
  ['routines', 'routine_schema', 'routine'],
  ['triggers', 'trigger_schema', 'trigger'],
  ['events', 'event_schema', 'event'],
] as const;

/** What a test of the connection says beside its result. */
export async function warningsOf(
  connection: MysqlConnection,
  kind: ServerKind,
  grants: AdminGrants,
  database: string | null,
): Promise<readonly string[]> {
  const warnings: string[] = [];
  if (connection.dependsOnCachedDigest) {
    warnings.push(
      'The admin logs in by caching_sha2_password to a server that is not verified: after its next start the server asks for the password itself, and is refused; give its authority as ssl_ca, or sslmode verify-full',
    );
  }
  if (!kind.hasRoles) {
    warnings.push('This server has no roles: what a template grants is granted to each user by itself');
  } else if (!grants.maySetDefaultRoles()) {
    const right = kind.isMariadb ? 'UPDATE on mysql.*, which is every right, so better not' : 'ROLE_ADMIN';
    warnings.push(
      `The admin may not make a role the default of another user (that takes ${right}): what a template grants is granted to each user by itself`,
    );
  }
  if (!grants.mayReadUsers()) {
    warnings.push(
      'The admin may not read mysql.user: users that were left behind cannot be listed, and custom statements have to make their users for the host %',
    );
  } else {
    warnings.push(...(await anonymousUsers(connection)));
  }
  warnings.push(...(await orphanedObjects(connection, database)));
  return warnings;
}

/** Such an account is taken before `'kc_user_…'@'%'` by whoever comes from its host. */
async function anonymousUsers(connection: MysqlConnection): Promise<readonly string[]> {
  const { rows } = await connection.run(
    "SELECT Host FROM mysql.user WHERE User = '' AND Host <> '' LIMIT 10",
  );
  return rows.map(
    ([host]) =>
      `There is an anonymous user for the host ${quoteText(String(host).slice(0, 255))}: from there a minted user cannot log in; drop it`,
  );
}

/** A dropped user leaves behind what was made in its name, and a caller of that meets an error. */
async function orphanedObjects(
  connection: MysqlConnection,
  database: string | null,
): Promise<readonly string[]> {
  const warnings: string[] = [];
  for (const [table, schema, noun] of DEFINERS) {
    const where = database === null ? '' : ` AND ${schema} = ${quoteText(database)}`;
    await tolerating(RIGHT_MISSING, async () => {
      const { rows } = await connection.run(
        `SELECT COUNT(*) FROM information_schema.${table} WHERE definer LIKE 'kc\\_user\\_%'${where}`,
      );
      const count = Number(rows[0]?.[0] ?? 0);
      if (count > 0)
        warnings.push(`A minted user is the definer of ${count} ${noun}(s), which fail once it is dropped`);
    });
  }
  return warnings;
}
