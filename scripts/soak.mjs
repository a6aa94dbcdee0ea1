// The full counts: `npm run soak [-- --only crash,bodies,fuzz,idempotency,leases,limits,log,oauth,refusals,rewrap,sign-in,streams,webhooks --points 100 --bodies 20 --fuzz-factor 50 --lease-seeds 200 --lease-kills 50
// --lease-storm 10000 --limit-requests 1000 --limit-window-seconds 10 --limit-windows 6 --log-calls 25000 --log-rows 200000 --refresh-kills 50 --mint-seconds 180 --refusal-samples 2000 --rewrap-rows 100000 --rewrap-kills 20 --rewrap-long-rows 1000000 --sign-in-samples 500 --streams 5000 --webhook-kills 20 --seed 7]`:
// kills of a server under load, each told as it comes, bodies of 100 MB again and again, fuzzed properties, each tried so many
// times as often as under `npm test`, a kill for every creating call, simulated lives of database leases, kills of a server that mints them, leases that
// all fall due at once, limits that four processes share, calls beside a log that is shut or counted, kills of one that refreshes access tokens, minutes in which those are minted and removed, kills of
// one that brings stored secrets under a new master key, and a long such pass, sign-ins by the clock, which must not tell
// whether an account exists, refusals by the clock, which must not tell whether a route does, streams of a route that last together, and
// kills of a server that delivers webhooks.
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { endWith, ROOT } from './terminal.mjs';

const PARTS = [
  'crash',
  'bodies',
  'fuzz',
  'idempotency',
  'leases',
  'limits',
  'log',
  'oauth',
  'refusals',
  'rewrap',
  'sign-in',
  'streams',
  'webhooks',
];
const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: PARTS.join(',') },
    points: { type: 'string', default: '100' },
    bodies: { type: 'string', default: '20' },
    'fuzz-factor': { type: 'string', default: '50' },
    'lease-seeds': { type: 'string', default: '200' },
    'lease-kills': { type: 'string', default: '50' },
    'lease-storm': { type: 'string', default: '10000' },
    'limit-requests': { type: 'string', default: '1000' },
    'limit-window-seconds': { type: 'string', default: '10' },
    'limit-windows': { type: 'string', default: '6' },
    'log-calls': { type: 'string', default: '25000' },
    'log-rows': { type: 'string', default: '200000' },
    'refresh-kills': { type: 'string', default: '50' },
    'mint-seconds': { type: 'string', default: '180' },
    'refusal-samples': { type: 'string', default: '2000' },
    'rewrap-rows': { type: 'string', default: '100000' },
    'rewrap-kills': { type: 'string', default: '20' },
    'rewrap-long-rows': { type: 'string', default: '1000000' },
    'sign-in-samples': { type: 'string', default: '500' },
    streams: { type: 'string', default: '5000' },
    'webhook-kills': { type: 'string', default: '20' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
  },
});
const FUZZED = ['.fuzz.test.ts', 'vaults/providers/'];
const FUZZED_TEST_MS_MAX = 900_000;
const REPORTER = `--reporter=${join(ROOT, 'scripts', 'soak-reporter.mjs')}`;
const parts = new Set(options.only.split(','));
for (const part of parts) {
  if (!PARTS.includes(part)) {
    endWith(new TypeError(`--only: there is no part "${part}"; it takes ${PARTS.join(', ')}`));
  }
}

