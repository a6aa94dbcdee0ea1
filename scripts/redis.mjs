import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort, installPackage } from './postgres.mjs';
import { step } from './terminal.mjs';
import { startWithTries, untilReady } from './throwaway.mjs';

/**
 * A Redis or Valkey for the limiter's suites: the one of TEST_REDIS_URL, else a throwaway one from installed binaries,
 * else from Debian packages where that is allowed. `{ url, stop }`, or `{ reason }` where there is none.
 */
export async function provideRedis() {
  const given = process.env.TEST_REDIS_URL?.trim();
  if (given) return { url: given, stop: () => {} };
  const binary = findBinary() ?? (await install());
  if (!binary) return { reason: 'no Redis or Valkey is installed and TEST_REDIS_URL is not set' };
  let outcome;
  await step('Starting Redis', async () => {
    outcome = await startWithTries(() => start(binary));
    return 'thrown away afterwards';
  });
  return outcome;
}

function findBinary() {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((dir) => ['redis-server', 'valkey-server'].map((name) => join(dir, name)))
    .find((path) => existsSync(path));
}

async function install() {
  const installed = await installPackage('redis-server', 'Installing Redis from Debian packages');
  return installed ? findBinary() : undefined;
}

async function start(binary) {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'knox-redis-'));
  const settings = { bind: '127.0.0.1', port, save: '', appendonly: 'no', dir, daemonize: 'no' };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const stop = () => {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  };
  process.once('exit', stop);
  await untilReady(child, 'stdout', /ready to accept connections/i);
  return {
    url: `redis://127.0.0.1:${port}`,
    stop: () => {
      process.off('exit', stop);
      stop();
    },
  };
}
