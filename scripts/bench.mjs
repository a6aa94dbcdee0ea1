// The comparisons: `npm run bench [-- --rounds 9 --seconds 5 --only start,idle,proxy,slow-disk,keys,growth,audit,redaction,dyn-db,dpop,oauth,clients,rewrap,crypto --record]`.
// Method: docs/benchmarks.md, whose results `--record` writes.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureCryptoKeys } from '../bench/crypto.mjs';
import { measureDynDb } from '../bench/dyn-db.mjs';
import { startKnox, tokenize } from '../bench/knox-server.mjs';
import { CONNECTIONS, describe, ephemeralRequest, load } from '../bench/load.mjs';
import { compareAuthorizationServers } from '../bench/oauth.mjs';
import { firstLine, residentMiB, startNode, stopAll } from '../bench/processes.mjs';
import { compareProxies } from '../bench/proxy-comparison.mjs';
import {
  bar,
  beginPart,
  conclude,
  median,
  note,
  record,
  skip,
  spreadPercent,
  title,
} from '../bench/report.mjs';
import { buildServer, installEverything } from './install.mjs';
import { providePostgres } from './postgres.mjs';
import { dim, endWith, ROOT, requireNode, yellow } from './terminal.mjs';

const IDLE_SECONDS = 10;
const STARTS = 5;
const SLOW_SYNC_MS = 3;
const KEYS = 100_000;
const GROWTH_ROWS = [100, 10_000, 1_000_000];
const GROWTH_ROUNDS = 7;
const AUDIT_IN_FLIGHT = 200;
const PROOFS = 5_000;
const CLIENTS = 10_000;
const MATCHES = 100_000;
const REVOKED = 20_000;
const REVOCATIONS = 9;
const REWRAPPED = 200_000;
const REWRAP_READS = 200;
const REDACTED_DOCUMENTS = 40;
const REDACTED_EVENTS = 5_000;
/** In the order in which they run. */
const PARTS = {
  start: measureStart,
  idle: measureIdle,
  proxy: measureProxies,
  'slow-disk': measureSlowDisk,
  keys: measureKeyChecks,
  growth: measureGrowth,
  audit: measureAudit,
  redaction: measureRedaction,
  'dyn-db': measureCredentials,
  dpop: measureProofs,
  oauth: measureOAuth,
  clients: measureClients,
  rewrap: measureRewrap,
  crypto: measureCrypto,
};
const BARS = {
  startMs: 2000,
  idleMiB: 150,
  loopDelayP99Ms: 5,
  keyCheckP99Micros: 1000,
  growthOfP99: 1.2,
  redactionLoopP99Ms: 20,
  redactedEventP99Ms: 50,
  hostileProofP99Micros: 1000,
  clientMatchP99Micros: 20,
  revocationListMs: 1_000,
  rewrappedASecond: 5_000,
};

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '5' },
    only: { type: 'string', default: Object.keys(PARTS).join(',') },
    leases: { type: 'string', default: '10000' },
    'dyn-db-steps': { type: 'string', default: 'mint,gone,crowd,history,storm' },
    'proxy-steps': { type: 'string', default: 'nginx,ephemeral,routes' },
    'oauth-steps': { type: 'string', default: 'peer,growth' },
    'crypto-steps': { type: 'string', default: 'ciphers,signatures' },
    record: { type: 'boolean', default: false },
  },
});
const parts = new Set(options.only.split(','));
for (const part of parts) {
  if (!Object.hasOwn(PARTS, part))
    endWith(new TypeError(`--only: there is no part "${part}"; it takes ${Object.keys(PARTS).join(', ')}`));
}

requireNode();
await installEverything().catch(endWith);
await buildServer().catch(endWith);

const cores = pinning();
const workDir = mkdtempSync(join(tmpdir(), 'knox-bench-'));
const dataDir = join(workDir, 'data');
const caFile = join(workDir, 'ca.pem');
mkdirSync(dataDir, { mode: 0o700 });
let isWhole = true;

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await stopAll();
    rmSync(workDir, { recursive: true, force: true });
    process.exit(130);
  });
}

