import type { Clock } from '../../../kernel/clock.js';
import { notFound } from '../../../kernel/errors.js';
import type { IdSource } from '../../../kernel/ids.js';
import type { Caller } from '../../../kernel/principal.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Database } from '../../../platform/storage/database.js';
import { actorName } from '../audit.js';
import { actBudgetMs, type Engines } from '../connections/databases.js';
import type { Probe } from '../connections/preflight.js';
import type { Connection, ConnectionStore } from '../connections/store.js';
import { isUsernameTaken } from '../errors.js';
import type { Role, RoleStore } from '../roles/store.js';
import { generateUsername } from '../statements/names.js';
import { generatePassword } from '../statements/password.js';
import type { LeaseClaims } from './claims.js';
import { pinnedStatements } from './mint.js';
import type { LeaseStore } from './store.js';

export interface ProbesDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly engines: Engines;
  readonly connections: Pick<ConnectionStore, 'findById'>;
  readonly roles: Pick<RoleStore, 'setGroupMade'>;
  readonly leases: Pick<LeaseStore, 'insertPending'>;
  readonly claims: Pick<LeaseClaims, 'discard'>;
}

export type Probes = ReturnType<typeof createProbes>;

const PROBE_TTL_SECONDS = 60;

/**
 * Users that are made to be dropped. Each is written ahead like any other, so that no crash leaves one; of those that
 * were dropped nothing is kept.
 */
export function createProbes(deps: ProbesDeps) {
  const { db, clock, ids, random, engines, connections, roles, leases, claims } = deps;

  function probeOf(caller: Caller, connection: Connection, role: Role): Probe {
    const { scope } = caller.principal;
    const username = generateUsername(random);
    const statements = pinnedStatements(engines, connection, role);
    const owner = ids.uuid();
    let leaseId: number | null = null;

    async function forget(id: number): Promise<void> {
      await db.transaction((tx) => claims.discard(tx, scope, owner, id));
      leaseId = null;
    }

    return {
      role: role.name,
      async mint(session) {
        const nowMs = clock.nowMs();
        const expiresAtMs = nowMs + PROBE_TTL_SECONDS * 1_000;
        leaseId = await db.transaction(async (tx) => {
          // The log-in takes its time; of a connection that was deleted meanwhile no worker would end the lease.
          if (!(await connections.findById(scope, connection.id, tx))) throw notFound('Connection');
          return leases.insertPending(tx, scope, {
            connectionId: connection.id,
            connectionName: connection.name,
            roleId: role.id,
            roleName: role.name,
            engine: connection.engine,
            username,
            statements,
            actor: actorName(caller.principal),
            ttlSeconds: PROBE_TTL_SECONDS,
            issuedAtMs: nowMs,
            expiresAtMs,
            maxExpiresAtMs: expiresAtMs,
            endCause: 'probe',
            claim: { owner, untilMs: nowMs + 2 * actBudgetMs(connection) },
          });
        });
        const { group } = statements;
        if (group) {
          await session.ensureGroupRole(group);
          await db.transaction((tx) => roles.setGroupMade(tx, scope, connection.id, group.name, true));
        }
        try {
          await session.createUser({ username, password: generatePassword(random), expiresAtMs }, statements);
        } catch (error) {
          if (isUsernameTaken(error)) await forget(leaseId);
          throw error;
        }
      },
      async drop(session) {
        if (leaseId === null) return;
        await session.dropUser(username, statements);
        await forget(leaseId);
      },
    };
  }

  return {
    of: (caller: Caller, connection: Connection, probed: readonly Role[]): readonly Probe[] =>
      probed.map((role) => probeOf(caller, connection, role)),
  };
}
