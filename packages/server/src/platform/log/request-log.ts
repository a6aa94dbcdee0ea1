import { type Clock, isoTime } from '../../kernel/clock.js';
import type { LogLevel, LogSink } from './sink.js';

/** What the one line of a request tells; a field that is undefined is left out. */
export interface RequestLine {
  /** As Node's parser knows it. */
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Milliseconds, written to the tenth. */
  readonly durationMs: number;
  readonly requestId: string;
  readonly tenant: string | undefined;
  readonly keyId: string | undefined;
  readonly userId: string | undefined;
  readonly oauthTokenId: string | undefined;
  /** The caller's own. */
  readonly inboundRequestId: string | undefined;
  readonly isAborted: boolean;
}

export type RequestLog = (line: RequestLine) => void;

/**
 * Lines as the logger writes them, of level `info`. Every request has one: going through the logger's serialisers would
 * cost several times what putting it together does, and `JSON.stringify` twice that.
 */
export function createRequestLog(level: LogLevel, sink: LogSink, clock: Pick<Clock, 'nowMs'>): RequestLog {
  if (level === 'warn' || level === 'error') return () => {};
  let headMs = Number.NaN;
  let head = '';
  return (line) => {
    const nowMs = clock.nowMs();
    if (nowMs !== headMs) {
      headMs = nowMs;
      head = `{"level":"info","time":"${isoTime(nowMs)}","msg":"request",`;
    }
    sink.write(`${head}${members(line)}}\n`);
  };
}

function members(line: RequestLine): string {
  return (
    `"method":"${line.method}","path":${quoted(line.path)},"status":${line.status},"ms":${tenths(line.durationMs)}` +
    `,"request_id":${quoted(line.requestId)}` +
    member('tenant', line.tenant) +
    member('key_id', line.keyId) +
    member('user_id', line.userId) +
    member('oauth_token_id', line.oauthTokenId) +
    member('inbound_request_id', line.inboundRequestId) +
    (line.isAborted ? ',"aborted":true' : '')
  );
}

function member(name: string, value: string | undefined): string {
  return value === undefined ? '' : `,"${name}":${quoted(value)}`;
}

/** What stands in a JSON string as it is. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** By whole numbers, which are written far faster than fractions. */
function tenths(value: number): string {
  const count = Math.round(value * 10);
  const rest = count % 10;
  const whole = (count - rest) / 10;
  return rest === 0 ? `${whole}` : `${whole}.${rest}`;
}
