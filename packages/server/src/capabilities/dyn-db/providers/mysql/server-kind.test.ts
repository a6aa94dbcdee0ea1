import { expect, it } from 'vitest';
import { serverKindOf } from './server-kind.js';

it.each([
  ['10.0.4-MariaDB', { isMariadb: true, hasRoles: false, hasAccountLock: false, hasMaxStatementTime: false }],
  ['10.4.2-MariaDB-log', { hasRoles: true, hasAccountLock: true, hasConnectionAdmin: false }],
  [
    '10.11.19-MariaDB-0+deb12u1',
    { hasConnectionAdmin: true, hasNoAutoCreateUser: true, hasMaxStatementTime: true },
  ],
  ['5.7.44-log', { isMariadb: false, hasRoles: false, hasAccountLock: true, hasNoAutoCreateUser: true }],
  [
    '8.0.36',
    { hasRoles: true, hasConnectionAdmin: true, hasNoAutoCreateUser: false, hasMaxStatementTime: false },
  ],
  ['8.4', { hasRoles: true, hasAlterCurrentUser: true }],
  ['nonsense', { isMariadb: false, hasRoles: false }],
])('%s', (version, expected) => {
  expect(serverKindOf(version)).toMatchObject(expected);
});