const upstreamProcess = startNode(['--import', 'tsx', join(ROOT, 'bench', 'upstream.ts'), caFile], {
  cpu: cores.others,
});
try {
  const upstream = await firstLine(upstreamProcess);
  const place = { dataDir, upstream, caFile, cpu: cores.server };
  const url = `https://${upstream.name}:${upstream.port}`;
  await (await startKnox(place)).stop();
  for (const [part, measure] of Object.entries(PARTS)) {
    if (!parts.has(part)) continue;
    beginPart(part);
    await measure(place, url);
  }
} catch (error) {
  console.error(error);
  isWhole = false;
  console.error(dim(readFileSync(join(workDir, 'server.log'), 'utf8').slice(-4000)));
} finally {
  await stopAll();
  rmSync(workDir, { recursive: true, force: true });
}
if (isWhole && options.record) record(join(ROOT, 'docs', 'benchmarks.md'));
process.exit(conclude({ isWhole }));

/** One core for the server, another for all else, where the machine has two and the means to say so. */
function pinning() {
  try {
    execFileSync('taskset', ['-c', '0', 'true'], { stdio: 'ignore' });
    if (availableParallelism() >= 2) return { server: 0, others: 1 };
    console.log(yellow('! one core only: the sides are compared by CPU time a request'));
  } catch {
    console.log(yellow('! no taskset: nothing is pinned, the sides are compared by CPU time a request'));
  }
  return { server: null, others: null };
}

async function measureStart(place) {
  title('Start to first answer, on an existing data directory');
  const times = [];
  for (let i = 0; i < STARTS; i++) {
    const knox = await startKnox(place);
    times.push(knox.readyMs);
    await knox.stop();
  }
  bar(
    'start',
    `${median(times).toFixed(0)} ms`,
    `±${spreadPercent(times)} %`,
    median(times) <= BARS.startMs,
    `≤ ${BARS.startMs} ms`,
  );
}

async function measureIdle(place) {
  title(`Memory, idle for ${IDLE_SECONDS} s after the start`);
  const knox = await startKnox(place);
  await pause(IDLE_SECONDS * 1000);
  const mib = residentMiB(knox.pid);
  await knox.stop();
  bar('idle memory', `${mib.toFixed(0)} MiB resident`, '', mib <= BARS.idleMiB, `≤ ${BARS.idleMiB} MiB`);
}

/** A line of a comparison that is under way. */
function tell(line) {
  console.log(dim(`  ${line}`));
}

async function measureProxies(place, url) {
  title(
    `Proxy: ${options.rounds} rounds of ${options.seconds} s, ${CONNECTIONS} connections, 1 KB JSON POST`,
  );
  const plan = { ...loadPlan(), rounds: Number(options.rounds) };
  const steps = new Set(options['proxy-steps'].split(','));
  await compareProxies(place, url, { plan, steps, tell });
}

async function measureSlowDisk(place, url) {
  title(`Event loop of the server's main thread under the ephemeral load, syncs ${SLOW_SYNC_MS} ms slower`);
  const library = buildShim();
  if (library === null) return;
  const delayFile = join(workDir, 'loop-delay.json');
  const countFile = join(workDir, 'syncs');
  const knox = await startKnox({
    ...place,
    nodeArgs: ['--import', join(ROOT, 'bench', 'loop-delay.mjs')],
    env: {
      LD_PRELOAD: library,
      SLOW_SYNC_MS: String(SLOW_SYNC_MS),
      SLOW_SYNC_COUNT_FILE: countFile,
      BENCH_LOOP_DELAY_FILE: delayFile,
    },
  });
  const expression = await tokenize(knox);
  const side = { pid: knox.pid, port: knox.port, ...ephemeralRequest(knox, url, expression) };
  await load(side, loadPlan());
  // Forget the warm-up.
  process.kill(knox.pid, 'SIGUSR2');
  const result = await load(side, loadPlan());
  process.kill(knox.pid, 'SIGUSR2');
  await pause(200);
  const delay = JSON.parse(readFileSync(delayFile, 'utf8'));
  await knox.stop();
  const syncs = Number(readFileSync(countFile, 'utf8'));
  console.log(dim(`  ${describe(result)}; ${syncs} syncs were slowed`));
  if (syncs === 0) throw new Error('the preloaded library slowed no sync');
  const range = `(median ${delay.p50Ms.toFixed(1)} ms, max ${delay.maxMs.toFixed(1)} ms)`;
  const holds = delay.p99Ms <= BARS.loopDelayP99Ms;
  bar('loop delay', `p99 ${delay.p99Ms.toFixed(1)} ms`, range, holds, `≤ ${BARS.loopDelayP99Ms} ms`);
}

