// The comparisons: `npm run bench [-- --rounds 9 --seconds 5 --only proxy,start,idle,slow-disk,keys,audit,redaction --record]`.
// Method: docs/benchmarks.md, whose results `--record` writes.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkEphemeral, startKnox, tokenize } from '../bench/knox-server.mjs';
import { firstLine, residentMiB, startNode, stop, stopAll } from '../bench/processes.mjs';
import { buildServer, installEverything } from './install.mjs';
import { providePostgres } from './postgres.mjs';
import { bold, dim, endWith, green, ROOT, red, requireNode, yellow } from './terminal.mjs';

const CONNECTIONS = 50;
const WARMUP_SECONDS = 2;
const SERVER_BUSY_MIN = 0.95;
const OTHERS_BUSY_MAX = 0.9;
const PEER_SPREAD_MAX = 0.15;
/** More of the server's core than this spent by other processes makes a run worth repeating. */
const STRANGERS_BUSY_MAX = 0.1;
const IDLE_SECONDS = 10;
const STARTS = 5;
const SLOW_SYNC_MS = 3;
const KEYS = 100_000;
const AUDIT_IN_FLIGHT = 200;
const REDACTED_DOCUMENTS = 40;
const REDACTED_EVENTS = 5_000;
const PARTS = ['proxy', 'start', 'idle', 'slow-disk', 'keys', 'audit', 'redaction'];
const BARS = {
  transparentRatio: 0.6,
  startMs: 2000,
  idleMiB: 150,
  loopDelayP99Ms: 5,
  keyCheckP99Micros: 1000,
  redactionLoopP99Ms: 20,
  redactedEventP99Ms: 50,
};

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '5' },
    only: { type: 'string', default: PARTS.join(',') },
    record: { type: 'boolean', default: false },
  },
});
const parts = new Set(options.only.split(','));
for (const part of parts) {
  if (!PARTS.includes(part))
    endWith(new TypeError(`--only: there is no part "${part}"; it takes ${PARTS.join(', ')}`));
}

requireNode();
await installEverything().catch(endWith);
await buildServer().catch(endWith);

const cores = pinning();
const workDir = mkdtempSync(join(tmpdir(), 'knox-bench-'));
const dataDir = join(workDir, 'data');
const caFile = join(workDir, 'ca.pem');
mkdirSync(dataDir, { mode: 0o700 });
const NOT_RUN = 'a part that did not run';
const missed = [];
const results = [];

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
  if (parts.has('start')) await measureStart(place);
  if (parts.has('idle')) await measureIdle(place);
  if (parts.has('proxy')) await compareProxies(place, url);
  if (parts.has('slow-disk')) await measureSlowDisk(place, url);
  if (parts.has('keys')) await measureKeyChecks();
  if (parts.has('audit')) await measureAudit();
  if (parts.has('redaction')) await measureRedaction();
} catch (error) {
  console.error(error);
  missed.push(NOT_RUN);
  console.error(dim(readFileSync(join(workDir, 'server.log'), 'utf8').slice(-4000)));
} finally {
  await stopAll();
  rmSync(workDir, { recursive: true, force: true });
}
if (options.record && !missed.includes(NOT_RUN)) record();
console.log(missed.length === 0 ? green('\nEvery bar holds.') : red(`\nMissed: ${missed.join(', ')}.`));
process.exit(missed.length === 0 ? 0 : 1);

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

async function compareProxies(place, url) {
  title(
    `Proxy: ${options.rounds} rounds of ${options.seconds} s, ${CONNECTIONS} connections, 1 KB JSON POST`,
  );
  const knox = await startKnox(place);
  const peerProcess = startNode([join(ROOT, 'bench', 'peer.mjs'), JSON.stringify(peerTarget(place))], {
    cpu: cores.server,
  });
  const peer = await firstLine(peerProcess);
  const expression = await tokenize(knox);
  await checkEphemeral(knox, url, expression);
  const sides = {
    peer: { pid: peerProcess.pid, port: peer.port, ...peerRequest() },
    transparent: { pid: knox.pid, port: knox.port, ...transparentRequest(knox, url) },
    ephemeral: { pid: knox.pid, port: knox.port, ...ephemeralRequest(knox, url, expression) },
  };
  const measured = { peer: [], transparent: [], ephemeral: [] };
  for (let round = 0; round < Number(options.rounds); round++) {
    const names = Object.keys(sides);
    // Interleaved, and turned round each time, so that no side always follows the same one.
    for (const name of round % 2 === 0 ? names : names.reverse()) {
      const result = await load(sides[name]);
      measured[name].push(result);
      console.log(dim(`  ${round + 1} ${name.padEnd(11)} ${describe(result)}`));
    }
  }
  await knox.stop();
  await stop(peerProcess);
  judge(measured);
}

