import { OperatorKmsRefused, RootKeyMismatch } from '../capabilities/kms/index.js';
import type { Clock } from '../kernel/clock.js';
import type { Config } from '../platform/config/config.js';
import { StartRefused } from '../platform/config/private-files.js';
import { DataDirLocked } from '../platform/storage/lock.js';
import { MigrationRefused } from '../platform/storage/migrator.js';
import { DatabaseUnreachable } from '../platform/storage/postgres-errors.js';
import { renderBanner } from './banner.js';
import type { BootstrapContent } from './bootstrap-file.js';
import { type ListenAddress, reachItself, urlOf } from './self-check.js';

export interface RunningServer {
  readonly addresses: readonly ListenAddress[];
  /** Null where there is no TLS listener. */
  readonly tlsAddress: ListenAddress | null;
  /** Takes changed certificate files up at once; null where there are none. */
  readonly reload: (() => Promise<void>) | null;
  /** Where the credentials of an earlier first start still are; null where they are not. */
  readonly bootstrapFile: string | null;
  /** Stops accepting, drains, flushes the logs. */
  close(): Promise<void>;
}

export interface StartHooks {
  readonly version: string;
  /** Called once the first start is committed. */
  onFirstStart(content: BootstrapContent): void;
}

export type StartServer = (config: Config, hooks: StartHooks) => Promise<RunningServer>;

export interface Terminal {
  out(text: string): void;
  error(text: string): void;
  readonly isColoured: boolean;
}

export interface StartDeps {
  readonly config: Config;
  readonly version: string;
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly startServer: StartServer;
  /** Resolves at the first SIGTERM or SIGINT; one that comes more than a second later ends the process without waiting. */
  readonly stopAsked: Promise<void>;
  /** Calls back at each SIGHUP from then on, which without it ends the process. */
  onReload(callback: () => void): void;
}

/** Runs until it is asked to stop; the exit code. */
export async function runStart(deps: StartDeps): Promise<number> {
  const { config, terminal, version } = deps;
  let firstStart: BootstrapContent | null = null;
  const onFirstStart = (content: BootstrapContent) => {
    firstStart = content;
  };
  let server: RunningServer;
  try {
    server = await deps.startServer(config, { version, onFirstStart });
  } catch (error) {
    terminal.error(`Cannot start: ${startErrorText(error)}\n`);
    return 1;
  }
  if (server.reload) deps.onReload(() => void server.reload?.());
  const url = await reachableUrl(server, terminal);
  if (url) {
    const { bootstrapFile, tlsAddress } = server;
    const { isColoured } = terminal;
    const tlsUrl = tlsAddress && urlOf(tlsAddress, 'https');
    terminal.out(renderBanner({ version, config, url, tlsUrl, firstStart, bootstrapFile, isColoured }));
  } else if (firstStart) terminal.out(`${JSON.stringify(firstStart)}\n`);
  await deps.stopAsked;
  return await stop(server, deps);
}

async function reachableUrl(server: RunningServer, terminal: Terminal): Promise<string | null> {
  const url = urlOf(server.addresses[0]!);
  try {
    await reachItself(url);
    return url;
  } catch (error) {
    terminal.error(`The server listens, but does not reach itself: ${startErrorText(error)}\n`);
    return null;
  }
}

async function stop(server: RunningServer, { config, terminal, clock }: StartDeps): Promise<number> {
  terminal.out('Stopping: no new requests, finishing those under way.\n');
  const outcome = await new Promise<'closed' | 'too_long'>((resolve, reject) => {
    const cancel = clock.setTimer(config.shutdownTimeoutMs, () => resolve('too_long'));
    server
      .close()
      .then(() => resolve('closed'), reject)
      .finally(cancel);
  });
  if (outcome === 'closed') return 0;
  terminal.error(`Not everything ended within ${config.shutdownTimeoutMs / 1000} s; leaving.\n`);
  return 1;
}

/** What the operator can put right is told in a sentence; a bug keeps its stack. */
export function startErrorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof DatabaseUnreachable) return `DATABASE_URL: ${error.message}`;
  const isTold = [StartRefused, DataDirLocked, MigrationRefused, RootKeyMismatch, OperatorKmsRefused].some(
    (kind) => error instanceof kind,
  );
  return isTold || 'code' in error ? error.message : (error.stack ?? error.message);
}
