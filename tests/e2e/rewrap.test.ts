import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DatabaseSync } from '@photostructure/sqlite';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../packages/server/src/app/migrations.js';
import { commitHook } from '../../packages/server/src/capabilities/audit-logs/index.js';
import { systemClock } from '../../packages/server/src/kernel/clock.js';
import type { TenantId } from '../../packages/server/src/kernel/ids.js';
import { Secret } from '../../packages/server/src/kernel/secret.js';
import { createLogger } from '../../packages/server/src/platform/log/logger.js';
import { openDatabase } from '../../packages/server/src/platform/storage/open-database.js';
import { addKeyVersions } from '../../packages/server/src/testing/rewrap-rows.js';
import { createTestServices, stopServices } from '../../packages/server/src/testing/services.js';
import { createDraw } from './crash-load.js';
import { onPostgres, openSqlite, type PostgresDatabase, type Scene, setScene } from './scene.js';
import { killAll, startServer, stopServer } from './server-process.js';

/** `npm run soak` sets these. */
const ROWS = Number(process.env['KNOX_REWRAP_ROWS'] ?? 10_000);
const KILLS = Number(process.env['KNOX_REWRAP_KILLS'] ?? 3);
const SEED = Number(process.env['KNOX_CRASH_SEED'] ?? 9);
/** Rows of a run without a kill, whose memory is looked at; none under `npm test`. */
const LONG_ROWS = Number(process.env['KNOX_REWRAP_LONG_ROWS'] ?? 0);

const READS_A_SECOND = 200;
/** Each in a vault of its own, so that its first read opens an envelope. */
const TOKENS = 150;
const TEST_MS_MAX = 120_000 + 20_000 * KILLS + (ROWS + LONG_ROWS) / 2;
const MEMORY_GROWTH_MAX = 1.25;

type Open = () => Promise<Omit<PostgresDatabase, 'url' | 'query'> & { url?: string; query?: Query }>;
type Query = (sql: string) => Promise<Record<string, unknown>[]>;

declare module 'vitest' {
  interface TaskMeta {
    /** What scripts/soak-reporter.mjs tells. */
    rewrap?: Record<string, number>;
  }
}

afterAll(killAll);
describe('on SQLite', () => suite(openSqlite));
onPostgres((open) => suite(open));

