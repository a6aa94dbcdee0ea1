import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../../kernel/clock.js';
import { systemIds } from '../../../platform/crypto/random.js';
import { onPostgres, openTestSqlite } from '../../../testing/databases.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import { type Outcome, type SimulatedTarget, simulate } from '../../../testing/lease-simulation.js';
import { openTargetPostgres, type TargetPostgres } from '../../../testing/target-postgres.js';
import { createTestTenant } from '../../../testing/tenants.js';
import { targetUnavailable } from '../errors.js';
import { dialingTransport } from '../providers/engine.contract.js';
import { createEngines } from '../providers/index.js';

/** `npm run soak` sets the count; a failed seed is in the title, and what it did is printed. */
const SEEDS = Number(process.env['KNOX_SIMULATION_SEEDS'] ?? 20);
const FIRST = Number(process.env['KNOX_SIMULATION_FIRST_SEED'] ?? 1);

onPostgres((open) => {
  const harnesses: Harness[] = [];
  const superuser = new pg.Client({ connectionString: process.env['TEST_DATABASE_URL'] });
  let server: TargetPostgres;
  beforeAll(async () => {
    await superuser.connect();
    for (const one of [open, openTestSqlite]) harnesses.push(await createHarness({ open: one }));
  });
  afterAll(() => Promise.all([superuser.end(), ...harnesses.map((harness) => harness.close())]));

  function simulatedTarget(): SimulatedTarget {
    const { host, port, database, adminUsername, adminPassword } = server.target;
    const sockets = new Set<{ destroy(): void }>();
    let isDown = false;
    return {
      engines: createEngines(systemClock),
      transports: {
        problem: () => null,
        create: () => ({
          ...dialingTransport(),
          async open(address, signal) {
            if (isDown) throw targetUnavailable('down');
            const socket = await dialingTransport().open(address, signal);
            sockets.add(socket);
            socket.once('close', () => sockets.delete(socket));
            return socket;
          },
          resolve: async () => [],
        }),
      },
      connection: { host, port, databaseName: database ?? 'postgres', adminUsername },
      usernameTemplate: `${database}_{{random}}`,
      password: adminPassword.reveal(),
      setDown(next) {
        isDown = next;
        if (isDown) for (const socket of sockets) socket.destroy();
      },
      users: async () =>
        (
          await superuser.query<{ rolname: string }>(
            `SELECT rolname FROM pg_roles WHERE rolname LIKE 'kc_user_${database}%'`,
          )
        ).rows.map(({ rolname }) => rolname),
      async resetPassword() {
        await superuser.query(`ALTER ROLE ${adminUsername} PASSWORD '${adminPassword.reveal()}'`);
      },
    };
  }

  /** Of how many mints and ends there are rows, for each lease that is named in one. */
  async function toldOf(harness: Harness, tenantId: Parameters<Harness['auditLogs']['list']>[0]) {
    const mints = new Map<string, number>();
    const ends = new Map<string, number>();
    for (let page = 1; ; page += 1) {
      const filter = { resourceType: 'dyn_db_lease', page, perPage: 100, order: 'asc' } as const;
      const { rows } = await harness.auditLogs.list(tenantId, filter);
      for (const { action, resourceId } of rows) {
        // Of many at once the row names none.
        if (resourceId === null) continue;
        if (action.endsWith('.mint')) mints.set(resourceId, (mints.get(resourceId) ?? 0) + 1);
        if (/\.(expire|revoke|force_forget)$/.test(action))
          ends.set(resourceId, (ends.get(resourceId) ?? 0) + 1);
      }
      if (rows.length < 100) return { mints: Object.fromEntries(mints), ends: Object.fromEntries(ends) };
    }
  }

  const seen: Outcome[] = [];
  it.each(Array.from({ length: SEEDS }, (_, n) => FIRST + n))(
    'seed %i leaves no user without a lease, no lease without a user, and one row for each end',
    async (seed) => {
      const acts: string[] = [];
      const harness = harnesses[seed % 4 === 0 ? 0 : 1]!;
      server = await openTargetPostgres('createrole');
      try {
        const tenant = await createTestTenant({ ...harness, ids: systemIds }, `seed-${seed}`);
        const caller = harness.callerOf(tenant, 'live');
        const outcome = await simulate(harness, simulatedTarget(), caller, seed, (line) => acts.push(line));
        seen.push(outcome);
        const { unwrittenUsers, neglectedUsers, strayUsers, lostUsers, usersLeft, leases } = outcome;
        expect({ unwrittenUsers, neglectedUsers, strayUsers, lostUsers, usersLeft }).toEqual({
          unwrittenUsers: [],
          neglectedUsers: [],
          strayUsers: [],
          lostUsers: [],
          usersLeft: [],
        });
        expect(leases.filter(({ status }) => status !== 'expired' && status !== 'revoked')).toEqual([]);
        const { mints, ends } = await toldOf(harness, tenant.id);
        expect(ends).toEqual(Object.fromEntries(leases.map(({ id }) => [id, 1])));
        const ids = leases.map(({ id }) => String(id));
        expect(Object.entries(mints).filter(([id, rows]) => rows !== 1 || !ids.includes(id))).toEqual([]);
        const answered = [...outcome.answersByKey.values()].map(
          (answers) => [...answers].filter((id) => mints[id] !== undefined).length,
        );
        expect(Math.max(...answered)).toBeLessThanOrEqual(1);
      } catch (error) {
        throw new Error(`seed ${seed}:\n  ${acts.join('\n  ')}`, { cause: error });
      } finally {
        await server.cleanup();
      }
    },
    60_000,
  );

  const few = SEEDS < 10 ? ' (skipped: a few seeds need not try everything)' : '';
  it.skipIf(few)(`and they tried what they were to try${few}`, () => {
    const sum = (of: (outcome: Outcome) => number) => seen.reduce((total, outcome) => total + of(outcome), 0);
    expect(sum(({ minted }) => minted)).toBeGreaterThan(4 * SEEDS);
    expect(sum(({ crashes }) => crashes)).toBeGreaterThan(SEEDS);
    for (const of of ['takenOver', 'deletions', 'living'] as const)
      expect([of, sum((outcome) => outcome[of])]).toEqual([
        of,
        expect.toSatisfy((count) => count > SEEDS / 4),
      ]);
  });
});
