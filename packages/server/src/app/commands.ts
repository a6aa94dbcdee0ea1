import { readFileSync } from 'node:fs';
import { describeConfig } from '../platform/config/describe.js';
import { StartRefused } from '../platform/config/private-files.js';
import { type CommandDeps, readConfig, USAGE_ERROR } from './command-deps.js';
import { runStart } from './start.js';

const HELP = `knox-server <command>

  start          runs the server until SIGTERM or SIGINT
  config check   prints the effective configuration with secrets masked
  jobs list      shows background work: schedule, last and next run; of one kind its jobs: jobs list <kind>
  jobs run <kind>
                 makes the jobs of a kind due now; beside a running server
  outbox list    shows events that wait for a listener; of one listener its dead letters: outbox list <listener>
  outbox retry <listener>
                 tries the dead letters of a listener again; beside a running server
  audit verify [--tenant <slug>]
                 verifies the audit chains of all tenants, or of one, and names the first bad row
  tenant set <slug>
                 changes a tenant's plan, subscription status or ephemeral calls; beside a running server too
  owner reset-password [<email>] [--remove-factors]
                 gives an owner a new password, shown once, and ends its sessions; beside a running server too
  backup --to <folder>
                 copies the SQLite files of a running or stopped server; for PostgreSQL it names the tool
  storage copy --from <url> --to <url>
                 moves an installation between SQLite and PostgreSQL; the server is stopped meanwhile

  --help, --version

Configuration is read from environment variables: docs/operations/variables.md
`;

/** The exit code of `knox-server <words>`. */
export async function runCommand(words: readonly string[], deps: CommandDeps): Promise<number> {
  const { terminal } = deps;
  const rest = words.slice(1);
  if (words[0] === 'jobs') return (await import('./job-commands.js')).runJobs(rest, deps);
  if (words[0] === 'outbox') return (await import('./outbox-commands.js')).runOutbox(rest, deps);
  if (words[0] === 'audit') return (await import('./audit-verify.js')).runAudit(rest, deps);
  if (words[0] === 'tenant') return (await import('./tenant-command.js')).runTenant(rest, deps);
  if (words[0] === 'owner') return (await import('./owner-command.js')).runOwner(rest, deps);
  if (words[0] === 'backup') return (await import('./storage-commands.js')).runBackup(rest, deps);
  if (words[0] === 'storage' && words[1] === 'copy') {
    return (await import('./storage-commands.js')).runStorageCopy(words.slice(2), deps);
  }
  switch (words.join(' ')) {
    case 'start':
      return await start(deps);
    case 'config check':
      return await checkConfig(deps);
    case '--version':
    case '-v':
      terminal.out(`${version()}\n`);
      return 0;
    case '--help':
    case '-h':
    case 'help':
      terminal.out(HELP);
      return 0;
    default:
      terminal.error(words.length === 0 ? HELP : `Unknown command: ${words.join(' ')}\n\n${HELP}`);
      return USAGE_ERROR;
  }
}

async function start(deps: CommandDeps): Promise<number> {
  const config = readConfig(deps);
  if (!config) return 1;
  const { terminal, clock, stopAsked, onReload } = deps;
  return await runStart({
    config,
    terminal,
    clock,
    stopAsked,
    onReload,
    version: version(),
    startServer: await deps.loadStartServer(),
  });
}

async function checkConfig(deps: CommandDeps): Promise<number> {
  const config = readConfig(deps);
  if (!config) return 1;
  try {
    (await import('./operator-kms.js')).kmsSettings(config);
  } catch (error) {
    if (!(error instanceof StartRefused)) throw error;
    deps.terminal.error(`${error.message}\n`);
    return 1;
  }
  const rows = describeConfig(config, deps.environment);
  const nameWidth = Math.max(...rows.map((row) => row.variable.length));
  const lines = rows.map((row) => `${row.variable.padEnd(nameWidth)}  ${row.value}  (${row.from})\n`);
  deps.terminal.out(`${lines.join('')}\nThe configuration is valid.\n`);
  return 0;
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
