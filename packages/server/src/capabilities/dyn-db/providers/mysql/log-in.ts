import type { Transport } from '../../transports/transport.js';
import type { EngineSession, EngineTarget } from '../engine.js';
import { connectMysql } from './connection.js';
import { errorOfRefusal, MysqlRefusal } from './refusal.js';
import { type ServerKind, serverKindOf } from './server-kind.js';
import { MysqlSession } from './session.js';

const VERSION_CHARACTERS_MAX = 100;

/** `Engine.connect`. */
export async function logInToMysql(
  target: EngineTarget,
  transport: Transport,
  signal: AbortSignal,
): Promise<EngineSession> {
  const connection = await connectMysql(target, transport, signal);
  try {
    const { rows } = await connection.run('SELECT VERSION()');
    const version = String(rows[0]?.[0])
      .replace(/[^\w.~+-]/g, '')
      .slice(0, VERSION_CHARACTERS_MAX);
    const kind = serverKindOf(version);
    await connection.run(settingsOf(kind, target.statementTimeoutMs));
    return new MysqlSession(connection, kind, version, target);
  } catch (error) {
    connection.close();
    throw error instanceof MysqlRefusal ? errorOfRefusal(error, 'logging in') : error;
  }
}

/** The scanner of statements and our own quoting read as this mode does; the server gives up when we do. */
function settingsOf(kind: ServerKind, statementTimeoutMs: number): string {
  const modes = ['STRICT_TRANS_TABLES', ...(kind.hasNoAutoCreateUser ? ['NO_AUTO_CREATE_USER'] : [])];
  const seconds = Math.ceil(statementTimeoutMs / 1000);
  return [
    `SET SESSION sql_mode = '${modes.join(',')}'`,
    `SESSION lock_wait_timeout = ${seconds}`,
    ...(kind.hasMaxStatementTime ? [`SESSION max_statement_time = ${seconds}`] : []),
  ].join(', ');
}
