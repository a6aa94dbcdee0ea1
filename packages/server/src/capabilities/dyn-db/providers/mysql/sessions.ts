import { databaseError } from '../../errors.js';
import { type MysqlConnection, tolerating } from './connection.js';
import type { AdminGrants } from './grants.js';
import { ERRNO } from './refusal.js';
import type { ServerKind } from './server-kind.js';
import { quoteText } from './sql.js';

/** A session ends when its thread comes by the next time: seen at once, or within the second. */
const ROUNDS_MAX = 40;
/** The server waits, so that no clock of ours is needed. */
const PAUSE = 'SELECT SLEEP(0.025)';

/**
 * Ends every session of a user and sees that they are gone: they live on after `DROP USER`. `MysqlRefusal` where the
 * admin may not.
 */
export async function endSessions(
  connection: MysqlConnection,
  kind: ServerKind,
  grants: AdminGrants,
  username: string,
): Promise<void> {
  const byName = kind.isMariadb && grants.mayEndSessions();
  if (!byName && !grants.maySeeSessions()) {
    throw databaseError(
      '42000',
      'the admin may not end the sessions of other users; a test of the connection says what it needs',
    );
  }
  const killOnce = byName ? killByName : killByNumber;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    if ((await killOnce(connection, username)) === 0) return;
    await connection.run(PAUSE);
  }
  throw databaseError('HY000', 'sessions of the user have not ended yet');
}

/** Of every host; the answer counts the sessions that were there. Who may not is answered with none, and OK. */
async function killByName(connection: MysqlConnection, username: string): Promise<number> {
  return (await connection.run(`KILL CONNECTION USER ${quoteText(username)}`)).affectedRows;
}

async function killByNumber(connection: MysqlConnection, username: string): Promise<number> {
  const { rows } = await connection.run(
    `SELECT id, command FROM information_schema.processlist WHERE user = ${quoteText(username)}`,
  );
  // One that is killed has lost its client; it may have much to roll back.
  const alive = rows.filter(([, command]) => command !== 'Killed');
  for (const [id] of alive) {
    await tolerating([ERRNO.noSuchThread], () => connection.run(`KILL CONNECTION ${Number(id)}`));
  }
  return alive.length;
}