function judge({ peer, transparent, ephemeral }) {
  for (const [name, rounds] of Object.entries({ peer, transparent, ephemeral })) {
    const each = rounds.map((round) => round.serverMicrosEach);
    const rate = rounds.map((round) => round.perSecond);
    note(
      `${name}, requests a second; CPU of the server a request`,
      `${median(rate).toFixed(0)} ±${spreadPercent(rate)} %; ${median(each).toFixed(0)} µs ±${spreadPercent(each)} %`,
      '',
    );
  }
  const counts = (round) => round.serverBusy >= SERVER_BUSY_MIN && round.othersBusy <= OTHERS_BUSY_MAX;
  const bySpeed = (rounds) => [...peer, ...rounds].every(counts);
  for (const [name, rounds, ratioMin] of [
    ['transparent', transparent, BARS.transparentRatio],
    ['ephemeral', ephemeral, null],
  ]) {
    const isBySpeed = bySpeed(rounds);
    const cost = (round) => (isBySpeed ? 1e6 / round.perSecond : round.serverMicrosEach);
    const ratio = median(peer.map(cost)) / median(rounds.map(cost));
    const basis = isBySpeed ? 'by requests a second' : 'by CPU time a request: the generator was the bound';
    const value = `${ratio.toFixed(2)} of the peer`;
    if (ratioMin !== null) bar(`${name} call`, value, `(${basis})`, ratio >= ratioMin, `≥ ${ratioMin}`);
    else note(`${name} call with one detokenize`, value, `(${basis})`);
    if (spread(peer.map(cost)) > PEER_SPREAD_MAX) {
      console.log(
        yellow(
          `  ! the peer's spread is ${(spread(peer.map(cost)) * 100).toFixed(0)} %: run again on a quiet machine`,
        ),
      );
    }
  }
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
  await load(side);
  // Forget the warm-up.
  process.kill(knox.pid, 'SIGUSR2');
  const result = await load(side);
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
    console.log(yellow(`  skipped on PostgreSQL: ${postgres.reason}`));
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
    console.log(yellow(`  skipped on PostgreSQL: ${postgres.reason}`));
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
    console.log(yellow(`  skipped: no C compiler made the library (${error.code ?? error.stderr})`));
    return null;
  }
}

function peerTarget({ upstream }) {
  return { origin: `https://127.0.0.1:${upstream.port}`, servername: upstream.name, caFile };
}

function peerRequest() {
  return { head: head('POST /charge', []), body: JSON.stringify({ card: 'x', filler: 'y'.repeat(1000) }) };
}

function transparentRequest(knox, url) {
  const headers = [`Authorization: Bearer ${knox.apiKey}`, `X-Knox-Proxy-URL: ${url}/charge`];
  return { ...peerRequest(), head: head('POST /v1/proxy', [...headers, 'X-Knox-Proxy-Mode: transparent']) };
}

function ephemeralRequest(knox, url, expression) {
  const headers = [`Authorization: Bearer ${knox.apiKey}`, `X-Knox-Proxy-URL: ${url}/charge`];
  const body = JSON.stringify({ card: expression, filler: 'y'.repeat(950) });
  return { head: head('POST /v1/proxy', headers), body };
}

function head(line, headers) {
  const all = ['Host: 127.0.0.1', 'Content-Type: application/json', 'Accept: */*', ...headers];
  return `${line} HTTP/1.1\r\n${all.map((header) => `${header}\r\n`).join('')}`;
}

/** One measured stretch against one side. */
async function load({ pid, port, head: requestHead, body }) {
  const plan = {
    port,
    head: requestHead,
    body,
    connections: CONNECTIONS,
    warmupSeconds: WARMUP_SECONDS,
    seconds: Number(options.seconds),
    pids: { server: pid, upstream: upstreamProcess.pid },
    serverCore: cores.server,
  };
  const generator = startNode([join(ROOT, 'bench', 'generator.mjs'), JSON.stringify(plan)], {
    cpu: cores.others,
  });
  const result = await firstLine(generator);
  if (result.refused > 0)
    throw new Error(`${result.refused} calls were refused, the first with\n${result.firstRefusal}`);
  return result;
}

function describe(result) {
  return (
    `${result.perSecond.toFixed(0)}/s, ${result.serverMicrosEach.toFixed(0)} µs CPU, p50 ${result.p50Ms.toFixed(1)} ms, ` +
    `p99 ${result.p99Ms.toFixed(1)} ms; server ${percent(result.serverBusy)}, others ${percent(result.othersBusy)} busy` +
    (result.strangersBusy > STRANGERS_BUSY_MAX
      ? `; other processes took ${percent(result.strangersBusy)} of the server's core`
      : '')
  );
}

function bar(name, value, note, holds, wanted) {
  console.log(`  ${holds ? green('✓') : red('✗')} ${name}: ${bold(value)} ${dim(`${note} bar ${wanted}`)}`);
  results.push({ name, value, wanted });
  if (!holds) missed.push(name);
}

/** Puts the figures of this run in place of the last ones. */
function record() {
  const path = join(ROOT, 'docs', 'benchmarks.md');
  const machine = `${cpus()[0].model.trim()}, ${cpus().length} cores, Node ${process.versions.node}`;
  const rows = results.map((result) => `| ${result.name} | ${result.value} | ${result.wanted} |`);
  const table = ['| What | Result | Bar |', '|---|---|---|', ...rows].join('\n');
  const text = `${new Date().toISOString().slice(0, 10)}, ${machine}.\n\n${table}`;
  const marked = /(<!-- results -->\n)[\s\S]*(\n<!-- end of results -->)/;
  writeFileSync(
    path,
    readFileSync(path, 'utf8').replace(marked, (_all, before, after) => before + text + after),
  );
}

function note(name, value, remark) {
  console.log(`  · ${name}: ${bold(value)} ${dim(`${remark} no bar`)}`);
  results.push({ name, value, wanted: 'none' });
}

function title(text) {
  console.log(`\n${bold(text)}`);
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function spread(values) {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}

function spreadPercent(values) {
  return ((spread(values) / 2) * 100).toFixed(0);
}

function percent(share) {
  return `${(share * 100).toFixed(0)} %`;
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
