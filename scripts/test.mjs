// Everything the tests need, then the tests: `npm test [-- vitest arguments]`.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildServer, installEverything } from './install.mjs';
import { provideMariadb } from './mariadb.mjs';
import { provideMongodb } from './mongodb.mjs';
import { providePostgres } from './postgres.mjs';
import { provideProgram } from './programs.mjs';
import { provideRedis } from './redis.mjs';
import { bold, dim, endWith, ROOT, red, requireNode, yellow } from './terminal.mjs';

requireNode();
let postgres;
let redis;
let mariadb;
let mongodb;
let nginx;
let certbot;
let certtool;
try {
  await installEverything();
  await buildServer();
  postgres = await providePostgres();
  redis = await provideRedis();
  mariadb = await provideMariadb();
  mongodb = await provideMongodb();
  nginx = await provideProgram('nginx');
  certbot = await provideProgram('certbot');
  certtool = await provideProgram('certtool');
} catch (error) {
  endWith(error);
}
if (postgres.reason) console.log(`  ${yellow('!')} PostgreSQL suites are skipped: ${postgres.reason}`);
if (redis.reason) console.log(`  ${yellow('!')} Redis suites are skipped: ${redis.reason}`);
if (mariadb.reason) console.log(`  ${yellow('!')} MariaDB suites are skipped: ${mariadb.reason}`);
if (mongodb.reason) console.log(`  ${yellow('!')} MongoDB suites are skipped: ${mongodb.reason}`);
if (nginx.reason) console.log(`  ${yellow('!')} nginx suites are skipped: ${nginx.reason}`);
if (certbot.reason) console.log(`  ${yellow('!')} certbot suites are skipped: ${certbot.reason}`);
if (certtool.reason) console.log(`  ${yellow('!')} GnuTLS suites are skipped: ${certtool.reason}`);

const workDir = mkdtempSync(join(tmpdir(), 'knox-test-'));
const summaryPath = join(workDir, 'summary.json');
const { code, interrupted } = await runVitest();
const summary = readSummary();
rmSync(workDir, { recursive: true, force: true });
postgres.stop?.();
redis.stop?.();
mariadb.stop?.();
await mongodb.stop?.();

for (const { title, count } of summary.skips) console.log(`${dim(`skipped ${count}`)}  ${title}`);
if (summary.skips.some(({ title }) => title.includes('the server does not enforce roles')))
  console.log('MongoDB roles: not verified in this run');
// Where everything can be had, a suite that was not run shows nothing.
const absent = process.env.CI
  ? [postgres, mariadb, mongodb, nginx, certbot, certtool].flatMap(({ reason }) => reason ?? [])
  : [];
for (const reason of absent)
  console.error(red(`In CI what is skipped for want of a program is a failure: ${reason}`));
console.log(bold(`${summary.passed} passed, ${summary.failed} failed, ${summary.skipped} skipped`));
process.exit(interrupted ? 130 : code !== 0 || summary.failed > 0 || absent.length > 0 ? 1 : 0);

function runVitest() {
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=default', `--reporter=${join(ROOT, 'scripts', 'summary-reporter.mjs')}`];
  const env = { ...process.env, KNOX_TEST_SUMMARY: summaryPath };
  if (postgres.url) env.TEST_DATABASE_URL = postgres.url;
  if (redis.url) env.TEST_REDIS_URL = redis.url;
  if (mariadb.url) env.TEST_MYSQL_URL = mariadb.url;
  if (mongodb.url) env.TEST_MONGODB_URL = mongodb.url;
  if (nginx.path) env.TEST_NGINX = nginx.path;
  if (certbot.path) env.TEST_CERTBOT = certbot.path;
  return new Promise((resolve) => {
    let interrupted = false;
    const child = spawn(process.execPath, [vitest, 'run', ...reporters, ...process.argv.slice(2)], {
      cwd: ROOT,
      env,
      stdio: 'inherit',
    });
    // The terminal sends Ctrl-C to the whole group; this process waits for vitest, then stops the database.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => {
        interrupted = true;
        child.kill(signal);
      });
    }
    child.on('close', (code) => resolve({ code, interrupted }));
  });
}

/** A run that died before its end counts as one failure. */
function readSummary() {
  try {
    return JSON.parse(readFileSync(summaryPath, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, skipped: 0, skips: [] };
  }
}
