import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort, installPackage, mayInstall, unprivilegedUser } from './postgres.mjs';
import { run, step } from './terminal.mjs';
import { startWithTries, untilReady } from './throwaway.mjs';

/**
 * A MariaDB or MySQL for the suites of dynamic database credentials: the one of TEST_MYSQL_URL, else a throwaway
 * MariaDB from installed binaries, else from Debian packages where that is allowed. `{ url, stop }`, or `{ reason }`
 * where there is none. The user of the URL may do everything; `ssl-ca` in it is the file with the authority of the
 * server's certificate, which is good for `localhost` and 127.0.0.1.
 */
export async function provideMariadb() {
  const given = process.env.TEST_MYSQL_URL?.trim();
  if (given) return { url: given, stop: () => {} };
  const found = findBinaries() ?? (await installBinaries());
  if (found.reason) return found;
  let outcome;
  await step('Starting MariaDB', async () => {
    outcome = await startServer(found);
    return `${found.version}, thrown away afterwards`;
  });
  return outcome;
}

function findBinaries() {
  const dirs = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/bin', '/usr/local/bin'];
  const find = (...names) =>
    dirs.flatMap((dir) => names.map((name) => join(dir, name))).find((path) => existsSync(path));
  const server = find('mariadbd', 'mysqld');
  const installDb = find('mariadb-install-db', 'mysql_install_db');
  if (!server || !installDb || !find('my_print_defaults')) return null;
  const { stdout } = spawnSync(server, ['--no-defaults', '--version'], { encoding: 'utf8' });
  const version = /(\d+\.\d+\.\d+)-MariaDB/.exec(stdout ?? '')?.[1];
  return version ? { server, installDb, version } : null;
}

async function installBinaries() {
  const missing = 'no MariaDB is installed and TEST_MYSQL_URL is not set';
  // The second has my_print_defaults, which mariadb-install-db asks.
  const packages = ['mariadb-server-core', 'mariadb-client-core'];
  if (!mayInstall()) return { reason: missing };
  if (!(await installPackage(packages, 'Installing MariaDB from Debian packages')))
    return { reason: `${missing}; apt-get could not install it` };
  return findBinaries() ?? { reason: missing };
}

async function startServer({ server, installDb }) {
  const owner = unprivilegedUser('mysql');
  // A TMPDIR of root's own may be closed to the user that MariaDB runs as.
  const dir = mkdtempSync(join(owner.uid === undefined ? tmpdir() : '/tmp', 'knox-my-'));
  const stopped = () => rmSync(dir, { recursive: true, force: true });
  process.once('exit', stopped);
  const password = randomBytes(18).toString('hex');
  const files = {
    // The server reads it before it takes a connection; the passwordless users of a new data directory go.
    'init.sql': [
      `CREATE OR REPLACE USER 'knox'@'%' IDENTIFIED BY '${password}';`,
      "GRANT ALL PRIVILEGES ON *.* TO 'knox'@'%' WITH GRANT OPTION;",
      "DELETE FROM mysql.global_priv WHERE User IN ('', 'root');",
      'FLUSH PRIVILEGES;',
    ].join('\n'),
    ...(await certificateFiles()),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text, { mode: 0o600 });
  if (owner.uid !== undefined) {
    for (const path of [dir, ...Object.keys(files).map((name) => join(dir, name))]) {
      chownSync(path, owner.uid, owner.gid);
    }
  }
  const as = { ...owner, cwd: dir, env: { ...process.env, LC_ALL: 'C' } };
  // What a power cut would lose, nobody misses.
  const shared = [
    '--no-defaults',
    `--datadir=${join(dir, 'data')}`,
    `--tmpdir=${dir}`,
    '--innodb-flush-method=nosync',
    '--innodb-log-file-size=4M',
    '--innodb-doublewrite=OFF',
  ];
  await run(
    installDb,
    [...shared, '--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve'],
    as,
  );
  const { port, child } = await startOnFreePort(server, shared, dir, as);
  const stop = () => {
    child.kill('SIGKILL');
    stopped();
  };
  process.off('exit', stopped);
  process.once('exit', stop);
  return {
    url: `mysql://knox:${password}@127.0.0.1:${port}/?ssl-ca=${encodeURIComponent(join(dir, 'cert.pem'))}`,
    stop: () => {
      process.off('exit', stop);
      stop();
    },
  };
}

function startOnFreePort(server, shared, dir, as) {
  return startWithTries(async () => {
    const port = await freePort();
    const settings = {
      'bind-address': '127.0.0.1',
      port,
      socket: join(dir, 'socket'),
      'pid-file': join(dir, 'pid'),
      'init-file': join(dir, 'init.sql'),
      'ssl-cert': join(dir, 'cert.pem'),
      'ssl-key': join(dir, 'key.pem'),
      'skip-name-resolve': 'ON',
      'max-connections': 500,
      'innodb-buffer-pool-size': '64M',
      'innodb-flush-log-at-trx-commit': 0,
    };
    const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
    const child = spawn(server, [...shared, ...args], { ...as, stdio: ['ignore', 'ignore', 'pipe'] });
    return { port, child: await untilReady(child, 'stderr', /ready for connections/) };
  });
}

/** A certificate that is its own authority. The package is a development dependency: absent until all is installed. */
async function certificateFiles() {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const { webcrypto } = await import('node:crypto');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const day = 86_400_000;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: randomBytes(8)
        .toString('hex')
        .replace(/^[89a-f]/, '1'),
      name: 'CN=localhost',
      notBefore: new Date(Date.now() - day),
      notAfter: new Date(Date.now() + 30 * day),
      keys,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: 'localhost' },
          { type: 'ip', value: '127.0.0.1' },
        ]),
      ],
    },
    webcrypto,
  );
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { 'cert.pem': certificate.toString('pem'), 'key.pem': x509.PemConverter.encode(key, 'PRIVATE KEY') };
}
