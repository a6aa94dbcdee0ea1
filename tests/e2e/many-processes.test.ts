import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import { endOf, startSource } from '../../packages/server/src/testing/child-process.js';
import { onPostgres, type PostgresDatabase } from './scene.js';
import {
  type Bootstrap,
  type Environment,
  killAll,
  makeDataDir,
  readBootstrap,
  runToEnd,
  type ServerProcess,
  startServer,
} from './server-process.js';
import { addTenants } from './tenants.js';

const REDIS_URL = process.env['TEST_REDIS_URL'];
/** How long another process may honour a revoked key (auth.md §1.3). */
const REVOKED_WITHIN_MS = 1_000;
const ROUNDS = 10;
/** Of one key, at once (clients-pki.md §4). */
const ROTATIONS = 50;
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);
/** In each process that writes acts of the critical chain. */
const CRITICAL_WRITERS = 3;
const CRITICAL_CHILD = new URL('../../packages/server/src/testing/critical-child.ts', import.meta.url);
const PER_MINUTE = 100;
/** 2.5 % of the limit (docs/decisions/0101). */
const SLICE = 2;

interface Installation {
  readonly processes: readonly ServerProcess[];
  readonly environment: Environment;
  readonly bootstrap: Bootstrap;
  /** Starts further processes on the same database, all at once. */
  start(count: number): Promise<void>;
  call(from: ServerProcess, method: string, path: string, body?: unknown, key?: string): Promise<Response>;
}

interface Tenant {
  readonly id: string;
  readonly slug: string;
  readonly live: string;
  readonly test: string;
}

/** What was acknowledged: rows by tenant, and how many of them stand in the critical chain too. */
interface Written {
  critical: number;
  readonly rows: Map<string, number>;
}

const isAnswer = (expected: number) => async (response: Response) => {
  if (response.status !== expected) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as { data: Record<string, string> };
};
const isCreated = isAnswer(201);
const isOk = isAnswer(200);

afterAll(killAll);

