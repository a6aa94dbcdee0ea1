import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../../packages/server/bin/knox-server.mjs', import.meta.url));

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Everything it wrote to standard output. */
  readonly out: string;
  readonly error: string;
}

export interface Bootstrap {
  readonly base_url: string;
  readonly tenant: { readonly id: string; readonly slug: string };
  readonly admin: { readonly email: string; readonly password: string };
  readonly live_api_key: string;
  readonly test_api_key: string;
}

export interface ServerProcess {
  /** The URL it printed. */
  readonly url: string;
  /** What it has written so far. */
  output(): { readonly out: string; readonly error: string };
  signal(name: NodeJS.Signals): void;
  readonly exited: Promise<Exit>;
}

export type Environment = Readonly<Record<string, string>>;

/** A folder with a blank in its name, as a user may have. */
export function makeDataDir(): { readonly path: string; remove(): void } {
  const parent = mkdtempSync(join(tmpdir(), 'knox e2e '));
  return { path: join(parent, 'data'), remove: () => rmSync(parent, { recursive: true, force: true }) };
}

export function readBootstrap(dataDir: string): Bootstrap {
  return JSON.parse(readFileSync(join(dataDir, 'bootstrap.json'), 'utf8')) as Bootstrap;
}

const running = new Set<ChildProcess>();

/** For `afterAll`: a test that failed half-way leaves no server behind. */
export async function killAll(): Promise<void> {
  await Promise.all(
    [...running].map(async (child) => {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    }),
  );
}

function launch(words: readonly string[], environment: Environment, command = COMMAND) {
  const child = spawn(process.execPath, [command, ...words], {
    env: { PATH: process.env['PATH'] ?? '', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const written = { out: '', error: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    written.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    written.error += text;
  });
  const exited = new Promise<Exit>((resolve) => {
    child.on('close', (code, signal) => {
      running.delete(child);
      resolve({ code, signal, ...written });
    });
  });
  return { child, written, exited };
}

/** Runs a command of `knox-server` to its end. */
export function runToEnd(words: readonly string[], environment: Environment): Promise<Exit> {
  return launch(words, environment).exited;
}

/** Starts the built server, or a copy of it, on a free port; resolves once it printed that it runs. */
export async function startServer(environment: Environment, command?: string): Promise<ServerProcess> {
  const { child, written, exited } = launch(['start'], { KNOX_PORT: '0', ...environment }, command);
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', () => {
      if (written.out.includes('Ctrl-C stops it.')) resolve();
    });
    void exited.then((exit) =>
      reject(new Error(`the server ended with ${exit.code}: ${exit.error}${exit.out}`)),
    );
  });
  const url = /URL +(http:\S+)/.exec(written.out)?.[1];
  if (!url) throw new Error(`no URL in: ${written.out}`);
  return { url, output: () => ({ ...written }), signal: (name) => void child.kill(name), exited };
}

/** SIGTERM and wait. */
export function stopServer(server: ServerProcess): Promise<Exit> {
  server.signal('SIGTERM');
  return server.exited;
}