/** The check of an API key by itself: found in the cache, and read from the database. */
async function measureKeyChecks() {
  title(`Check of an API key: ${KEYS} calls with ${KEYS} keys stored`);
  const files = { path: join(workDir, 'keys.db'), logPath: join(workDir, 'keys-log.db') };
  await keyChecks('SQLite', { kind: 'sqlite', ...files });
  const postgres = await providePostgres();
  if (postgres.reason) {
    skip(' on PostgreSQL', postgres.reason);
    return;
  }
  try {
    const url = await freshDatabase(postgres.url, 'bench_keys');
    await keyChecks('PostgreSQL', { kind: 'postgres', url, poolMax: 10 });
  } finally {
    postgres.stop();
  }
}

async function keyChecks(database, storage) {
  const plan = JSON.stringify({ storage, keys: KEYS, calls: KEYS });
  const child = startNode(['--import', 'tsx', join(ROOT, 'bench', 'key-checks.ts'), plan], { cpu: null });
  for (const [state, { p50Micros, p99Micros }] of Object.entries(await firstLine(child))) {
    const holds = p99Micros <= BARS.keyCheckP99Micros;
    const wanted = `≤ ${BARS.keyCheckP99Micros} µs`;
    const range = `(p50 ${p50Micros.toFixed(1)} µs)`;
    bar(`key check, ${database}, ${state}`, `p99 ${p99Micros.toFixed(1)} µs`, range, holds, wanted);
  }
}

/** Calls whose cost may not follow the rows: with few, many and very many of them, in turns. */
async function measureGrowth() {
  title(`Growth: ${GROWTH_ROWS.join(', ')} tokens, keys and log rows`);
  const file = (rows, name) => join(workDir, `growth-${rows}${name}.db`);
  const children = new Map();
  const ofSqlite = (rows) => ({ kind: 'sqlite', path: file(rows, ''), logPath: file(rows, '-log') });
  children.set('SQLite', startGrowth(GROWTH_ROWS.map(ofSqlite)));
  const postgres = await providePostgres();
  if (postgres.reason) skip(' on PostgreSQL', postgres.reason);
  try {
    if (!postgres.reason) {
      const storages = [];
      for (const rows of GROWTH_ROWS) {
        const url = await freshDatabase(postgres.url, `bench_growth_${rows}`);
        storages.push({ kind: 'postgres', url, poolMax: 10 });
      }
      children.set('PostgreSQL', startGrowth(storages));
    }
    // Filled at the same time, measured one after the other.
    for (const [database, { filled }] of children)
      console.log(dim(`  ${database} was filled in ${(await filled).fillSeconds.toFixed(0)} s`));
    for (const [database, { child }] of children) {
      process.kill(child.pid, 'SIGUSR2');
      judgeGrowth(database, await firstLine(child));
    }
  } finally {
    postgres.stop?.();
  }
}

function startGrowth(storages) {
  const sides = storages.map((storage, at) => ({ rows: GROWTH_ROWS[at], storage }));
  const plan = JSON.stringify({ sides, rounds: GROWTH_ROUNDS });
  const args = ['--max-semi-space-size=32', '--import', 'tsx', join(ROOT, 'bench', 'growth.ts'), plan];
  const child = startNode(args, { cpu: null });
  return { child, filled: firstLine(child) };
}

function judgeGrowth(database, { operations }) {
  for (const { name, calls, sides } of operations) {
    const ratio = sides.at(-1).p99Micros / sides[0].p99Micros;
    const each = (key) => sides.map((side) => side[key].toFixed(0)).join(' / ');
    bar(
      `${name}, ${database}`,
      `p99 ${each('p99Micros')} µs (p50 ${each('p50Micros')}): × ${ratio.toFixed(2)}`,
      `(${calls} calls each)`,
      ratio < BARS.growthOfP99,
      `< × ${BARS.growthOfP99}`,
    );
  }
}

