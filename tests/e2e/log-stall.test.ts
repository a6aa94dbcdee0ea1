import { Agent, request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSqlite } from '../../packages/server/src/platform/storage/sqlite-module.js';
import { onPostgres, openSqlite, type PostgresDatabase, type Scene, setScene } from './scene.js';
import { killAll } from './server-process.js';

/** `npm run soak` sets both. */
const CALLS = Number(process.env['KNOX_LOG_CALLS'] ?? 300);
const ROWS = Number(process.env['KNOX_LOG_ROWS'] ?? 2_000);
const CALLERS = 8;
const WARM_UP = 200;
/** Rows that wait before further calls are refused (docs/decisions/0101). */
const QUEUED_MAX = 20_000;
/** Copies of a row of one call, as if a minute old. */
const COPIES_AT_ONCE = 10_000;
const COLUMNS =
  'tenant_id, route_id, matched_client_id, identification_method, method, status_code, src_ip, environment, sandbox, ts, path, ' +
  'latency_ms, upstream_host, error, rate_limited, proxy_mode, client_origin';

declare module 'vitest' {
  interface TaskMeta {
    /** What scripts/soak-reporter.mjs tells of calls beside a log that is slow. */
    besideLog?: { what: string; times: Times; quiet: Times; refused: number };
  }
}

