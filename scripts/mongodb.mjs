import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './postgres.mjs';
import { run, step } from './terminal.mjs';
import { startWithTries, untilReady } from './throwaway.mjs';

/** Downloads that outlast a run, and are not of the repository. */
export const TOOL_CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'knoxcall');
const MONGODB_CACHE = join(TOOL_CACHE, 'mongodb');
const MONGODB_SITE = 'https://fastdl.mongodb.org/';
const SITE_ANSWER_MS_MAX = 5_000;
const DOWNLOAD_MS_MAX = 300_000;
const START_MS_MAX = 60_000;

/**
 * A server of the MongoDB protocol for the suites of dynamic credentials: the one of TEST_MONGODB_URL, whose user may
 * create users in every database; else a throwaway MongoDB of the binary that MONGOMS_SYSTEM_BINARY names or of one
 * downloaded; else a throwaway FerretDB of the binary that KNOX_TEST_FERRETDB names (scripts/ferretdb.mjs builds it).
 * `{ url, stop }`, or `{ reason }` where there is none.
 */
export async function provideMongodb() {
  const given = process.env.TEST_MONGODB_URL?.trim();
  if (given) return { url: given, stop: () => {} };
  const mongod = process.env.MONGOMS_SYSTEM_BINARY?.trim() || (await downloadedMongod());
  if (mongod) return startInStep('Starting MongoDB', () => startMongod(mongod));
  const ferretdb = process.env.KNOX_TEST_FERRETDB?.trim();
  if (ferretdb) return startInStep('Starting FerretDB', () => startFerretdb(ferretdb));
  return {
    reason:
      'MongoDB cannot be downloaded here, and none of TEST_MONGODB_URL, MONGOMS_SYSTEM_BINARY and KNOX_TEST_FERRETDB is set',
  };
}

async function startInStep(title, start) {
  let outcome;
  await step(title, async () => {
    outcome = await startWithTries(start);
    return 'thrown away afterwards';
  });
  return outcome;
}

async function downloadedMongod() {
  const { DryMongoBinary } = await import('mongodb-memory-server-core');
  const options = { downloadDir: MONGODB_CACHE };
  const cached = await DryMongoBinary.locateBinary(await DryMongoBinary.generateOptions(options));
  if (cached) return cached;
  // Its own try asks again for seconds where the network has no way out.
  const answers = await fetch(MONGODB_SITE, {
    method: 'HEAD',
    signal: AbortSignal.timeout(SITE_ANSWER_MS_MAX),
  }).then(
    () => true,
    () => false,
  );
  if (!answers) return undefined;
  // In a process of its own, so that a download that crawls can be ended.
  const program = `
    import { MongoBinary } from 'mongodb-memory-server-core';
    process.stdout.write(await MongoBinary.getPath(${JSON.stringify(options)}));`;
  let path;
  await step('Downloading MongoDB', async () => {
    const args = ['--input-type=module', '--eval', program];
    path = await run(process.execPath, args, { timeout: DOWNLOAD_MS_MAX });
  }).catch(() => undefined);
  return path;
}

async function startMongod(systemBinary) {
  const { MongoMemoryServer } = await import('mongodb-memory-server-core');
  const password = newPassword();
  const server = await MongoMemoryServer.create({
    instance: { ip: '127.0.0.1', launchTimeout: START_MS_MAX },
    binary: { systemBinary },
    auth: { enable: true, customRootName: 'knox', customRootPwd: password },
  });
  return { url: urlOf(password, server.instanceInfo.port), stop: () => server.stop() };
}

async function startFerretdb(binary) {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'knox-ferretdb-'));
  const password = newPassword();
  const settings = {
    handler: 'sqlite',
    'sqlite-url': `file:${dir}/`,
    'state-dir': dir,
    'listen-addr': `127.0.0.1:${port}`,
    'debug-addr': '-',
    telemetry: 'disable',
    'setup-database': 'admin',
    'setup-username': 'knox',
    // Without it anybody is let in.
    'test-enable-new-auth': 'true',
  };
  const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const env = { ...process.env, FERRETDB_SETUP_PASSWORD: password };
  const child = spawn(binary, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const stop = () => {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  };
  process.once('exit', stop);
  await untilReady(child, 'stderr', /Listening on TCP/);
  return {
    url: urlOf(password, port),
    stop: () => {
      process.off('exit', stop);
      stop();
    },
  };
}

function newPassword() {
  return randomBytes(18).toString('hex');
}

function urlOf(password, port) {
  return `mongodb://knox:${password}@127.0.0.1:${port}/admin`;
}
