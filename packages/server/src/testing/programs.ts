import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';

/** Where a program of that name is installed. */
export function programPath(name: string): string | undefined {
  return [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']
    .map((dir) => join(dir, name))
    .find((path) => existsSync(path));
}

/** For the title of a suite that needs programs: empty where they are there. */
export function skippedWithout(...names: readonly string[]): string {
  const missing = names.filter((name) => programPath(name) === undefined);
  return missing.length === 0 ? '' : ` (skipped: no ${missing.join(', ')} is installed)`;
}

export interface ProgramEnd {
  /** Null where it had to be ended. */
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

const PROGRAM_MS_MAX = 30_000;

/** Runs a program to its end, beside this process, which may be the server that it asks; what it reads is `input`. */
export async function runProgram(name: string, words: readonly string[], input = ''): Promise<ProgramEnd> {
  const child = spawn(programPath(name)!, words, { timeout: PROGRAM_MS_MAX });
  const written = { out: '', error: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    written.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    written.error += text;
  });
  // One that has ended already reads nothing.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...written };
}

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  /** SHA-256 of the DER as OpenSSL says it. */
  readonly digest: string;
}

/** Written where programs can read them. */
export function filesOf(
  dir: string,
  name: string,
  pair: { certPem: string; keyPem: string },
): CertificateFiles {
  const [cert, key] = [join(dir, `${name}.pem`), join(dir, `${name}.key`)];
  writeFileSync(cert, pair.certPem);
  writeFileSync(key, pair.keyPem, { mode: 0o600 });
  return { cert, key, digest: digestOf(cert) };
}

/** Of nobody's CA. */
export function selfSigned(dir: string, name: string): CertificateFiles {
  const [cert, key] = [join(dir, `${name}.pem`), join(dir, `${name}.key`)];
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const rest = ['-days', '30', '-subj', `/CN=${name}`, '-keyout', key, '-out', cert];
  execFileSync(programPath('openssl')!, [...words, ...rest], { stdio: 'ignore' });
  return { cert, key, digest: digestOf(cert) };
}

function digestOf(cert: string): string {
  const words = ['x509', '-in', cert, '-noout', '-fingerprint', '-sha256'];
  const line = execFileSync(programPath('openssl')!, words, { encoding: 'utf8' });
  return line.split('=')[1]!.trim().replaceAll(':', '').toLowerCase();
}

/** One that was free just now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface RunningNginx {
  stop(): Promise<void>;
}

/** An nginx with nothing of its own on the disk; `server` is a block of its configuration, listening on `port`. */
export async function startNginx(
  path: string,
  dir: string,
  { port, blocks }: { readonly port: number; readonly blocks: string },
): Promise<RunningNginx> {
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(dir, name)};`,
  );
  const file = join(dir, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off;\nmaster_process off;\npid ${join(dir, 'nginx.pid')};\nevents {}\nhttp {\n  access_log off;\n  ${places.join('\n  ')}\n${blocks}\n}\n`,
  );
  const child = spawn(path, ['-p', dir, '-c', file, '-e', join(dir, 'error.log')], { stdio: 'inherit' });
  const ended = once(child, 'close');
  await accepts(port, ended);
  return {
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function accepts(port: number, ended: Promise<unknown[]>): Promise<void> {
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  while (!isOver) {
    const socket = connect(port, '127.0.0.1');
    const [outcome] = await Promise.race([
      once(socket, 'connect').then(() => ['open']),
      once(socket, 'error').then(() => ['closed']),
    ]).catch(() => ['closed']);
    socket.destroy();
    if (outcome === 'open') return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('nginx ended at once');
}
