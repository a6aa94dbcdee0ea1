import { notFound } from '../../../kernel/errors.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import { connectionEntry } from '../audit.js';
import type { DynDbParts } from '../deps.js';
import { generatePassword } from '../statements/password.js';

/**
 * The admin password becomes one that nobody but the server knows. The new one is stored before the database hears of
 * it, and until the end is known both are kept: a log-in tells which of them holds, so that a crash at any point locks
 * nobody out. A rotation that was broken off is gone on with, with the password that it had chosen.
 */
export function createRotation(parts: DynDbParts) {
  const { db, clock, random, databases, connections, auditLogs } = parts;

  return async function rotateAdminPassword(caller: Caller, name: string): Promise<void> {
    const { scope } = caller.principal;
    const known = await connections.find(scope, name);
    if (!known) throw notFound('Connection');
    const fresh = await databases.sealNextPassword(scope, known.id, generatePassword(random));
    const connection = await db.transaction(async (tx) => {
      await tx.lock('dyn_db_connections', known.id);
      const now = await connections.findById(scope, known.id, tx);
      if (!now) throw notFound('Connection');
      if (now.nextPasswordEnvelope) return now;
      await connections.update(tx, scope, known.id, { nextPasswordEnvelope: fresh }, clock.nowMs());
      return { ...now, nextPasswordEnvelope: fresh };
    });
    const next = await databases.nextPassword(scope, connection);
    if (!next) throw notFound('Connection');
    await databases.use(scope, connection, (session) => session.changeAdminPassword(next));
    const passwordEnvelope = await databases.sealPassword(scope, connection.id, next);
    await db.transaction(async (tx) => {
      await connections.settlePassword(tx, scope, connection, passwordEnvelope, clock.nowMs());
      await auditLogs.record(tx, actorOf(caller), connectionEntry('rotate_admin_password', connection));
      await recordAnswer(tx, caller, name);
    });
  };
}
