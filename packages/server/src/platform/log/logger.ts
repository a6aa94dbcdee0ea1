import { type Logger, pino } from 'pino';
import { maskCredentials } from './mask.js';

export type { Logger } from 'pino';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

export interface LogSink {
  write(line: string): void;
}

export interface OpenLogger {
  readonly logger: Logger;
  /** Resolves when every line is written; the last act of a shutdown. */
  flush(): Promise<void>;
}

/** Beyond this many unwritten bytes lines are dropped: a reader that stopped must not fill the memory. */
const PENDING_BYTES_MAX = 16 * 1024 * 1024;

/**
 * A write costs as much as the rest of a line: under load lines go out together, and none waits longer than this. Less
 * than the 16 KiB of one write, which the stream insists on.
 */
const WRITE_BYTES_MIN = 15_360;
const LINE_AGE_MS_MAX = 100;

/** JSON lines on standard output, or into `sink`. No process data, no headers, no bodies. */
export function createLogger(level: LogLevel, sink?: LogSink): OpenLogger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: serialiseError },
  };
  if (sink) return { logger: pino(options, sink), flush: async () => undefined };
  const stdout = pino.destination({
    dest: 1,
    sync: false,
    maxLength: PENDING_BYTES_MAX,
    minLength: WRITE_BYTES_MIN,
    periodicFlush: LINE_AGE_MS_MAX,
  });
  return {
    logger: pino(options, stdout),
    flush: () => new Promise((resolve) => stdout.flush(() => resolve())),
  };
}

const CAUSES_MAX = 4;

/** Only what is named here: an error object may carry a request body or a connection string in further members. */
export function serialiseError(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: 'a value that is no Error was thrown' };
  return {
    type: error.name,
    message: maskCredentials(error.message),
    stack: maskCredentials(error.stack ?? ''),
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    ...(error.cause !== undefined && depth < CAUSES_MAX
      ? { cause: serialiseError(error.cause, depth + 1) }
      : {}),
  };
}