onPostgres((open) => {
  let database: PostgresDatabase;
  let remove: (() => void)[];
  /** For each test of a suite, or for all of them. */
  function useDatabase(
    before: typeof beforeEach | typeof beforeAll,
    after: typeof afterEach | typeof afterAll,
  ) {
    before(async () => {
      database = await open();
      remove = [];
    });
    after(async () => {
      await killAll();
      await database.remove();
      for (const each of remove) each();
    });
  }

  /** Each process has a data directory of its own, as on a machine of its own; root key and database are shared. */
  async function install(count: number, settings: Environment = {}): Promise<Installation> {
    const processes: ServerProcess[] = [];
    const dataDirs: string[] = [];
    const environment = {
      ...database.environment,
      MASTER_KEY_B64: randomBytes(32).toString('base64'),
      ...settings,
    };
    const start = async (more: number) => {
      const dirs = Array.from({ length: more }, makeDataDir);
      dataDirs.push(...dirs.map(({ path }) => path));
      remove.push(...dirs.map((dir) => dir.remove));
      const started = dirs.map(({ path }) => startServer({ ...environment, KNOX_DATA_DIR: path }));
      processes.push(...(await Promise.all(started)));
    };
    await start(count);
    const [bootstrap, ...others] = dataDirs.flatMap(bootstrapOf);
    if (!bootstrap || others.length > 0) throw new Error(`${others.length + 1} processes made a tenant`);
    return {
      processes,
      environment: { ...environment, KNOX_DATA_DIR: dataDirs[0]! },
      bootstrap,
      start,
      call: (from, method, path, body, key = bootstrap.live_api_key) =>
        fetch(`${from.url}${path}`, {
          method,
          headers: {
            authorization: `Bearer ${key}`,
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        }),
    };
  }

  describe('two, then four processes on one database', () => {
    useDatabase(beforeEach, afterEach);

    it('write whole audit chains, each tenant’s and the critical one, also when one of them is killed', async () => {
      const installation = await install(2);
      const { call, bootstrap, environment, processes } = installation;
      const storage = { kind: 'postgres', url: database.url, poolMax: 4 } as const;
      const first = {
        id: bootstrap.tenant.id,
        slug: bootstrap.tenant.slug,
        live: bootstrap.live_api_key,
        test: bootstrap.test_api_key,
      };
      const added = await addTenants(storage, environment['MASTER_KEY_B64']!, ['acme', 'globex', 'initech']);
      const tenants: Tenant[] = [
        first,
        ...added.map(({ id, slug, live, test }) => ({ id, slug, live: live.apiKey, test: test.apiKey })),
      ];
      const written: Written = { critical: 0, rows: new Map(tenants.map(({ id }) => [id, 0])) };
      const count = (tenantId: string, rows = 1) =>
        written.rows.set(tenantId, written.rows.get(tenantId)! + rows);
      for (const { id, live, test } of tenants) {
        for (const key of [live, test])
          await isCreated(await call(processes[0]!, 'POST', '/v1/vaults', { name: 'cards' }, key));
        count(id, 2);
      }

      /** Durable inserts that are joined with others, and serializable transactions, in both modes. */
      async function write(through: ServerProcess, tenant: Tenant, writer: string, rounds = ROUNDS) {
        const { id, live, test } = tenant;
        for (let round = 0; round < rounds; round++) {
          const name = `${writer}-${round}`;
          for (const key of [live, test]) {
            await isCreated(await call(through, 'POST', '/v1/vaults/cards/tokens', { value: name }, key));
            count(id);
          }
          const { data } = await isCreated(await call(through, 'POST', '/v1/vaults', { name }, live));
          count(id);
          await isOk(await call(through, 'DELETE', `/v1/vaults/${data['id']}`, undefined, live));
          count(id);
        }
      }
      /** Acts of the critical chain have no endpoint yet: a process writes them as one will. */
      function startCritical(acts?: number) {
        const tenantIds = tenants.map(({ id }) => id);
        const child = startSource(CRITICAL_CHILD, [
          JSON.stringify({ storage, tenantIds, writers: CRITICAL_WRITERS, acts }),
        ]);
        const ended = endOf(child, (tenantId) => {
          count(tenantId);
          written.critical++;
        });
        return { child, ended };
      }
      async function expectAllWritten({ ended }: ReturnType<typeof startCritical>) {
        const { code, lines } = await ended;
        expect([code, lines.length]).toEqual([0, CRITICAL_WRITERS * ROUNDS]);
      }
      const writeFrom = (through: readonly ServerProcess[], name: string) =>
        Promise.all(
          through.flatMap((process, index) => [
            ...tenants.map((tenant) => write(process, tenant, `${name}-${index}`)),
            expectAllWritten(startCritical(ROUNDS)),
          ]),
        );

      await writeFrom(processes, 'two');
      await expectWholeChains(installation, tenants, written);
      await installation.start(2);
      await writeFrom(processes, 'four');
      await expectWholeChains(installation, tenants, written);

      // Of both kinds one is killed while it writes, and the others go on.
      const [dying, ...others] = processes;
      const dyingCritical = startCritical();
      const cutOff = Promise.allSettled(
        tenants.map((tenant) => write(dying!, tenant, 'killed', Number.POSITIVE_INFINITY)),
      );
      await once(dyingCritical.child.stdout!, 'data');
      const writing = writeFrom(others, 'three');
      dying!.signal('SIGKILL');
      dyingCritical.child.kill('SIGKILL');
      expect((await cutOff).map(({ status }) => status)).toEqual(tenants.map(() => 'rejected'));
      expect(await dyingCritical.ended).toMatchObject({ signal: 'SIGKILL' });
      await writing;
      await expectWholeChains(installation, tenants, written);
    }, 180_000);
  });

  describe('four processes on one database', () => {
    let installation: Installation;
    useDatabase(beforeAll, afterAll);
    beforeAll(async () => {
      installation = await install(2);
      await installation.start(2);
    });

    it(`give ${ROTATIONS} rotations of a key at once as many versions, and encrypt with the last`, async () => {
      const { call, processes } = installation;
      const of = (n: number) => processes[n % processes.length]!;
      await isCreated(await call(of(0), 'POST', '/v1/crypto/keys', { name: 'pii' }));
      const path = '/v1/crypto/keys/pii';
      const rotated = await Promise.all(
        numbers(1, ROTATIONS).map(async (n) => isOk(await call(of(n), 'POST', `${path}/rotate`, {}))),
      );
      const versions = rotated.map(({ data }) => Number(data['new_version'])).sort((a, b) => a - b);
      expect(versions).toEqual(numbers(2, ROTATIONS + 1));
      const rows = await database.query(
        `SELECT v.version::int, k.current_version::int FROM crypto_key_versions v JOIN crypto_keys k ON k.id = v.key_id
         WHERE k.name = 'pii' ORDER BY v.version`,
      );
      expect(rows).toEqual(
        numbers(1, ROTATIONS + 1).map((version) => ({ version, current_version: ROTATIONS + 1 })),
      );
      for (const process of processes) {
        const encrypted = await isOk(await call(process, 'POST', `${path}/encrypt`, { plaintext: 'x' }));
        expect(encrypted.data['key_version']).toBe(ROTATIONS + 1);
      }
    }, 60_000);

    it('refuse a client within a second after one of them deleted its credential', async ({ annotate }) => {
      const { call, processes } = installation;
      const [first, ...others] = processes;
      const client = await isCreated(await call(first!, 'POST', '/v1/clients', { name: 'leaver' }));
      const credentials = `/v1/clients/${client.data['id']}/credentials`;
      const data = { value: '127.0.0.0/8' };
      const made = await isCreated(await call(first!, 'POST', credentials, { kind: 'ip', data }));
      const match = (process: ServerProcess) => call(process, 'GET', '/v1/clients/match');
      for (const process of processes) expect((await match(process)).status).toBe(200);

      expect((await call(first!, 'DELETE', `${credentials}/${made.data['id']}`)).status).toBe(200);
      const deletedAt = performance.now();
      expect((await match(first!)).status).toBe(403);
      const refusedAfterMs = await Promise.all(
        others.map((process) => refusedAfter(deletedAt, 403, () => match(process))),
      );
      await annotate(`refused by the other after ${refusedAfterMs.map(Math.round).join(', ')} ms`);
    }, 60_000);

    it.for<readonly [string, () => Promise<void>]>([
      ['', async () => {}],
      [
        ', though all connections to the database are ended before and after',
        async () => {
          await database.query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()`,
          );
        },
      ],
    ])(
      'refuse a key within a second after one of them revoked it%s',
      { timeout: 60_000 },
      async ([, disturb], { annotate }) => {
        const { call, processes } = installation;
        const [first, ...others] = processes;
        const made = await isCreated(await call(first!, 'POST', '/v1/api-keys', { name: 'leaver' }));
        const { id, api_key: key } = made.data;
        const use = (process: ServerProcess) => call(process, 'GET', '/v1/vaults', undefined, key);
        for (const process of processes) expect((await use(process)).status).toBe(200);

        await disturb();
        let revoked = await call(first!, 'DELETE', `/v1/api-keys/${id}`);
        // Who finds its connection ended is told to come again.
        while (revoked.status === 503) revoked = await call(first!, 'DELETE', `/v1/api-keys/${id}`);
        expect(revoked.status).toBe(200);
        const revokedAt = performance.now();
        await disturb();
        expect((await use(first!)).status).not.toBe(200);
        const refusedAfterMs = await Promise.all(
          others.map((process) => refusedAfter(revokedAt, 401, () => use(process))),
        );
        await annotate(`refused by the others after ${refusedAfterMs.map(Math.round).join(', ')} ms`);
      },
    );
  });

  /** Calls until a second after the revocation, and answers when it was refused first: later than that none may pass. */
  async function refusedAfter(revokedAt: number, refusal: number, use: () => Promise<Response>) {
    for (let refusedAt: number | null = null; ; ) {
      const begunAt = performance.now();
      const { status } = await use();
      if (status === refusal) refusedAt ??= performance.now();
      // A slow machine changes nothing: who has not read for a second asks before it honours a credential.
      if (status === 200) expect(refusedAt ?? begunAt - revokedAt).toBeLessThan(REVOKED_WITHIN_MS);
      else if (status !== 503) expect(status).toBe(refusal);
      if (refusedAt !== null && begunAt - revokedAt >= REVOKED_WITHIN_MS) return refusedAt - revokedAt;
    }
  }

  describe('four processes share a limit of requests', () => {
    useDatabase(beforeEach, afterEach);

    const admitted = async (annotate: TestContext['annotate'], settings: Environment = {}) => {
      const { call, bootstrap, processes } = await install(4, withPlanFile(settings));
      const startedAt = performance.now();
      const statuses = await Promise.all(
        processes.flatMap((process) =>
          Array.from({ length: PER_MINUTE }, async () => {
            const { status } = await call(process, 'GET', '/v1/vaults', undefined, bootstrap.test_api_key);
            return status;
          }),
        ),
      );
      // The bucket of a minute fills while it is drawn from.
      const refilled = Math.ceil(((performance.now() - startedAt) / 60_000) * PER_MINUTE);
      expect(new Set(statuses)).toEqual(new Set([200, 429]));
      const count = statuses.filter((status) => status === 200).length;
      await annotate(
        `${count} of ${statuses.length} admitted, limit ${PER_MINUTE}, refilled at most ${refilled}`,
      );
      return { count, refilled };
    };

    function withPlanFile(settings: Environment): Environment {
      const dir = makeDataDir();
      remove.push(dir.remove);
      const planFile = join(dir.path, '..', 'plans.json');
      writeFileSync(planFile, JSON.stringify({ starter: { requests_per_minute: PER_MINUTE } }));
      return { KNOX_PLAN: 'starter', KNOX_PLAN_FILE: planFile, ...settings };
    }

    it('and exceed it by at most one slice each', async ({ annotate }) => {
      const { count, refilled } = await admitted(annotate);
      expect(count).toBeGreaterThanOrEqual(PER_MINUTE);
      expect(count).toBeLessThanOrEqual(PER_MINUTE + 4 * SLICE + refilled);
    }, 60_000);

    const withRedis = REDIS_URL ? it : it.skip;
    withRedis(
      `and keep it exactly with Redis${REDIS_URL ? '' : ' (TEST_REDIS_URL is not set)'}`,
      async ({ annotate }) => {
        const { count, refilled } = await admitted(annotate, { REDIS_URL: REDIS_URL ?? '' });
        expect(count).toBeGreaterThanOrEqual(PER_MINUTE);
        expect(count).toBeLessThanOrEqual(PER_MINUTE + refilled);
      },
      60_000,
    );
  });

  /** Every row that was acknowledged is sealed, its number without a gap, by the command's own verification. */
  async function expectWholeChains(
    { environment }: Installation,
    tenants: readonly Tenant[],
    written: Written,
  ): Promise<void> {
    let verified = await runToEnd(['audit', 'verify'], environment);
    while (verified.out.includes('not sealed yet'))
      verified = await runToEnd(['audit', 'verify'], environment);
    expect(verified).toMatchObject({ code: 0, error: '' });
    const chains = Array.from(verified.out.matchAll(/^(.+): \d+ rows verified/gm), ([, chain]) => chain);
    expect(chains.sort()).toEqual(['critical chain', ...tenants.map(({ slug }) => `tenant ${slug}`)].sort());

    const numbers = `count(*)::int AS sealed, min(sequence_number)::int AS first, max(sequence_number)::int AS last`;
    const rows = await database.query(
      `SELECT tenant_id AS id, ${numbers},
              (SELECT count(*)::int FROM audit_logs l WHERE l.tenant_id = c.tenant_id) AS logged
       FROM audit_chain c GROUP BY tenant_id`,
    );
    expect(rows.map(({ id }) => id).sort()).toEqual(tenants.map(({ id }) => id).sort());
    for (const { id, sealed, ...row } of rows) {
      expect(row).toEqual({ logged: sealed, first: 1, last: sealed });
      expect(sealed).toBeGreaterThanOrEqual(written.rows.get(String(id))!);
    }
    const [critical] = await database.query(
      `SELECT ${numbers}, (SELECT count(*)::int FROM audit_logs WHERE action LIKE 'byok.%') AS logged
       FROM audit_log_critical`,
    );
    const sealed = Number(critical?.['sealed']);
    expect(critical).toEqual({ logged: sealed, sealed, first: 1, last: sealed });
    expect(sealed).toBeGreaterThanOrEqual(written.critical);
  }
});

/** Only the process that made the tenant has one. */
function bootstrapOf(dataDir: string): Bootstrap[] {
  try {
    return [readBootstrap(dataDir)];
  } catch {
    return [];
  }
}
