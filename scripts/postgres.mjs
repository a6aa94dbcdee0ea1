import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { run, step } from './terminal.mjs';
import { startWithTries } from './throwaway.mjs';

const MAJOR_MIN = 15;

/**
 * A PostgreSQL for the store suites: the one of TEST_DATABASE_URL, else a throwaway one from installed binaries, else
 * from Debian packages where that is allowed. `{ url, stop }`, or `{ reason }` where there is none. `isDurable`: a
 * throwaway one syncs as a lasting one does.
 */
export async function providePostgres({ isDurable = false } = {}) {
  const given = process.env.TEST_DATABASE_URL?.trim();
  if (given) return { url: given, stop: () => {} };
  const found = findBinaries() ?? (await installBinaries());
  if (found.reason) return found;
  let outcome;
  await step('Starting PostgreSQL', async () => {
    outcome = await startCluster(found.bin, isDurable);
    return `${found.major}, thrown away afterwards`;
  });
  return outcome;
}

function findBinaries() {
  const onPath = (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, 'postgres'));
  const packaged = ['/usr/lib/postgresql', '/usr/local/opt', '/opt/homebrew/opt']
    .filter((dir) => existsSync(dir))
    .flatMap((dir) => readdirSync(dir).map((name) => join(dir, name, 'bin', 'postgres')));
  const candidates = [...onPath, ...packaged]
    .filter((path) => existsSync(path))
    .map((path) => dirname(realpathSync(path)))
    .filter((bin) => existsSync(join(bin, 'initdb')) && existsSync(join(bin, 'pg_ctl')))
    .map((bin) => ({ bin, major: majorOf(bin) }))
    .filter(({ major }) => major >= MAJOR_MIN);
  return candidates.sort((a, b) => b.major - a.major)[0] ?? null;
}

function majorOf(bin) {
  const { stdout } = spawnSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' });
  return Number(/\d+/.exec(stdout ?? '')?.[0] ?? 0);
}

async function installBinaries() {
  const missing = `no PostgreSQL ${MAJOR_MIN} or later is installed and TEST_DATABASE_URL is not set`;
  if (!mayInstall()) return { reason: missing };
  if (!(await installPackage('postgresql', 'Installing PostgreSQL from Debian packages')))
    return { reason: `${missing}; apt-get could not install it` };
  return findBinaries() ?? { reason: missing };
}

export function mayInstall() {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
}

/** False where this user may not, or apt-get could not. */
export async function installPackage(names, title) {
  if (!mayInstall()) return false;
  const apt = (...args) =>
    run('apt-get', args, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  const install = () => apt('install', '-y', '--no-install-recommends', ...[names].flat());
  try {
    await step(title, async () => {
      await install().catch(() => apt('update').then(install));
    });
    return true;
  } catch {
    return false;
  }
}

async function startCluster(bin, isDurable) {
  const owner = unprivilegedUser('postgres');
  // A TMPDIR of root's own may be closed to the user that PostgreSQL runs as.
  const dir = mkdtempSync(join(owner.uid === undefined ? tmpdir() : '/tmp', 'knox-pg-'));
  const data = join(dir, 'data');
  const passwordFile = join(dir, 'password');
  const password = randomBytes(18).toString('hex');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (owner.uid !== undefined) for (const path of [dir, passwordFile]) chownSync(path, owner.uid, owner.gid);
  const as = { ...owner, cwd: dir, env: { ...process.env, LC_ALL: 'C', PGDATA: data } };

  await run(
    join(bin, 'initdb'),
    [
      '-D',
      data,
      '-U',
      'knox',
      '-A',
      'scram-sha-256',
      '--pwfile',
      passwordFile,
      '-E',
      'UTF8',
      '--locale=C',
      '--no-sync',
    ],
    as,
  );
  const stop = () => {
    spawnSync(join(bin, 'pg_ctl'), ['-D', data, '-m', 'immediate', '-w', 'stop'], { ...as, stdio: 'ignore' });
    rmSync(dir, { recursive: true, force: true });
  };
  process.once('exit', stop);
  const port = await startOnFreePort(bin, data, dir, as, isDurable);
  return {
    url: `postgres://knox:${password}@127.0.0.1:${port}/postgres`,
    stop: () => {
      process.off('exit', stop);
      stop();
    },
  };
}

function startOnFreePort(bin, data, dir, as, isDurable) {
  return startWithTries(async () => {
    const port = await freePort();
    const settings = {
      listen_addresses: '127.0.0.1',
      port,
      unix_socket_directories: '',
      max_connections: 200,
      // The cluster lives as long as the run: what a power cut would lose, nobody misses.
      fsync: isDurable ? 'on' : 'off',
      full_page_writes: isDurable ? 'on' : 'off',
    };
    const flags = Object.entries(settings).map(([name, value]) => `-c ${name}='${value}'`);
    const args = ['-D', data, '-l', join(dir, 'log'), '-w', '-t', '60', '-o', flags.join(' '), 'start'];
    const { status } = spawnSync(join(bin, 'pg_ctl'), args, { ...as, stdio: 'ignore' });
    if (status === 0) return port;
    const log = await run('tail', ['-20', join(dir, 'log')]).catch(() => '');
    throw new Error(`PostgreSQL did not start:\n${log}`);
  });
}

/** Database servers refuse root: then they run as the user of their package, or as nobody. */
export function unprivilegedUser(ofPackage) {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag, user) => {
    try {
      return Number(
        execFileSync('id', [flag, user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
      );
    } catch {
      return undefined;
    }
  };
  const user = idOf('-u', ofPackage) === undefined ? 'nobody' : ofPackage;
  return { uid: idOf('-u', user), gid: idOf('-g', user) };
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
