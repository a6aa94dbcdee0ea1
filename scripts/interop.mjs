// Our clients of the clouds against servers and clients of other makers: `npm run test:interop [-- vitest arguments]`.
// moto (AWS) and the clouds' own clients for Python come from PyPI, pinned by hash, into a folder of the user's cache.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TOOL_CACHE } from './mongodb.mjs';
import { CommandFailed, endWith, ROOT, red, requireNode, run, step, yellow } from './terminal.mjs';

const REQUIREMENTS = join(ROOT, 'tests', 'interop', 'requirements.txt');
const INSTALL_MS_MAX = 300_000;
/** There the clouds' own clients and the suite's emulators prove each other (docs/decisions/0080). */
const NO_SERVERS = [
  'a server of another maker for Azure Key Vault: Maven Central has no application of lowkey-vault',
  'a server of another maker for Google Cloud KMS: no package registry has one',
];

requireNode();
const python = await providePython();
if (python.reason) {
  const text = `The suites of other makers are skipped: ${python.reason}`;
  // Where everything can be had, a suite that was not run shows nothing.
  console.error(process.env.CI ? red(text) : yellow(text));
  process.exit(process.env.CI ? 1 : 0);
}
const code = await runVitest();
for (const text of NO_SERVERS) console.error(yellow(`Skipped: ${text}`));
process.exit(code);

/** `{ path }` of a Python that has what the suites need; `{ reason }` where it cannot be had. */
async function providePython() {
  const given = process.env.TEST_INTEROP_PYTHON?.trim();
  if (given) return { path: given };
  const version = await run('python3', ['--version']).catch(() => undefined);
  if (version === undefined) return { reason: 'no python3 is installed' };
  // Of another version of Python, or of other requirements, is another folder.
  const name = createHash('sha256')
    .update(version)
    .update(readFileSync(REQUIREMENTS))
    .digest('hex')
    .slice(0, 16);
  const dir = join(TOOL_CACHE, 'interop', name);
  const path = join(dir, 'bin', 'python');
  if (existsSync(path)) return { path };
  try {
    await step('Installing moto and the clients of the clouds from PyPI', () => install(dir));
    return { path };
  } catch (error) {
    if (!(error instanceof CommandFailed)) endWith(error);
    return { reason: `${error.message}: ${lastLine(error.output)}` };
  }
}

/** Whole or not at all: what a killed run has left is not found by the next one. */
async function install(dir) {
  const made = `${dir}.${process.pid}`;
  try {
    await run('python3', ['-m', 'venv', made]);
    const words = [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--require-hashes',
      '--only-binary=:all:',
      '-r',
      REQUIREMENTS,
    ];
    await run(join(made, 'bin', 'python'), words, { timeout: INSTALL_MS_MAX });
    renameSync(made, dir);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

function lastLine(output) {
  return output.trimEnd().split('\n').at(-1) ?? '';
}

function runVitest() {
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
  const child = spawn(process.execPath, [vitest, 'run', 'tests/interop', ...process.argv.slice(2)], {
    cwd: ROOT,
    env: { ...process.env, TEST_INTEROP_PYTHON: python.path },
    stdio: 'inherit',
  });
  // The terminal sends Ctrl-C to the whole group.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
}
