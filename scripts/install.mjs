import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT, run, step } from './terminal.mjs';

const LOCK = join(ROOT, 'package-lock.json');
const INSTALL_STAMP = join(ROOT, 'node_modules', '.knox-server-install');
const SERVER = join(ROOT, 'packages', 'server');
const BUILD_STAMP = join(SERVER, 'dist', '.sources');

/** What the server needs to be built and run; everything that the tests need is enough too. */
export async function installServer() {
  if (isWholeInstall() || readText(INSTALL_STAMP) === installKey()) return;
  await step('Installing the server', async () => {
    // typescript is a development dependency and has to come along where NODE_ENV or npm's "omit" leaves those out.
    await npm('ci', '--workspace', '@knoxcall/server', '--include-workspace-root=false', '--include=dev');
    writeFileSync(INSTALL_STAMP, installKey());
  });
}

export async function installEverything() {
  if (isWholeInstall()) return;
  // "npm ci" empties node_modules before it downloads: without a network it would take a working server with it.
  const [command, ...flags] = readText(INSTALL_STAMP) === installKey() ? ['install', '--no-save'] : ['ci'];
  await step('Installing what demo, tests and checks need', async () => {
    await npm(command, ...flags, '--include=dev');
  });
}

/** Compiles when a source changed since the last build; a build that failed leaves no stamp. */
export async function buildServer() {
  const key = await sourceKey();
  if (readText(BUILD_STAMP) === key) return;
  await step('Building the server', async () => {
    rmSync(join(SERVER, 'dist'), { recursive: true, force: true });
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    await run(process.execPath, [tsc, '-p', join(SERVER, 'tsconfig.build.json')]);
    writeFileSync(BUILD_STAMP, key);
  });
}

function npm(...args) {
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  // Under "npm run" the same npm that the user called, else the one on the path.
  const script = process.env.npm_execpath;
  if (script?.endsWith('.js')) return run(process.execPath, [script, ...args, ...flags]);
  return run('npm', [...args, ...flags]);
}

/**
 * npm keeps what it installed in a hidden lock file. It is compared with ours rather than with a stamp, so that an
 * `npm ci` by hand counts, and `npm run up` never takes packages away that the tests installed.
 */
function isWholeInstall() {
  const installed = readJson(join(ROOT, 'node_modules', '.package-lock.json'))?.packages;
  if (!installed) return false;
  const wanted = Object.entries(readJson(LOCK).packages);
  return wanted.every(
    ([path, entry]) =>
      !path.includes('node_modules/') ||
      entry.optional ||
      entry.devOptional ||
      entry.peer === true ||
      (entry.link ? existsSync(join(ROOT, path)) : installed[path]?.version === entry.version),
  );
}

/** Native parts are chosen by platform; they are built on Node-API and outlast a change of Node. */
function installKey() {
  const lock = createHash('sha256').update(readFileSync(LOCK)).digest('hex');
  return `${process.platform}-${process.arch} ${lock}\n`;
}

async function sourceKey() {
  const hash = createHash('sha256').update(readFileSync(LOCK));
  const entries = await readdir(join(SERVER, 'src'), { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .concat(join(SERVER, 'tsconfig.build.json'), join(ROOT, 'tsconfig.base.json'))
    .sort();
  for (const file of files)
    hash.update(file.slice(ROOT.length)).update('\0').update(readFileSync(file)).update('\0');
  return hash.digest('hex');
}

function readText(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : null;
}

function readJson(path) {
  const text = readText(path);
  return text === null ? null : JSON.parse(text);
}