const codes = [];
if (parts.has('crash')) {
  console.log(`${options.points} kills a database, seed ${options.seed}`);
  codes.push(
    await runTests(['tests/e2e/crash.test.ts', REPORTER], {
      KNOX_CRASH_POINTS: options.points,
      KNOX_CRASH_SEED: options.seed,
    }),
  );
}
if (parts.has('bodies')) {
  console.log(`${options.bodies} bodies of 100 MB each way`);
  const args = ['tests/e2e/large-bodies.test.ts', REPORTER];
  codes.push(await runTests(args, { KNOX_LARGE_BODY_ROUNDS: options.bodies }));
}
if (parts.has('fuzz')) {
  console.log(`Fuzzed properties, ${options['fuzz-factor']} times their runs, seed ${options.seed}`);
  codes.push(
    await runTests([...FUZZED, `--testTimeout=${FUZZED_TEST_MS_MAX}`], {
      KNOX_FUZZ_FACTOR: options['fuzz-factor'],
      KNOX_FUZZ_SEED: options.seed,
    }),
  );
}
if (parts.has('idempotency')) {
  console.log('A kill for every creating call, between its commit and its answer');
  codes.push(await runTests(['tests/e2e/idempotency.test.ts'], { KNOX_IDEMPOTENCY_CALLS_A_KILL: '1' }));
}
if (parts.has('leases')) {
  console.log(
    `${options['lease-seeds']} seeds of database leases, ${options['lease-kills']} kills, seed ${options.seed}, ` +
      `${options['lease-storm']} leases due at once`,
  );
  codes.push(
    await runTests(
      ['packages/server/src/capabilities/dyn-db/leases/simulation.test.ts', 'tests/e2e/lease-kill.test.ts'],
      {
        KNOX_SIMULATION_SEEDS: options['lease-seeds'],
        KNOX_SIMULATION_FIRST_SEED: options.seed,
        KNOX_LEASE_KILLS: options['lease-kills'],
        KNOX_CRASH_SEED: options.seed,
      },
    ),
  );
  // By itself: it measures how long calls take.
  codes.push(
    await runTests(['tests/e2e/lease-storm.test.ts', REPORTER], { KNOX_LEASE_STORM: options['lease-storm'] }),
  );
}
if (parts.has('limits')) {
  const { 'limit-requests': requests, 'limit-window-seconds': seconds, 'limit-windows': windows } = options;
  console.log(`${requests} requests in ${seconds} s of a route over four processes, ${windows} windows`);
  codes.push(
    await runTests(['tests/e2e/route-limits.test.ts', REPORTER], {
      KNOX_LIMIT_REQUESTS: requests,
      KNOX_LIMIT_WINDOW_SEC: seconds,
      KNOX_LIMIT_WINDOWS: windows,
    }),
  );
}
if (parts.has('log')) {
  const { 'log-calls': calls, 'log-rows': rows } = options;
  console.log(
    `${calls} calls beside a request log that is shut, and calls while ${rows} rows of it are counted`,
  );
  codes.push(
    await runTests(['tests/e2e/log-stall.test.ts', REPORTER], { KNOX_LOG_CALLS: calls, KNOX_LOG_ROWS: rows }),
  );
}
if (parts.has('oauth')) {
  const { seed, 'refresh-kills': kills, 'mint-seconds': seconds } = options;
  console.log(`${kills} kills of a server that refreshes tokens, seed ${seed}; ${seconds} s of mints`);
  codes.push(
    await runTests(['tests/e2e/refresh-crash.test.ts', 'tests/e2e/mint-soak.test.ts', REPORTER], {
      KNOX_REFRESH_KILLS: kills,
      KNOX_CRASH_SEED: seed,
      KNOX_MINT_SECONDS: seconds,
    }),
  );
}
if (parts.has('refusals')) {
  const samples = options['refusal-samples'];
  console.log(`Refusals of routes by the clock, ${samples} of each kind`);
  codes.push(
    await runTests(['tests/e2e/route-timing.test.ts', REPORTER], { KNOX_ROUTE_TIMING_SAMPLES: samples }),
  );
}
if (parts.has('rewrap')) {
  const { seed, 'rewrap-rows': rows, 'rewrap-kills': kills, 'rewrap-long-rows': longRows } = options;
  console.log(`${rows} secrets under a new key, ${kills} kills, seed ${seed}; ${longRows} without a kill`);
  codes.push(
    await runTests(['tests/e2e/rewrap.test.ts', REPORTER], {
      KNOX_REWRAP_ROWS: rows,
      KNOX_REWRAP_KILLS: kills,
      KNOX_REWRAP_LONG_ROWS: longRows,
      KNOX_CRASH_SEED: seed,
    }),
  );
}
if (parts.has('streams')) {
  console.log(`${options.streams} streams of a route at once`);
  codes.push(
    await runTests(['tests/e2e/route-streams.test.ts', REPORTER], {
      KNOX_STREAMS: options.streams,
    }),
  );
}
if (parts.has('webhooks')) {
  const { seed, 'webhook-kills': kills } = options;
  console.log(`${kills} kills of a server that delivers webhooks, seed ${seed}`);
  codes.push(
    await runTests(['tests/e2e/webhook-kill.test.ts', REPORTER], {
      KNOX_WEBHOOK_KILLS: kills,
      KNOX_CRASH_SEED: seed,
    }),
  );
}
if (parts.has('sign-in')) {
  const samples = options['sign-in-samples'];
  console.log(`Sign-ins by the clock, ${samples} of each kind`);
  codes.push(
    await runTests(['tests/e2e/sign-in-timing.test.ts', REPORTER], { KNOX_SIGN_IN_SAMPLES: samples }),
  );
}
process.exit(Math.max(...codes));

function runTests(args, settings) {
  const test = spawn(process.execPath, [join(ROOT, 'scripts', 'test.mjs'), ...args], {
    cwd: ROOT,
    env: { ...process.env, ...settings },
    stdio: 'inherit',
  });
  // The terminal sends Ctrl-C to the whole group, and what the tests have started is stopped by them.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => test.kill(signal));
  return new Promise((resolve) => test.on('close', (exitCode) => resolve(exitCode ?? 1)));
}