/** Regex rules: what a large document does to the event loop, and how long an event is held. */
async function measureRedaction() {
  title(`Redaction by ten regex rules: ${REDACTED_DOCUMENTS} JSON documents, ${REDACTED_EVENTS} events`);
  const plan = JSON.stringify({ documents: REDACTED_DOCUMENTS, events: REDACTED_EVENTS });
  const child = startNode(['--import', 'tsx', join(ROOT, 'bench', 'redaction.ts'), plan], { cpu: null });
  const { documents, events, echo } = await firstLine(child);
  bar(
    'loop delay, 5 MiB of JSON under ten regex rules',
    `p99 ${documents.loopP99Ms.toFixed(1)} ms`,
    `(max ${documents.loopMaxMs.toFixed(1)} ms; ${documents.medianMs.toFixed(0)} ms a document)`,
    documents.loopP99Ms <= BARS.redactionLoopP99Ms,
    `≤ ${BARS.redactionLoopP99Ms} ms`,
  );
  bar(
    'event through ten regex rules',
    `p99 ${events.p99Ms.toFixed(2)} ms`,
    `(p50 ${events.p50Ms.toFixed(2)} ms, max ${events.maxMs.toFixed(1)} ms)`,
    events.p99Ms <= BARS.redactedEventP99Ms,
    `≤ ${BARS.redactedEventP99Ms} ms`,
  );
  const further = `${echo.microsAKiB.toFixed(1)} µs each further KiB`;
  note('echo guard, JSON without its value', `${echo.microsOf1KiB.toFixed(1)} µs for 1 KiB, ${further}`, '');
}

/** Durable audit rows a second: without the chain, with it, and on PostgreSQL with one and four processes. */
async function measureAudit() {
  title(`Durable audit rows, ${AUDIT_IN_FLIGHT} in flight a process, ${options.seconds} s each`);
  for (const isSealing of [false, true]) {
    const name = isSealing ? 'sealed' : 'unsealed';
    const [path, logPath] = [`audit-${name}.db`, `audit-${name}-log.db`].map((file) => join(workDir, file));
    const storage = { kind: 'sqlite', path, logPath };
    auditNote(`audit rows a second, SQLite, ${isSealing ? 'sealed in the batch' : 'no chain'}`, [
      await auditWrites(storage, isSealing),
    ]);
  }
  const postgres = await providePostgres({ isDurable: true });
  if (postgres.reason) {
    skip(' on PostgreSQL', postgres.reason);
    return;
  }
  try {
    for (const [database, processes, isSealing] of [
      ['bench_audit_plain', 1, false],
      ['bench_audit', 1, true],
      ['bench_audit_four', 4, true],
    ]) {
      const storage = { kind: 'postgres', url: await freshDatabase(postgres.url, database), poolMax: 10 };
      const sides = await Promise.all(
        Array.from({ length: processes }, () => auditWrites(storage, isSealing)),
      );
      const what = `${processes} process${processes > 1 ? 'es' : ''}, ${isSealing ? 'sealed' : 'no chain'}`;
      auditNote(`audit rows a second, PostgreSQL, ${what}`, sides);
    }
  } finally {
    postgres.stop();
  }
}

/** Databases that users are made in: two servers, one of them for many users. */
async function measureCredentials(place) {
  const servers = [];
  try {
    for (const _ of [1, 2]) {
      const postgres = await providePostgres({ isDurable: true });
      if (postgres.reason) {
        skip('', postgres.reason);
        return;
      }
      servers.push(postgres);
    }
    await measureDynDb(place, {
      postgresUrls: servers.map(({ url }) => url),
      freshDatabase,
      report: { title, bar },
      leases: Number(options.leases),
      steps: new Set(options['dyn-db-steps'].split(',')),
    });
  } finally {
    for (const { stop: stopServer } of servers) stopServer();
  }
}

/** Proofs of possession: what a good one costs, what hostile ones do, and how many are used a second. */
async function measureProofs() {
  title(`DPoP: ${PROOFS} proofs of each kind`);
  const files = { path: join(workDir, 'dpop.db'), logPath: join(workDir, 'dpop-log.db') };
  await proofs('SQLite', { kind: 'sqlite', ...files });
  const postgres = await providePostgres({ isDurable: true });
  if (postgres.reason) {
    skip(' on PostgreSQL', postgres.reason);
    return;
  }
  try {
    const url = await freshDatabase(postgres.url, 'bench_dpop');
    await proofs('PostgreSQL', { kind: 'postgres', url, poolMax: 10 });
  } finally {
    postgres.stop();
  }
}

