import { readFileSync } from 'node:fs';
import type { Clock } from '../kernel/clock.js';
import { type Config, ConfigError, loadConfig } from '../platform/config/config.js';
import { describeConfig } from '../platform/config/describe.js';
import type { EnvironmentSource } from '../platform/config/env.js';
import { runStart, type StartServer, type Terminal } from './start.js';

const HELP = `knox-server <command>

  start          runs the server until SIGTERM or SIGINT
  config check   prints the effective configuration with secrets masked
  tenant set     changes a tenant's plan, subscription status or ephemeral calls; beside a running server too

  --help, --version

Configuration is read from environment variables: docs/operations/variables.md
`;

const USAGE_ERROR = 2;

export interface CommandDeps {
  readonly environment: EnvironmentSource;
  readonly workingDir: string;
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly stopAsked: Promise<void>;
  /** Loaded by the command that needs it, so that the others answer at once. */
  loadStartServer(): Promise<StartServer>;
  loadTenantSet(): Promise<TenantSet>;
}

/** `words` are those after `tenant set`; the configuration is read when they are in order. */
export type TenantSet = (
  words: readonly string[],
  terminal: Terminal,
  readConfig: () => Config | null,
) => Promise<number>;

/** The exit code of `knox-server <words>`. */
export async function runCommand(words: readonly string[], deps: CommandDeps): Promise<number> {
  const { terminal } = deps;
  if (words[0] === 'tenant' && words[1] === 'set') {
    const tenantSet = await deps.loadTenantSet();
    return await tenantSet(words.slice(2), terminal, () => readConfig(deps));
  }
  switch (words.join(' ')) {
    case 'start':
      return await start(deps);
    case 'config check':
      return checkConfig(deps);
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
  const { terminal, clock, stopAsked } = deps;
  return await runStart({
    config,
    terminal,
    clock,
    stopAsked,
    version: version(),
    startServer: await deps.loadStartServer(),
  });
}

function checkConfig(deps: CommandDeps): number {
  const config = readConfig(deps);
  if (!config) return 1;
  const rows = describeConfig(config, deps.environment);
  const nameWidth = Math.max(...rows.map((row) => row.variable.length));
  const lines = rows.map((row) => `${row.variable.padEnd(nameWidth)}  ${row.value}  (${row.from})\n`);
  deps.terminal.out(lines.join(''));
  return 0;
}

function readConfig({ environment, workingDir, terminal }: CommandDeps): Config | null {
  try {
    const { config, warnings } = loadConfig(environment, workingDir);
    for (const warning of warnings) terminal.error(`Warning: ${warning}\n`);
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    terminal.error(`The configuration has ${error.problems.length === 1 ? 'a problem' : 'problems'}:\n`);
    for (const { variable, rule } of error.problems) terminal.error(`  ${variable} ${rule}\n`);
    return null;
  }
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
