import { dynDbJobs } from '../capabilities/dyn-db/index.js';
import type { TestAnswer } from './calls.js';
import { createHarness, type Harness, type HarnessOptions } from './harness.js';
import { createMemoryDatabases, MEMORY_PASSWORD, type MemoryDatabases } from './memory-databases.js';

export interface DynDbHarness extends Harness {
  readonly databases: MemoryDatabases;
  /** As the live key of the first tenant, below `/v1/dyn-db-credentials`. */
  ask(method: string, path: string, body?: unknown): Promise<TestAnswer>;
  /** A connection of that name to a server of its own, with a role `reader`. */
  connect(name: string, more?: object): Promise<void>;
  mint(
    connection: string,
    body?: object,
  ): Promise<{ lease_id: number; username: string; password: string; expires_at: string }>;
  statusOf(leaseId: number): Promise<string>;
  /** Lets time pass, and what falls due be done. */
  pass(ms: number): Promise<void>;
}

const PATH = '/v1/dyn-db-credentials';

export async function createDynDbHarness(
  options: Partial<HarnessOptions> & { isWorkerPaused?: boolean } = {},
): Promise<DynDbHarness> {
  const databases = createMemoryDatabases();
  const { isWorkerPaused = false, ...more } = options;
  const harness = await createHarness({
    targets: { ...databases, extraCa: null, isWorkerPaused },
    ...more,
  });
  await harness.jobs.start(dynDbJobs(harness.dynDb));
  const ask: DynDbHarness['ask'] = (method, path, body) =>
    harness.call(method, `${PATH}${path}`, { key: harness.tenant.live, ...(body !== undefined && { body }) });

  async function must(answer: Promise<TestAnswer>): Promise<TestAnswer['json']> {
    const { status, text, json } = await answer;
    if (status !== 200) throw new Error(`${status} ${text}`);
    return json['data'];
  }

  return {
    ...harness,
    databases,
    ask,
    async connect(name, more = {}) {
      await must(ask('POST', '', connectionBody(name, more)));
      await must(ask('POST', `/${name}/roles`, { name: 'reader', template: 'readonly' }));
    },
    mint: (connection, body = {}) => must(ask('POST', `/${connection}/creds/reader`, body)),
    statusOf: async (leaseId) => (await must(ask('GET', `/leases/${leaseId}`)))['status'],
    async pass(ms) {
      // No transaction that is open is to grow old.
      await harness.jobs.idle();
      for (let left = ms; left > 0; left -= STEP_MS) {
        harness.clock.advance(Math.min(left, STEP_MS));
        await harness.jobs.idle();
      }
    },
    async close() {
      await harness.jobs.stop(1_000);
      await harness.close();
    },
  };
}

const STEP_MS = 1_000;

export function connectionBody(name: string, more: object = {}) {
  return {
    name,
    engine: 'postgres',
    host: `${name}.example.com`,
    admin_username: 'admin',
    admin_password: MEMORY_PASSWORD,
    ...more,
  };
}