async function proofs(database, storage) {
  const plan = JSON.stringify({ storage, calls: PROOFS });
  const child = startNode(['--import', 'tsx', join(ROOT, 'bench', 'dpop-proofs.ts'), plan], { cpu: null });
  const { good, hostile, usedPerSecond } = await firstLine(child);
  for (const [alg, { p50Micros, p99Micros }] of Object.entries(good))
    note(
      `proof of ${alg}, ${database}`,
      `p50 ${p50Micros.toFixed(0)} µs`,
      `(p99 ${p99Micros.toFixed(0)} µs)`,
    );
  for (const [what, { p50Micros, p99Micros, maxMicros }] of Object.entries(hostile)) {
    const range = `(p50 ${p50Micros.toFixed(1)} µs, max ${maxMicros.toFixed(0)} µs)`;
    const holds = p99Micros < BARS.hostileProofP99Micros;
    const wanted = `< ${BARS.hostileProofP99Micros} µs`;
    bar(`refused: ${what}, ${database}`, `p99 ${p99Micros.toFixed(1)} µs`, range, holds, wanted);
  }
  note(`proofs used a second, ${database}`, usedPerSecond.toFixed(0), '(durable, 50 in flight)');
}

async function measureClients() {
  title(`Clients: ${MATCHES} matches of each kind among ${CLIENTS} clients with ${CLIENTS * 10} ranges`);
  const files = { path: join(workDir, 'clients.db'), logPath: join(workDir, 'clients-log.db') };
  const plan = JSON.stringify({ storage: { kind: 'sqlite', ...files }, clients: CLIENTS, calls: MATCHES });
  const child = startNode(['--import', 'tsx', join(ROOT, 'bench', 'clients.ts'), plan], { cpu: null });
  const { loadMs, loadLongestTurnMs, calls } = await firstLine(child);
  for (const [what, { p50Micros, p99Micros, matched }] of Object.entries(calls)) {
    const range = `(p50 ${p50Micros.toFixed(1)} µs, ${(matched * 100).toFixed(0)} % matched)`;
    const holds = p99Micros <= BARS.clientMatchP99Micros;
    bar(
      `match, ${what}`,
      `p99 ${p99Micros.toFixed(1)} µs`,
      range,
      holds,
      `≤ ${BARS.clientMatchP99Micros} µs`,
    );
  }
  note(
    'first match after a change',
    `${loadMs.toFixed(0)} ms`,
    `(longest turn ${loadLongestTurnMs.toFixed(1)} ms)`,
  );
  await measureRevocationList();
}

async function measureRewrap() {
  title(`A new master key: ${REWRAPPED} stored secrets, alone and beside ${REWRAP_READS} reads a second`);
  const files = { path: join(workDir, 'rewrap.db'), logPath: join(workDir, 'rewrap-log.db') };
  await rewrapOn('SQLite', { kind: 'sqlite', ...files });
  const postgres = await providePostgres({ isDurable: true });
  if (postgres.reason) return skip(' on PostgreSQL', postgres.reason);
  try {
    const url = await freshDatabase(postgres.url, 'bench_rewrap');
    await rewrapOn('PostgreSQL', { kind: 'postgres', url, poolMax: 10 });
  } finally {
    postgres.stop();
  }
}

async function rewrapOn(database, storage) {
  const plan = JSON.stringify({ storage, rows: REWRAPPED, reads: REWRAP_READS });
  const child = startNode(['--import', 'tsx', join(ROOT, 'bench', 'rewrap.ts'), plan], { cpu: null });
  const { alone, beside } = await firstLine(child);
  const rate = ({ rowsASecond }) => `${rowsASecond.toFixed(0)}/s`;
  bar(
    `secrets under a new master key, ${database}`,
    rate(alone),
    `(event loop p99 ${alone.loopP99Ms.toFixed(1)} ms)`,
    alone.rowsASecond >= BARS.rewrappedASecond,
    `≥ ${BARS.rewrappedASecond}/s`,
  );
  note(
    `the same beside ${REWRAP_READS} reads a second`,
    rate(beside),
    `(a read p99 ${beside.readP99Ms.toFixed(1)} ms, event loop p99 ${beside.loopP99Ms.toFixed(1)} ms)`,
  );
}

