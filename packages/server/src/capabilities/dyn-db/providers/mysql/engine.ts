import { parseCreation, parseRevocation } from '../../statements/template.js';
import type { Engine, GroupRole, RoleStatements } from '../engine.js';
import { quoteName } from './sql.js';

/** MySQL and MariaDB; which of them a server is shows at log-in. */
export const mysqlEngine: Engine = {
  name: 'mysql',
  defaultPort: 3306,
  // MariaDB takes 80.
  usernameCharactersMax: 32,
  templateStatements,
  checkStatements(creation, revocation) {
    parseCreation(creation, 'mysql');
    parseRevocation(revocation, 'mysql');
  },
  // The driver is loaded where a server is logged in to, and not by every server at its start.
  async connect(target, transport, signal) {
    const { logInToMysql } = await import('./log-in.js');
    return logInToMysql(target, transport, signal);
  },
};

/** As MySQL 8 writes it; a session says the same in its server's words. */
function templateStatements(group: GroupRole): RoleStatements {
  const role = quoteName(group.name);
  const user = "'{{username}}'@'%'";
  return {
    creation: [
      `CREATE USER ${user} IDENTIFIED BY '{{password}}'`,
      `GRANT ${role} TO ${user}`,
      `SET DEFAULT ROLE ${role} TO ${user}`,
    ].join(';\n'),
    revocation: [`ALTER USER ${user} ACCOUNT LOCK`, `DROP USER IF EXISTS ${user}`].join(';\n'),
    group,
  };
}