function suite(open: Open): void {
  let scene: Scene;
  let query: Query;
  let url: string | undefined;
  /** Of the tokens. */
  let paths: string[];
  beforeEach(async () => {
    const database = await open();
    scene = await setScene(database, (_request, response) => response.end());
    url = database.url;
    query = database.query ?? onSqlite(scene.dataDir);
  });
  afterEach(() => scene?.close());

  /** Fills the stopped server's database, and leaves it as a rotation does whose pass nobody has begun. */
  async function rotateFull(rows: number): Promise<void> {
    const made = await Promise.all(
      Array.from({ length: TOKENS }, async (_, number) => {
        const name = `v${number}`;
        const vault = await scene.api('POST', '/v1/vaults', { name, token_format: 'generic' });
        const stored = await scene.api('POST', `/v1/vaults/${name}/tokens`, { value: `value ${number}` });
        const { token } = JSON.parse(stored.text).data;
        return {
          path: `/v1/vaults/${name}/tokens/${token}`,
          keyId: JSON.parse(vault.text).data.crypto_key_id,
        };
      }),
    );
    paths = made.map(({ path }) => path);
    await stopServer(scene.server);
    const files = { path: join(scene.dataDir, 'knox.db'), logPath: join(scene.dataDir, 'knox-log.db') };
    const storage = url
      ? { kind: 'postgres' as const, url, poolMax: 4 }
      : { kind: 'sqlite' as const, ...files };
    const logger = createLogger('error', { write: () => {} });
    const db = await openDatabase(storage, {
      migrations: MIGRATIONS,
      clock: systemClock,
      logger,
      commitHook,
    });
    const rootKey = new Secret(
      Buffer.from(readFileSync(join(scene.dataDir, 'root.key'), 'utf8').trim(), 'base64'),
    );
    const services = createTestServices({ db, clock: systemClock, logger, rootKey });
    const tenantId = scene.bootstrap.tenant.id as TenantId;
    await addKeyVersions({ ...services, db }, { tenantId, sandbox: false }, made[0]!.keyId, rows - TOKENS);
    const version = await services.kms.rotate(tenantId);
    await db.transaction((tx) => services.rewraps.issue(tx, tenantId, version));
    await stopServices(services);
    await db.close();
  }

  async function passOf() {
    const [row] = await query('SELECT status, rows_total, rows_done, rows_failed FROM tenant_rewraps');
    const { status, rows_total: total, rows_done: done, rows_failed: failed } = row!;
    return { status, total: Number(total), done: Number(done), failed: Number(failed) };
  }

  async function until(isTrue: (pass: Awaited<ReturnType<typeof passOf>>) => boolean): Promise<void> {
    while (!isTrue(await passOf())) await pause(2);
  }

  /** 200 a second. What a killed server leaves unanswered is no failure, any other answer than the value is one. */
  function startReads() {
    let isOver = false;
    let asked = 0;
    let answered = 0;
    let slowestMs = 0;
    const wrong: unknown[] = [];
    const open = new Set<Promise<void>>();
    async function read(number: number): Promise<void> {
      const begunAt = performance.now();
      const answer = await scene.api('GET', paths[number]!).catch(() => null);
      if (answer === null) return;
      answered += 1;
      slowestMs = Math.max(slowestMs, performance.now() - begunAt);
      const isRight = answer.status === 200 && JSON.parse(answer.text).data.value === `value ${number}`;
      if (!isRight) wrong.push([answer.status, answer.text]);
    }
    const reading = (async () => {
      const begunAt = performance.now();
      while (!isOver) {
        const due = Math.floor(((performance.now() - begunAt) / 1_000) * READS_A_SECOND);
        for (; asked < due; asked += 1) {
          const one: Promise<void> = read(asked % TOKENS).finally(() => open.delete(one));
          open.add(one);
        }
        await pause(5);
      }
    })();
    return {
      async end() {
        isOver = true;
        await reading;
        await Promise.all(open);
        expect(wrong).toEqual([]);
        return { answered, slowestMs };
      },
    };
  }

  async function expectComplete(rows: number): Promise<void> {
    expect(await passOf()).toEqual({ status: 'completed', total: rows, done: rows, failed: 0 });
    // Without the former key, for good: what still needed it could not be read.
    await stopServer(scene.server);
    await query("UPDATE tenant_master_keys SET wrapped = NULL, status = 'revoked' WHERE version = 1");
    scene.server = await startServer(scene.environment);
    for (const [number, path] of paths.entries()) {
      const { status, text } = await scene.api('GET', path);
      expect([status, JSON.parse(text).data?.value]).toEqual([200, `value ${number}`]);
    }
    const left = await query(
      url
        ? 'SELECT count(*) AS n FROM crypto_key_versions WHERE get_byte(key_envelope, 8) <> 2'
        : "SELECT count(*) AS n FROM crypto_key_versions WHERE hex(substr(key_envelope, 6, 4)) <> '00000002'",
    );
    expect(Number(left[0]?.['n'])).toBe(0);
  }

  it(
    `a pass over ${ROWS} rows whose server is killed ${KILLS} times (seed ${SEED}) ends complete, and no read fails`,
    async ({ task }) => {
      await rotateFull(ROWS);
      const draw = createDraw(SEED);
      const part = Math.floor(ROWS / (KILLS + 1));
      scene.server = await startServer(scene.environment);
      const reads = startReads();
      let reached = 0;
      for (let kill = 0; kill < KILLS; kill += 1) {
        // Of the rows that are left, and never before the one that was killed last has a successor at work.
        const moment = Math.max(reached + 1, kill * part + draw(part));
        await until(({ done }) => done >= moment);
        scene.server.signal('SIGKILL');
        expect(await scene.server.exited).toMatchObject({ signal: 'SIGKILL' });
        reached = (await passOf()).done;
        expect(reached, `kill ${kill + 1} was to come before the end`).toBeLessThan(ROWS);
        scene.server = await startServer(scene.environment);
      }
      await until(({ status }) => status === 'completed');
      const { answered, slowestMs } = await reads.end();
      expect(answered).toBeGreaterThan(READS_A_SECOND);
      task.meta.rewrap = { rows: ROWS, kills: KILLS, reads: answered, slowestMs };
      await expectComplete(ROWS);
    },
    TEST_MS_MAX,
  );

  (LONG_ROWS === 0 ? it.skip : it)(
    `a pass over ${LONG_ROWS} rows beside ${READS_A_SECOND} reads a second takes no more memory at its end`,
    async ({ task }) => {
      await rotateFull(LONG_ROWS);
      scene.server = await startServer(scene.environment);
      const reads = startReads();
      const begunAt = performance.now();
      const resident: number[] = [];
      for (let pass = await passOf(); pass.done < LONG_ROWS; pass = await passOf()) {
        resident.push(await residentMiB(scene));
        await pause(500);
      }
      const seconds = (performance.now() - begunAt) / 1_000;
      await until(({ status }) => status === 'completed');
      const { answered, slowestMs } = await reads.end();
      const third = Math.floor(resident.length / 3);
      const before = Math.min(...resident.slice(third, 2 * third));
      const after = Math.min(...resident.slice(2 * third));
      task.meta.rewrap = {
        rows: LONG_ROWS,
        kills: 0,
        reads: answered,
        slowestMs,
        rowsASecond: LONG_ROWS / seconds,
        residentMiB: after,
      };
      expect(after).toBeLessThan(before * MEMORY_GROWTH_MAX);
      await expectComplete(LONG_ROWS);
    },
    TEST_MS_MAX,
  );
}

async function residentMiB({ server }: Scene): Promise<number> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^knox_process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1]) / 2 ** 20;
}

function onSqlite(dataDir: string): Query {
  return async (sql) => {
    const db = new DatabaseSync(join(dataDir, 'knox.db'));
    try {
      db.exec('PRAGMA busy_timeout = 10000');
      return db.prepare(sql).all() as Record<string, unknown>[];
    } finally {
      db.close();
    }
  };
}