interface Times {
  readonly calls: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** The table of the log, as whoever has the database sees it. */
interface LogTable {
  count(): Promise<number>;
  /** Nobody can write to it until the function that it returns is called. */
  stall(): Promise<() => Promise<void>>;
  copyOne(count: number): Promise<void>;
  close(): Promise<void>;
}

afterAll(killAll);

describe('on SQLite', () =>
  suite(async () => {
    const scene = await setScene(await openSqlite(), (_request, response) => response.end('ok'));
    return { scene, log: sqliteLog(join(scene.dataDir, 'knox-log.db')) };
  }));
onPostgres((open) =>
  suite(async () => {
    const database = await open();
    const scene = await setScene(database, (_request, response) => response.end('ok'));
    return { scene, log: await postgresLog(database) };
  }),
);

function suite(begin: () => Promise<{ scene: Scene; log: LogTable }>): void {
  let scene: Scene;
  let log: LogTable;
  let agent: Agent;

  beforeEach(async () => {
    agent = new Agent({ keepAlive: true, maxSockets: CALLERS });
    ({ scene, log } = await begin());
    const body = { name: 'r', slug: 'r', target_base_url: scene.target };
    expect((await scene.api('POST', '/v1/routes', body)).status).toBe(201);
    await callMany(WARM_UP);
    await expect.poll(log.count, { timeout: 20_000 }).toBe(WARM_UP);
  }, 120_000);
  afterEach(async () => {
    agent.destroy();
    await log.close();
    await scene.close();
  });

  function call(): Promise<number> {
    const headers = { 'x-knoxcall-key': scene.bootstrap.live_api_key };
    return new Promise((resolve, reject) => {
      httpRequest(`${scene.server.url}/proxy/r/x`, { agent, headers }, (response) => {
        response
          .resume()
          .on('end', () => resolve(response.statusCode!))
          .on('error', reject);
      })
        .on('error', reject)
        .end();
    });
  }

  /** From all callers at once, as fast as they are answered. */
  async function callWhile(goesOn: () => boolean) {
    const times: number[] = [];
    const statuses: number[] = [];
    const caller = async () => {
      while (goesOn()) {
        const begunAt = performance.now();
        statuses.push(await call());
        times.push(performance.now() - begunAt);
      }
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
    times.sort((a, b) => a - b);
    const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
    return { statuses, times: { calls: times.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) } };
  }
  function callMany(count: number) {
    let left = count;
    return callWhile(() => left-- > 0);
  }

  it(
    `answers ${CALLS} calls though no row of them can be written, and has every row afterwards`,
    async ({ task }) => {
      const quiet = await callMany(CALLS);
      await expect.poll(log.count, { timeout: 20_000 }).toBe(WARM_UP + CALLS);
      const go = await log.stall();
      const stalled = await callMany(CALLS);
      // They are all answered, and the log has been shut all the while: what is refused is so for want of room.
      const served = stalled.statuses.filter((status) => status === 200).length;
      const refused = stalled.statuses.filter((status) => status === 503).length;
      expect([served, refused]).toEqual([CALLS - refused, CALLS - served]);
      if (CALLS <= QUEUED_MAX) expect(refused).toBe(0);
      else expect(served).toBeGreaterThanOrEqual(QUEUED_MAX);
      expect(await log.count()).toBe(WARM_UP + CALLS);
      await go();
      await expect.poll(log.count, { timeout: 60_000 }).toBe(WARM_UP + 2 * CALLS);
      expect(await call()).toBe(200);
      task.meta.besideLog = { what: 'a log that is shut', times: stalled.times, quiet: quiet.times, refused };
    },
    60_000 + CALLS * 40,
  );

  it(
    `answers calls while ${ROWS} rows are counted`,
    async ({ task }) => {
      const quiet = await callMany(CALLS);
      await log.copyOne(ROWS);
      const fromMs = Date.now() - 3_600_000;
      const counted = async () => {
        const { status, text } = await scene.api(
          'GET',
          `/v1/analytics?from=${new Date(fromMs).toISOString()}`,
        );
        if (status !== 200) throw new Error(`${status} ${text}`);
        return JSON.parse(text).data.totals.requests as number;
      };
      const before = WARM_UP + CALLS + ROWS;
      let isOver = false;
      const calls = callWhile(() => !isOver);
      // Rows are counted in the order of their numbers: those of the calls that go on meanwhile come behind all these.
      await expect
        .poll(counted, { timeout: 60_000 + ROWS * 2, interval: 500 })
        .toBeGreaterThanOrEqual(before)
        .finally(() => {
          isOver = true;
        });
      const beside = await calls;
      expect(new Set(beside.statuses)).toEqual(new Set([200]));
      // None of them twice.
      expect(await counted()).toBeLessThanOrEqual(before + beside.statuses.length);
      task.meta.besideLog = {
        what: `counting ${ROWS} rows`,
        times: beside.times,
        quiet: quiet.times,
        refused: 0,
      };
    },
    120_000 + ROWS * 2,
  );
}

function sqliteLog(path: string): LogTable {
  const { DatabaseSync } = loadSqlite();
  const connection = new DatabaseSync(path);
  connection.exec('PRAGMA busy_timeout = 10000');
  return {
    count: async () => Number(connection.prepare('SELECT count(*) AS n FROM api_logs').get()!['n']),
    async stall() {
      connection.exec('BEGIN IMMEDIATE');
      return async () => connection.exec('COMMIT');
    },
    async copyOne(count) {
      for (let from = 0; from < count; from += COPIES_AT_ONCE) {
        const until = Math.min(count, from + COPIES_AT_ONCE);
        connection.exec(
          `WITH RECURSIVE numbers(n) AS (SELECT ${from + 1} UNION ALL SELECT n + 1 FROM numbers WHERE n < ${until})
           INSERT INTO api_logs (request_id, ${COLUMNS}, logged_at)
           SELECT request_id || '-' || n, ${COLUMNS}, logged_at FROM numbers, (SELECT * FROM api_logs ORDER BY id LIMIT 1)`,
        );
        await pause(1);
      }
    },
    close: async () => connection.close(),
  };
}

async function postgresLog({ url, query }: PostgresDatabase): Promise<LogTable> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return {
    count: async () => Number((await query('SELECT count(*)::int AS n FROM api_logs'))[0]!['n']),
    async stall() {
      await client.query('BEGIN');
      await client.query('LOCK TABLE api_logs IN EXCLUSIVE MODE');
      return async () => void (await client.query('COMMIT'));
    },
    async copyOne(count) {
      await client.query(
        `INSERT INTO api_logs (request_id, ${COLUMNS}, logged_at)
         SELECT request_id || '-' || n, ${COLUMNS}, logged_at - 60000
         FROM generate_series(1, ${count}) AS n, (SELECT * FROM api_logs ORDER BY id LIMIT 1) AS one`,
      );
    },
    close: () => client.end(),
  };
}
