import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SCRIPTS = fileURLToPath(new URL('../scripts', import.meta.url));
const LOCK = JSON.stringify({ packages: { 'node_modules/only-for-tests': { version: '1.0.0' } } });

describe('installing what the tests need', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'knox install '));
    cpSync(SCRIPTS, join(root, 'scripts'), { recursive: true });
    writeFileSync(join(root, 'package-lock.json'), LOCK);
    // Stands in for npm: tells how it was called.
    writeFileSync(
      join(root, 'npm.js'),
      "require('node:fs').writeFileSync('called', process.argv.slice(2).join(' '))",
    );
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function install(): string {
    const script = "import('./scripts/install.mjs').then((module) => module.installEverything())";
    const env = { ...process.env, npm_execpath: join(root, 'npm.js') };
    const { status, stderr } = spawnSync(process.execPath, ['-e', script], {
      cwd: root,
      env,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const called = join(root, 'called');
    return existsSync(called) ? readFileSync(called, 'utf8') : '';
  }

  it('is a clean install in a fresh clone', () => {
    expect(install()).toMatch(/^ci --include=dev /);
  });

  it('adds to the install of a server, so that a failure leaves the server as it was', () => {
    mkdirSync(join(root, 'node_modules'));
    const lock = createHash('sha256').update(LOCK).digest('hex');
    writeFileSync(
      join(root, 'node_modules', '.knox-server-install'),
      `${process.platform}-${process.arch} ${lock}\n`,
    );
    expect(install()).toMatch(/^install --no-save --include=dev /);
  });

  it('leaves a whole install alone', () => {
    mkdirSync(join(root, 'node_modules'));
    writeFileSync(join(root, 'node_modules', '.package-lock.json'), LOCK);
    expect(install()).toBe('');
  });
});
