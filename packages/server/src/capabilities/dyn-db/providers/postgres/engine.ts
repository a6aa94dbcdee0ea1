import type { Clock } from '../../../../kernel/clock.js';
import { scramSha256Verifier } from '../../../../platform/crypto/scram.js';
import { parseCreation, parseRevocation } from '../../statements/template.js';
import type { Engine, GroupRole, RoleStatements } from '../engine.js';

const DEFAULT_DATABASE = 'postgres';

export function createPostgresEngine(clock: Clock): Engine {
  return {
    name: 'postgres',
    defaultPort: 5432,
    usernameCharactersMax: 63,
    templateStatements,
    verifierOf: scramSha256Verifier,
    checkStatements(creation, revocation) {
      parseCreation(creation, 'postgres');
      parseRevocation(revocation, 'postgres');
    },
    // The driver is loaded where a server is logged in to, and not by every server at its start.
    async connect(target, transport, signal) {
      const { openPostgresSession } = await import('./session.js');
      const database = target.database ?? DEFAULT_DATABASE;
      return openPostgresSession({ clock, target, database, transport, signal });
    },
  };
}

/** What is run at revocation is more careful than this text, which says what it comes to. */
function templateStatements(group: GroupRole): RoleStatements {
  const creation = `CREATE ROLE "{{username}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE "${group.name}"`;
  const revocation = [
    'ALTER ROLE "{{username}}" NOLOGIN',
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{username}}'",
    // Were it the admin, what the user has left would be run with the admin's rights.
    'REASSIGN OWNED BY "{{username}}" TO "kc_estate_<oid of the admin>"',
    'DROP OWNED BY "{{username}}"',
    'DROP ROLE IF EXISTS "{{username}}"',
  ].join(';\n');
  return { creation, revocation, group };
}
