import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { type Relay, startRelay } from '../../packages/server/src/testing/relay.js';
import {
  openTargetPostgres,
  type TargetPostgres,
} from '../../packages/server/src/testing/target-postgres.js';
import { forEachDatabase, onPostgres, type Scene, setScene } from './scene.js';
import { killAll } from './server-process.js';

declare module 'vitest' {
  interface TaskMeta {
    /** For the report of `npm run soak`. */
    storm?: { leases: number; goneMs: number; duringMs: number; idleMs: number };
  }
}

/** `npm run soak` sets it. */
const LEASES = Number(process.env['KNOX_LEASE_STORM'] ?? 60);

const CALLERS = 8;
const HANGING = 20;
/** For the mints of one; all are to be over before the first falls due. */
const MINT_MS_MAX = 25;
const MINTS_BEGIN_MS_MAX = 5_000;
/** All are gone before that: what waited for the database that hangs would only begin then. */
const CONNECT_TIMEOUT_MS = 30_000;
const CALL_EVERY_MS = 20;
/** Of fewer leases there are too few calls to speak of their tail. */
const JUDGED_FROM = 1_000;
const SLOWER_MAX = 3;

const DATABASES = '/v1/dyn-db-credentials';

interface LeaseRow {
  readonly id: number;
  readonly status: string;
}

afterAll(killAll);

onPostgres(() => {
  forEachDatabase((open) => {
    let target: TargetPostgres;
    const relays: Relay[] = [];
    let scene: Scene;

    beforeEach(async () => {
      target = await openTargetPostgres('createrole');
      // One for each connection, and the server refuses its own database's port, which this one may share.
      for (const _ of ['shop', 'hanging']) relays.push(await startRelay(target.target));
      scene = await setScene(await open(), (_request, response) => response.end());
    });
    afterEach(async () => {
      await scene?.close();
      await Promise.all(relays.splice(0).map((relay) => relay.close()));
      await target?.cleanup();
    });

    async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
      const { status, text } = await scene.api(method, `${DATABASES}${path}`, body);
      if (status !== 200) throw new Error(`${method} ${path}: ${status} ${text}`);
      return (JSON.parse(text) as { data: T }).data;
    }

    async function register(name: string, port: number): Promise<void> {
      const { database, adminUsername, adminPassword } = target.target;
      await ask('POST', '', {
        name,
        engine: 'postgres',
        host: '127.0.0.1',
        port,
        database_name: database,
        admin_username: adminUsername,
        admin_password: adminPassword.reveal(),
        username_template: `${database}_${name}_{{random}}`,
        connect_options: { sslmode: 'prefer', connect_timeout_ms: CONNECT_TIMEOUT_MS },
      });
      await ask('POST', `/${name}/roles`, { name: 'reader', template: 'readonly' });
    }

    /** Their ids; all fall due in the second before `dueAtMs`. */
    async function mint(connection: string, count: number, dueAtMs: number): Promise<number[]> {
      const ids: number[] = [];
      let left = count;
      async function caller(): Promise<void> {
        while (left-- > 0) {
          const seconds = Math.floor((dueAtMs - Date.now()) / 1_000);
          if (seconds < 1) throw new Error(`only ${ids.length} leases were minted in time`);
          const path = `/${connection}/creds/reader`;
          ids.push((await ask<{ lease_id: number }>('POST', path, { ttl_seconds: seconds })).lease_id);
        }
      }
      await Promise.all(Array.from({ length: CALLERS }, caller));
      return ids.sort((a, b) => a - b);
    }

    async function usersOf(connection: string): Promise<number> {
      const [row] = await target.run<{ n: number }>(
        `SELECT count(*)::int AS n FROM pg_roles WHERE rolname LIKE 'kc_user_${target.target.database}_${connection}_%'`,
      );
      return row!.n;
    }

    async function leasesOf(connection: string, status: string): Promise<LeaseRow[]> {
      const all: LeaseRow[] = [];
      for (;;) {
        const query = `connection=${connection}&status=${status}&limit=500&offset=${all.length}`;
        const page = (await ask<{ leases: LeaseRow[] }>('GET', `/leases?${query}`)).leases;
        all.push(...page);
        if (page.length < 500) return all.sort((a, b) => a.id - b.id);
      }
    }

    /** The leases that the rows of an action name, each as often as it is named. */
    async function named(action: string): Promise<number[]> {
      const ids: number[] = [];
      for (let page = 1; ; page += 1) {
        const path = `/v1/audit-logs?action=${action}&per_page=100&page=${page}&order=asc`;
        const { data } = JSON.parse((await scene.api('GET', path)).text) as {
          data: { resource_id: string }[];
        };
        ids.push(...data.map(({ resource_id: id }) => Number(id)));
        if (data.length < 100) return ids.sort((a, b) => a - b);
      }
    }

    /** The p99 of calls one after the other, every one of which is answered. */
    async function callUntil(isOver: () => boolean): Promise<number> {
      const times: number[] = [];
      while (!isOver()) {
        const begunAt = performance.now();
        await ask('GET', '/leases?limit=20');
        times.push(performance.now() - begunAt);
        await pause(CALL_EVERY_MS);
      }
      return times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
    }

    it(
      `${LEASES} leases that fall due at once beside a database that hangs all end, each with one row`,
      async ({ task }) => {
        const [shop, hanging] = relays as [Relay, Relay];
        await register('shop', shop.port);
        await register('hanging', hanging.port);
        const dueAtMs = Date.now() + MINTS_BEGIN_MS_MAX + (LEASES + HANGING) * MINT_MS_MAX;
        const stuck = await mint('hanging', HANGING, dueAtMs);
        const minted = await mint('shop', LEASES, dueAtMs);
        hanging.silence();
        const firstDueMs = dueAtMs - 1_000;
        const idleMs = await callUntil(() => Date.now() > firstDueMs - 500);
        await pause(firstDueMs - Date.now());

        let goneAtMs = 0;
        const gone = expect
          .poll(() => usersOf('shop'), {
            timeout: firstDueMs + CONNECT_TIMEOUT_MS - Date.now(),
            interval: 100,
          })
          .toBe(0)
          .finally(() => {
            goneAtMs = Date.now();
          });
        const duringMs = await callUntil(() => goneAtMs > 0);
        await gone;
        task.meta.storm = { leases: LEASES, goneMs: goneAtMs - dueAtMs, duringMs, idleMs };
        if (LEASES >= JUDGED_FROM) expect(duringMs).toBeLessThan(SLOWER_MAX * idleMs);

        await expect.poll(() => leasesOf('shop', 'live'), { timeout: 5_000 }).toEqual([]);
        const ended = await leasesOf('shop', 'all');
        expect(ended.map(({ id, status }) => [id, status])).toEqual(minted.map((id) => [id, 'expired']));
        expect(await named('dyn_db.lease.expire')).toEqual(minted);
        // Nobody has forgotten what hangs.
        expect((await leasesOf('hanging', 'live')).map(({ id }) => id)).toEqual(stuck);
        expect(await usersOf('hanging')).toBe(HANGING);
      },
      60_000 + LEASES * 60,
    );
  });
});
