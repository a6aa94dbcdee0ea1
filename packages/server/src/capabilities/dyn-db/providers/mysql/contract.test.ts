import type { Connection, ResultSetHeader } from 'mysql2/promise';
import { onMysql, openTargetMysql } from '../../../../testing/target-mysql.js';
import { type Act, type EngineFixture, engineContract } from '../engine.contract.js';
import { mysqlEngine } from './engine.js';

const act = (title: string, sql: string): Act<Connection> => ({ title, run: (guest) => guest.query(sql) });

const READS = [
  act('SELECT', 'SELECT * FROM orders'),
  act('SELECT of a view', 'SELECT * FROM open_orders'),
  act('COMMIT', 'COMMIT'),
];

const WRITES = [
  act('INSERT', "INSERT INTO orders (id, item) VALUES (2, 'b')"),
  act('UPDATE', "UPDATE orders SET item = 'c' WHERE id = 2"),
  act('DELETE', 'DELETE FROM orders WHERE id = 2'),
];

/** Of both templates. */
function beyond(other: string, admin: string): Act<Connection>[] {
  return [
    act('a table of another database', `SELECT * FROM \`${other}\`.secrets`),
    act('users of the server', 'SELECT * FROM mysql.user'),
    act('CREATE TABLE', 'CREATE TABLE mine (id INT)'),
    act('CREATE TEMPORARY TABLE', 'CREATE TEMPORARY TABLE mine (id INT)'),
    act('CREATE VIEW', 'CREATE VIEW mine AS SELECT 1'),
    act('CREATE PROCEDURE', 'CREATE PROCEDURE mine() SELECT 1'),
    act('CREATE TRIGGER', 'CREATE TRIGGER mine BEFORE INSERT ON orders FOR EACH ROW SET @a = 1'),
    act('CREATE EVENT', 'CREATE EVENT mine ON SCHEDULE EVERY 1 DAY DO SELECT 1'),
    act('CALL', 'CALL tidy()'),
    act('ALTER TABLE', 'ALTER TABLE orders ADD COLUMN extra INT'),
    act('DROP TABLE', 'DROP TABLE orders'),
    act('TRUNCATE', 'TRUNCATE TABLE orders'),
    act('LOCK TABLES', 'LOCK TABLES orders WRITE'),
    act('CREATE DATABASE', 'CREATE DATABASE kc_mine'),
    act('CREATE USER', "CREATE USER kc_mine IDENTIFIED BY 'x'"),
    act('GRANT', `GRANT SELECT ON orders TO CURRENT_USER()`),
    act('SELECT INTO OUTFILE', "SELECT 1 INTO OUTFILE '/tmp/kc-mine'"),
    act('SET GLOBAL', 'SET GLOBAL max_connections = 1'),
    {
      title: 'KILL of another',
      async run(guest) {
        const [ended] = await guest.query<ResultSetHeader>(`KILL CONNECTION USER ${admin}`);
        // MariaDB says OK to who may not.
        if (ended.affectedRows === 0) throw new Error('nobody was ended');
      },
    },
    act('the sessions of others', 'SHOW ENGINE INNODB STATUS'),
    act('SHUTDOWN', 'SHUTDOWN'),
  ];
}

async function open(admin: 'root-like' | 'least'): Promise<EngineFixture<Connection>> {
  const server = await openTargetMysql(admin);
  const { database, run } = server;
  // Its name matches the pattern that the first one would be, were its `_` not escaped.
  const other = database.replace('_', 'X');
  await run(`CREATE DATABASE ${other}`);
  await run(`CREATE TABLE ${other}.secrets (id INT)`);
  await run(`CREATE TABLE ${database}.orders (id INT PRIMARY KEY AUTO_INCREMENT, item VARCHAR(20))`);
  await run(`CREATE VIEW ${database}.open_orders AS SELECT * FROM ${database}.orders`);
  await run(`CREATE PROCEDURE ${database}.tidy() DELETE FROM ${database}.orders WHERE id < 0`);
  const count = async (sql: string) => Number((await run(sql))[0]);
  const users = (name: string) => count(`SELECT COUNT(*) FROM mysql.user WHERE User = '${name}'`);
  return {
    engine: mysqlEngine,
    target: server.target,
    powerless: {
      target: server.powerless,
      hint: /^GRANT CREATE USER ON \*\.\* TO 'target_powerless_\w+'@'%'$/,
    },
    customStatements: {
      creation: `CREATE USER '{{username}}'@'%' IDENTIFIED BY '{{password}}';
        GRANT SELECT ON orders TO '{{username}}'@'%'`,
      revocation: "DROP USER '{{username}}'@'%'",
    },
    acts: {
      readonly: { allowed: READS, refused: [...WRITES, ...beyond(other, server.target.adminUsername)] },
      readwrite: { allowed: [...READS, ...WRITES], refused: beyond(other, server.target.adminUsername) },
    },
    rolesNotEnforced: null,
    expiresByItself: false,
    ownership: null,
    logIn: server.logIn,
    userExists: async (name) => (await users(name)) > 0,
    makeHalfUser: async (name) => void (await run(`CREATE USER '${name}'@'%' IDENTIFIED BY 'x'`)),
    groupRoleExists: async (name) => (await users(name)) > 0,
    async cleanup() {
      await run(`DROP DATABASE ${other}`);
      await server.cleanup();
    },
  };
}

onMysql(() => {
  engineContract('an admin who may do everything', () => open('root-like'));
  engineContract('an admin with the least rights', () => open('least'));
});
