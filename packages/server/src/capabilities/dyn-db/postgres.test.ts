import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { Secret } from '../../kernel/secret.js';
import { onPostgres } from '../../testing/databases.js';
import { createDynDbHarness, type DynDbHarness } from '../../testing/dyn-db-harness.js';
import { openTargetPostgres, type TargetPostgres } from '../../testing/target-postgres.js';
import { dialingTransport } from './providers/engine.contract.js';
import { createEngines } from './providers/index.js';

/** The whole way, from the call to a real server and back. */
onPostgres((open) => {
  describe.each(['superuser', 'createrole'] as const)('as %s', (admin) => {
    let target: TargetPostgres;
    let harness: DynDbHarness;
    const userCount = async () =>
      Number(
        (
          await target.run<{ n: string }>(
            `SELECT count(*) AS n FROM pg_roles WHERE rolname LIKE 'kc_user_${target.target.database}%'`,
          )
        )[0]!.n,
      );

    beforeAll(async () => {
      target = await openTargetPostgres(admin);
      const { database, adminUsername, adminPassword, host, port } = target.target;
      await target.run(
        'CREATE TABLE things (n integer); INSERT INTO things VALUES (1)',
        database ?? undefined,
      );
      if (admin === 'createrole')
        await target.run(`ALTER TABLE things OWNER TO ${adminUsername}`, database ?? undefined);
      harness = await createDynDbHarness({
        open,
        // VALID UNTIL is judged by the server's own clock.
        startMs: systemClock.nowMs(),
        targets: {
          engines: createEngines(systemClock),
          transports: {
            problem: () => null,
            create: () => ({ ...dialingTransport(), resolve: async () => [] }),
          },
          extraCa: null,
          isWorkerPaused: false,
        },
      });
      await harness.connect('orders', {
        host,
        port,
        database_name: database,
        admin_username: adminUsername,
        admin_password: adminPassword.reveal(),
        // Other suites have users on the same server.
        username_template: `${database}_{{random}}`,
        connect_options: { sslmode: 'prefer', statement_timeout_ms: 5_000 },
      });
    });
    afterAll(async () => {
      await harness.ask('DELETE', '/orders?force=true');
      await harness.close();
      await target.cleanup();
    });

    it('a test goes every step', async () => {
      const { json } = await harness.ask('POST', '/orders/test', {});
      expect(json['data']).toMatchObject({ ok: true, error: null });
      expect(await userCount()).toBe(0);
    });

    it('a minted user reads and does not write, and is gone with its session at its expiry', async () => {
      const { username, password, lease_id } = await harness.mint('orders', { ttl_seconds: 60 });
      const client = await target.logIn(username, new Secret(password));
      expect((await client.query('SELECT n FROM things')).rows).toEqual([{ n: 1 }]);
      await expect(client.query('INSERT INTO things VALUES (2)')).rejects.toThrow(/permission denied/);
      await harness.pass(61_000);
      expect(await harness.statusOf(lease_id)).toBe('expired');
      await expect(client.query('SELECT 1')).rejects.toThrow();
      await expect(target.logIn(username, new Secret(password))).rejects.toThrow();
      expect(await userCount()).toBe(0);
    });

    it('150 that are due at once are gone, each with one row', async () => {
      const minted = [];
      for (let n = 0; n < 150; n += 1) minted.push(await harness.mint('orders', { ttl_seconds: 3_000 }));
      await harness.ask('POST', '/leases/revoke', { connection: 'orders' });
      await harness.pass(1_000);
      expect(await userCount()).toBe(0);
      const { json } = await harness.call('GET', '/v1/audit-logs?action=dyn_db.lease.revoke', {
        key: harness.tenant.live,
      });
      expect(json['meta'].total).toBe(minted.length + 1);
    });

    it('a rotated password holds, and the former one is refused', async () => {
      expect((await harness.ask('POST', '/orders/rotate-admin-password')).status).toBe(200);
      const { adminUsername, adminPassword } = target.target;
      await expect(target.logIn(adminUsername, adminPassword)).rejects.toThrow(/password/);
      const { lease_id } = await harness.mint('orders');
      expect((await harness.ask('POST', `/leases/${lease_id}/revoke`, {})).status).toBe(200);
    });
  });
});
