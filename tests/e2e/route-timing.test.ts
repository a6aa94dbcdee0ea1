import { Agent } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forEachDatabase } from './scene.js';
import {
  type Bootstrap,
  killAll,
  makeDataDir,
  readBootstrap,
  type ServerProcess,
  startServer,
  stopServer,
} from './server-process.js';
import { compareTimes, timeOf } from './timing.js';

/** Of each side of each comparison; `npm run soak` sets it. */
const SAMPLES = Number(process.env['KNOX_ROUTE_TIMING_SAMPLES'] ?? 0);

const WARM_UP = 100;
const DOMAIN = 'knox.example';
const TITLE = 'the time of a refusal does not tell whether a route exists';

interface Call {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly status: number;
}

/** How a route is named in a call (dataplane §5.2). */
type Entry = (route: string) => Omit<Call, 'status'>;

afterAll(killAll);

if (SAMPLES === 0)
  describe.skip(`${TITLE} (KNOX_ROUTE_TIMING_SAMPLES is not set)`, () => forEachDatabase(suite));
else describe(TITLE, () => forEachDatabase(suite));

function suite(open: Parameters<Parameters<typeof forEachDatabase>[0]>[0]): void {
  const dataDir = makeDataDir();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let database: Awaited<ReturnType<typeof open>>;
  let server: ServerProcess;
  let bootstrap: Bootstrap;

  beforeAll(async () => {
    database = await open();
    server = await startServer({
      KNOX_DATA_DIR: dataDir.path,
      KNOX_BASE_DOMAIN: DOMAIN,
      ...database.environment,
    });
    bootstrap = readBootstrap(dataDir.path);
    await make(warm, { allowed_methods: ['DELETE'] });
    await make(off, { enabled: false });
    for (let n = 0; n < WARM_UP + SAMPLES; n++) await make(cold(n));
    await time({ ...byPath(warm), headers: withKey(), status: 405 });
  }, 600_000);
  afterAll(async () => {
    agent.destroy();
    await stopServer(server);
    await database.remove();
    dataDir.remove();
  });

  async function make(slug: string, more: object = {}): Promise<void> {
    const response = await fetch(`${server.url}/v1/routes`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bootstrap.live_api_key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: slug, slug, target_base_url: 'https://api.example.com', ...more }),
    });
    if (response.status !== 201) throw new Error(await response.text());
  }

  const withKey = () => ({ 'x-knoxcall-key': bootstrap.live_api_key });

  const time = ({ path, ...call }: Call) => timeOf({ ...call, agent, url: `${server.url}${path}` });

  const compare = (first: (n: number) => Call, second: (n: number) => Call) =>
    compareTimes(
      {
        first: (n) => time(first(n)),
        second: (n) => time(second(n)),
        next: () => time({ ...byPath(none(0)), status: 401 }),
      },
      { samples: SAMPLES, warmUp: WARM_UP },
    );

  const byTenantHost: Entry = (route) => ({
    path: `/${route}/x`,
    headers: { host: `${bootstrap.tenant.slug}.${DOMAIN}` },
  });
  const byHeader: Entry = (route) => ({ path: '/api/x', headers: { 'x-knoxcall-route': route } });
  const byHeaderOfTenantHost: Entry = (route) => ({
    path: '/api/x',
    headers: { ...byTenantHost(route).headers, 'x-knoxcall-route': route },
  });

  it(
    'and the same clock tells a call that goes on from one that is refused',
    async ({ task }) => {
      const timing = await compare(
        (n) => ({ ...byPath(none(n)), status: 401 }),
        (n) => ({ ...byPath(none(n)), headers: withKey(), status: 404 }),
      );
      task.meta.timing = timing;
      expect(timing.answer.area - 0.5).toBeGreaterThan(timing.bound);
    },
    SAMPLES * 1_000,
  );

  const entries: readonly (readonly [string, Entry])[] = [
    ['/proxy/{route}', byPath],
    ['the first segment on the host of a tenant', byTenantHost],
    ['the header', byHeader],
    ['the header on the host of a tenant', byHeaderOfTenantHost],
  ];
  const routes: readonly (readonly [string, (n: number) => string])[] = [
    ['that was never called', cold],
    ['that is called', () => warm],
    ['that is off', () => off],
  ];
  describe.each(entries)('by %s', (_entry, callOf) => {
    it.for(routes)('of a route %s', { timeout: SAMPLES * 1_000 }, async ([, route], { task }) => {
      const timing = await compare(
        (n) => ({ ...callOf(none(n)), status: 401 }),
        (n) => ({ ...callOf(route(n)), status: 401 }),
      );
      task.meta.timing = timing;
      for (const { area } of [timing.answer, timing.next])
        expect(Math.abs(area - 0.5)).toBeLessThan(timing.bound);
    });
  });
}

/** All of one length, as what is compared is a route. */
const padded = (n: number) => String(n).padStart(6, '0');
const none = (n: number) => `none-${padded(n)}`;
const cold = (n: number) => `cold-${padded(n)}`;
const warm = 'warm-000000';
const off = 'off--000000';

function byPath(route: string): Omit<Call, 'status'> {
  return { path: `/proxy/${route}/x`, headers: {} };
}
