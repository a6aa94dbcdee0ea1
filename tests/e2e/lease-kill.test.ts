import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Relay, startRelay } from '../../packages/server/src/testing/relay.js';
import {
  openTargetPostgres,
  type TargetPostgres,
} from '../../packages/server/src/testing/target-postgres.js';
import { createDraw } from './crash-load.js';
import { type E2eDatabase, onPostgres, openSqlite, type Scene, setScene } from './scene.js';
import { killAll, runToEnd, startServer } from './server-process.js';

/** `npm run soak` sets both. */
const KILLS = Number(process.env['KNOX_LEASE_KILLS'] ?? 5);
const SEED = Number(process.env['KNOX_CRASH_SEED'] ?? 4);

const CALLERS = 4;
const ACKNOWLEDGEMENTS_MAX = 25;
const TURNS_MAX = 1_000;
/** More than a mint that died keeps its lease from the workers. */
const DOWN_MS = 120_000;
const CLOCK_AHEAD = new URL('./clock-ahead.mjs', import.meta.url).href;

const DATABASES = '/v1/dyn-db-credentials';
const DAY_SECONDS = 86_400;

interface LeaseRow {
  readonly id: number;
  readonly status: string;
  readonly username: string;
  readonly expires_at: string;
}

interface AuditRow {
  readonly action: string;
  readonly resource_id: string | null;
}

afterAll(killAll);