async function measureRevocationList() {
  title(`Revocation list: ${REVOKED} entries, ${REVOCATIONS} times one more`);
  const files = { path: join(workDir, 'revocations.db'), logPath: join(workDir, 'revocations-log.db') };
  const storage = { kind: 'sqlite', ...files };
  const plan = JSON.stringify({ storage, entries: REVOKED, rounds: REVOCATIONS, folder: workDir });
  const program = join(ROOT, 'bench', 'revocation-list.ts');
  const child = startNode(['--import', 'tsx', program, plan], { cpu: null });
  const { medianMs, slowestMs, bytes } = await firstLine(child);
  bar(
    `revocation list of ${REVOKED}, from the revocation on`,
    `${medianMs.toFixed(0)} ms`,
    `(slowest ${slowestMs.toFixed(0)} ms; ${(bytes / 1000).toFixed(0)} kB)`,
    slowestMs < BARS.revocationListMs,
    `< ${BARS.revocationListMs} ms`,
  );
  const [list, chain] = [join(workDir, 'list.der'), join(workDir, 'chain.pem')];
  const args = ['crl', '-inform', 'DER', '-in', list, '-CAfile', chain, '-noout'];
  const { stderr, error } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (error) skip(', verified by OpenSSL', `openssl does not start (${error.code})`);
  else bar('the last of them, by OpenSSL', stderr.trim(), '', stderr.trim() === 'verify OK', 'verify OK');
}

/** Tokens of an authorization server: beside a peer, and with a million of them stored. */
async function measureOAuth(place) {
  const { rounds, seconds } = options;
  title(`Authorization server: ${rounds} rounds of ${seconds} s, ${CONNECTIONS} connections`);
  const postgres = await providePostgres({ isDurable: true });
  if (postgres.reason) skip(' on PostgreSQL', postgres.reason);
  try {
    const postgresUrls = postgres.reason ? null : [];
    for (const name of postgresUrls ? ['peer', 'few', 'many'] : [])
      postgresUrls.push(await freshDatabase(postgres.url, `bench_oauth_${name}`));
    await compareAuthorizationServers(place, {
      plan: { cores, seconds: Number(seconds), rounds: Number(rounds) },
      steps: new Set(options['oauth-steps'].split(',')),
      postgresUrls,
      tell,
    });
  } finally {
    postgres.stop?.();
  }
}

/** Encrypt, decrypt and sign by keys that the server holds. */
async function measureCrypto(place) {
  const { rounds, seconds } = options;
  title(`Crypto keys: ${rounds} rounds of ${seconds} s, ${CONNECTIONS} connections, 1 KB`);
  const plan = { cores, seconds: Number(seconds), rounds: Number(rounds) };
  const steps = new Set(options['crypto-steps'].split(','));
  await measureCryptoKeys(place, plan, steps, tell);
}

async function auditWrites(storage, isSealing) {
  const plan = { storage, isSealing, seconds: Number(options.seconds), inFlight: AUDIT_IN_FLIGHT };
  const child = startNode(['--import', 'tsx', join(ROOT, 'bench', 'audit-writes.ts'), JSON.stringify(plan)], {
    cpu: null,
  });
  return firstLine(child);
}

function auditNote(name, sides) {
  const total = sides.reduce((sum, side) => sum + side.perSecond, 0);
  const worst = (key) => Math.max(...sides.map((side) => side[key])).toFixed(1);
  const sealed = `all sealed ${worst('sealedAfterMs')} ms after the last write`;
  note(name, total.toFixed(0), `(p50 ${worst('p50Ms')} ms, p99 ${worst('p99Ms')} ms; ${sealed})`);
}

async function freshDatabase(url, name) {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`DROP DATABASE IF EXISTS ${name}`);
  await client.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`);
  await client.end();
  const fresh = new URL(url);
  fresh.pathname = `/${name}`;
  return fresh.href;
}

function loadPlan() {
  return { cores, seconds: Number(options.seconds), upstreamPid: upstreamProcess.pid };
}

function buildShim() {
  const library = join(workDir, 'slow-sync.so');
  try {
    execFileSync(
      'cc',
      ['-shared', '-fPIC', '-O2', '-o', library, join(ROOT, 'bench', 'slow-sync.c'), '-ldl'],
      {
        stdio: 'pipe',
      },
    );
    return library;
  } catch (error) {
    skip('', `no C compiler made the library (${error.code ?? error.stderr})`);
    return null;
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
