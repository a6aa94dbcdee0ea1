import { type Logger, pino } from 'pino';
import type { Clock } from '../../kernel/clock.js';
import { maskCredentials } from './mask.js';
import { createRequestLog, type RequestLog } from './request-log.js';
import type { LogLevel, LogSink } from './sink.js';

export type { Logger } from 'pino';
export type { LogLevel, LogSink } from './sink.js';

export interface OpenLogger {
  readonly logger: Logger;
  readonly requestLog: RequestLog;
  /** Resolves when every line is written; the last act of a shutdown. */
  flush(): Promise<void>;
}

/** Beyond this many unwritten bytes lines are dropped: a reader that stopped must not fill the memory. */
const PENDING_BYTES_MAX = 16 * 1024 * 1024;

/** Under load lines go out together: a write of its own costs more than the rest of a line. */
const CHUNK_CHARACTERS_MIN = 65_536;
const LINE_AGE_MS_MAX = 100;

/** JSON lines on standard output. No process data, no headers, no bodies. */
export function openStdoutLogger(level: LogLevel, clock: Clock): OpenLogger {
  // Without a minimal length its `flush` would not wait for the write that is under way.
  const stdout = pino.destination({ dest: 1, sync: false, maxLength: PENDING_BYTES_MAX, minLength: 1 });
  const lines = collectLines(clock, (chunk) => stdout.write(chunk));
  return {
    logger: createLogger(level, lines),
    requestLog: createRequestLog(level, lines, clock),
    flush() {
      lines.flush();
      return new Promise((resolve) => stdout.flush(() => resolve()));
    },
  };
}

function collectLines(clock: Clock, write: (chunk: string) => void) {
  let lines: string[] = [];
  let characters = 0;
  let cancelTimer: (() => void) | null = null;

  function flush(): void {
    cancelTimer?.();
    cancelTimer = null;
    if (lines.length > 0) write(lines.join(''));
    lines = [];
    characters = 0;
  }

  return {
    flush,
    write(line: string) {
      lines.push(line);
      characters += line.length;
      if (characters >= CHUNK_CHARACTERS_MIN) flush();
      else cancelTimer ??= clock.setTimer(LINE_AGE_MS_MAX, flush);
    },
  };
}

/** JSON lines into `sink`, in the form they have on standard output. */
export function createLogger(level: LogLevel, sink: LogSink): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: serialiseError },
  };
  return pino(options, sink);
}

const CAUSES_MAX = 4;

/** Only what is named here: an error object may carry a request body or a connection string in further members. */
function serialiseError(error: unknown, depth = 0): Record<string, unknown> {
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
