import { existsSync } from 'node:fs';
import type { Clock } from '../kernel/clock.js';
import { type Config, ConfigError, loadConfig } from '../platform/config/config.js';
import type { EnvironmentSource } from '../platform/config/env.js';
import { StartRefused } from '../platform/config/private-files.js';
import type { StartServer, Terminal } from './start.js';

export const USAGE_ERROR = 2;

export interface CommandDeps {
  readonly environment: EnvironmentSource;
  readonly workingDir: string;
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly stopAsked: Promise<void>;
  onReload(callback: () => void): void;
  /** Loaded by the command that needs it, so that the others answer at once. */
  loadStartServer(): Promise<StartServer>;
}

/** Null where it is not to be used; what is wrong with it has been told. */
export function readConfig({ environment, workingDir, terminal }: CommandDeps): Config | null {
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

/** For a command on what is there already: to open SQLite would make it. */
export function requireInstallation({ storage }: Config): void {
  if (storage.kind === 'sqlite' && !existsSync(storage.path))
    throw new StartRefused(`there is no installation at ${storage.path} yet; the first start makes it`);
}