onPostgres((openPostgres) => {
  const onDatabases: readonly (readonly [string, () => Promise<E2eDatabase>, number])[] = [
    ['SQLite', openSqlite, KILLS - Math.floor(KILLS / 5)],
    ['PostgreSQL', openPostgres, Math.floor(KILLS / 5)],
  ];

  describe.each(onDatabases)('a server on %s killed while it mints and revokes', (_name, open, kills) => {
    const draw = createDraw(SEED);
    const points = Array.from({ length: kills }, (_, index) => ({
      number: index + 1,
      acknowledgements: 1 + draw(ACKNOWLEDGEMENTS_MAX),
      turns: draw(TURNS_MAX),
    }));
    let target: TargetPostgres;
    let relay: Relay;
    let scene: Scene;
    let aheadMs = 0;
    /** Minted for a day, and nobody has asked to end them. */
    const kept = new Set<number>();

    beforeAll(async () => {
      target = await openTargetPostgres('createrole');
      const { host, port, database, adminUsername, adminPassword } = target.target;
      // The server refuses its own database's port, which this one may share.
      relay = await startRelay({ host, port });
      scene = await setScene(await open(), (_request, response) => response.end());
      await ask('POST', '', {
        name: 'shop',
        engine: 'postgres',
        host: '127.0.0.1',
        port: relay.port,
        database_name: database,
        admin_username: adminUsername,
        admin_password: adminPassword.reveal(),
        username_template: `${database}_{{random}}`,
        connect_options: { sslmode: 'prefer', connect_timeout_ms: 2_000, statement_timeout_ms: 5_000 },
      });
      await ask('POST', '/shop/roles', { name: 'reader', template: 'readonly' });
    });
    afterAll(async () => {
      await scene?.close();
      await relay?.close();
      await target?.cleanup();
    });

    async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
      const { status, text } = await scene.api(method, `${DATABASES}${path}`, body);
      if (status !== 200) throw new Error(`${method} ${path}: ${status} ${text}`);
      return (JSON.parse(text) as { data: T }).data;
    }

    async function usernames(): Promise<string[]> {
      const { database } = target.target;
      const rows = await target.run<{ name: string }>(
        `SELECT rolname AS name FROM pg_roles WHERE rolname LIKE 'kc_user_${database}%'`,
      );
      return rows.map(({ name }) => name).sort();
    }

    async function leases(status: 'live' | 'all'): Promise<LeaseRow[]> {
      const all: LeaseRow[] = [];
      for (;;) {
        const query = `status=${status}&limit=500&offset=${all.length}`;
        const page = (await ask<{ leases: LeaseRow[] }>('GET', `/leases?${query}`)).leases;
        all.push(...page);
        if (page.length < 500) return all;
      }
    }

    async function auditRows(): Promise<AuditRow[]> {
      const all: AuditRow[] = [];
      for (let page = 1; ; page += 1) {
        const { text } = await scene.api(
          'GET',
          `/v1/audit-logs?resource_type=dyn_db_lease&per_page=100&page=${page}&order=asc`,
        );
        const { data } = JSON.parse(text) as { data: AuditRow[] };
        all.push(...data);
        if (data.length < 100) return all;
      }
    }

    async function loadAndKill({ acknowledgements, turns }: (typeof points)[number]): Promise<void> {
      let isKilled = false;
      let count = 0;
      const kill = async () => {
        for (let turn = 0; turn < turns; turn += 1) await nextTurn();
        isKilled = true;
        scene.server.signal('SIGKILL');
      };
      async function act(): Promise<void> {
        const [revoked] = draw(3) === 0 ? kept : [];
        if (revoked !== undefined) {
          kept.delete(revoked);
          await ask('POST', `/leases/${revoked}/revoke`, {});
          return;
        }
        // Some end while the load runs, some while the server is down.
        const seconds = [1, 60, DAY_SECONDS, DAY_SECONDS][draw(4)]!;
        const minted = await ask<{ lease_id: number }>('POST', '/shop/creds/reader', {
          ttl_seconds: seconds,
        });
        if (seconds === DAY_SECONDS) kept.add(minted.lease_id);
      }
      async function callUntilKilled(): Promise<void> {
        while (!isKilled) {
          try {
            await act();
          } catch (error) {
            if (isKilled && error instanceof TypeError) return;
            throw error;
          }
          count += 1;
          if (count === acknowledgements) void kill();
        }
      }
      await Promise.all(Array.from({ length: CALLERS }, callUntilKilled));
      expect(await scene.server.exited).toMatchObject({ signal: 'SIGKILL' });
    }

    async function restart(): Promise<void> {
      aheadMs += DOWN_MS;
      scene.server = await startServer({
        ...scene.environment,
        NODE_OPTIONS: `--import=${CLOCK_AHEAD}`,
        TEST_CLOCK_AHEAD_MS: String(aheadMs),
      });
    }

    /** What the workers have still to do. */
    async function undone() {
      const [live, users] = [await leases('live'), await usernames()];
      const owned = new Set(live.map(({ username }) => username));
      const nowMs = Date.now() + aheadMs;
      return {
        late: live.filter((lease) => Date.parse(lease.expires_at) <= nowMs),
        strayUsers: users.filter((name) => !owned.has(name)),
        lostUsers: [...owned].filter((name) => !users.includes(name)),
      };
    }

    const NOTHING = { late: [], strayUsers: [], lostUsers: [] };

    /** Of how many mints and ends there are rows, by lease. */
    async function told(verbs: RegExp): Promise<Record<string, number>> {
      const counts: Record<string, number> = {};
      for (const { action, resource_id: id } of await auditRows()) {
        if (id !== null && verbs.test(action)) counts[id] = (counts[id] ?? 0) + 1;
      }
      return counts;
    }

    it.each(points)(
      'kill $number, after $acknowledgements acknowledgements and $turns turns',
      async (point) => {
        await loadAndKill(point);
        await restart();
        await expect.poll(undone, { timeout: 20_000 }).toEqual(NOTHING);
        const liveIds = (await leases('live')).map(({ id }) => id);
        expect([...kept].filter((id) => !liveIds.includes(id))).toEqual([]);
        const { code, out } = await runToEnd(['audit', 'verify'], scene.environment);
        expect([code, out]).toEqual([0, expect.stringMatching(/^tenant default: \d+ rows verified/)]);
      },
      60_000,
    );

    it('each lease has ended once, with one row that tells of it, and no user is left', async () => {
      await ask('POST', '/leases/revoke', { connection: 'shop' });
      await expect.poll(usernames, { timeout: 20_000 }).toEqual([]);
      await expect.poll(() => leases('live'), { timeout: 20_000 }).toEqual([]);
      const all = await leases('all');
      expect(all.filter(({ status }) => status !== 'expired' && status !== 'revoked')).toEqual([]);
      expect(await told(/\.(expire|revoke|force_forget)$/)).toEqual(
        Object.fromEntries(all.map(({ id }) => [id, 1])),
      );
      const ids = new Set(all.map(({ id }) => String(id)));
      const mints = await told(/\.mint$/);
      expect(Object.entries(mints).filter(([id, rows]) => rows !== 1 || !ids.has(id))).toEqual([]);
      expect([...kept].filter((id) => mints[id] !== 1)).toEqual([]);
      await ask('DELETE', '/shop');
    });
  });
});
