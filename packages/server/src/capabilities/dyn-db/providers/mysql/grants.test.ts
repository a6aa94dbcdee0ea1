import { expect, it } from 'vitest';
import { AdminGrants } from './grants.js';
import { serverKindOf } from './server-kind.js';

const ADMIN = "'admin'@'%'";
const mysql8 = (...lines: string[]) => new AdminGrants(lines, ADMIN, serverKindOf('8.4.3'));
const TO = 'TO `admin`@`%`';

// MySQL's own words, by its manual: no MySQL is run in the tests unless TEST_MYSQL_URL names one.
it.each([
  [[`GRANT USAGE ON *.* ${TO}`], 'CREATE USER'],
  [[`GRANT CREATE USER ON *.* ${TO}`], 'PROCESS'],
  [[`GRANT PROCESS, CREATE USER ON *.* ${TO}`], 'CONNECTION_ADMIN'],
  [
    [
      `GRANT PROCESS, CREATE USER ON *.* ${TO}`,
      `GRANT CONNECTION_ADMIN,ROLE_ADMIN ON *.* ${TO}`,
      `GRANT SELECT ON \`shop\`.* ${TO}`,
    ],
    'SELECT, INSERT, UPDATE, DELETE',
  ],
])('MySQL 8 %#', (lines, privilege) => {
  const [scope, suffix] = privilege.startsWith('SELECT')
    ? ['`my\\_shop`.*', ' WITH GRANT OPTION']
    : ['*.*', ''];
  expect(mysql8(...lines).missing('my_shop')?.hint).toBe(
    `GRANT ${privilege} ON ${scope} TO 'admin'@'%'${suffix}`,
  );
});

it('MySQL 8 with all of them lacks none', () => {
  const grants = mysql8(
    `GRANT PROCESS, CREATE USER ON *.* ${TO}`,
    `GRANT CONNECTION_ADMIN,ROLE_ADMIN ON *.* ${TO}`,
    `GRANT SELECT (id, name), INSERT, \`app\`@\`%\` ON \`a\`\`b\`.\`t\` ${TO} WITH GRANT OPTION`,
    `GRANT \`app\`@\`%\` ${TO} WITH ADMIN OPTION`,
    'REVOKE SELECT ON `mysql`.* FROM `admin`@`%`',
  );
  expect(grants.missing(null)).toBe(null);
  expect([grants.maySetDefaultRoles(), grants.mayReadUsers()]).toEqual([true, false]);
});

it('a root-like admin has everything', () => {
  const grants = new AdminGrants(
    [`GRANT ALL PRIVILEGES ON *.* ${TO} IDENTIFIED BY PASSWORD '*00' WITH GRANT OPTION`],
    ADMIN,
    serverKindOf('10.11.19-MariaDB'),
  );
  expect(grants.missing('shop')).toBe(null);
  expect([grants.maySetDefaultRoles(), grants.mayReadUsers(), grants.maySeeSessions()]).toEqual([
    true,
    true,
    true,
  ]);
});
