import type { OutgoingHttpHeader, ServerResponse } from 'node:http';
import type { Clock } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { MASK_TEXT } from '../../kernel/secret.js';
import type { Insertion } from '../../platform/storage/database.js';
import type { ApiLogEntry } from '../api-logs/index.js';
import type { CallData, CallEvents, CallInterest } from '../webhooks/index.js';
import type { CallObserver, ProxyCall } from './call.js';

interface Body {
  readonly bytes: Buffer;
  readonly isTruncated: boolean;
}

/** Rows that wait to be written: above, events go without bodies and headers, which are what takes memory. */
const FULL_EVENTS_QUEUED_MAX = 1_000;
const CREDENTIAL = /auth|cookie|token|secret|key|signature|password|session|dpop|credential/i;
const TEXT =
  /^(text\/|application\/([\w.+-]*\+)?(json|xml|x-ndjson|ndjson|x-www-form-urlencoded|graphql)\b)/i;
const HEADERS_MAX = 100;
const HEADER_CHARACTERS_MAX = 1_000;

/** What webhooks want to know of one call, collected on its way (dataplane.md §11.2). */
export class CallWatch implements CallObserver {
  #request: Body | null = null;
  #answer: AnswerTap | null = null;
  #isAnswerShown = true;

  constructor(
    private readonly interest: CallInterest,
    private readonly events: CallEvents,
    private readonly clock: Clock,
    response: ServerResponse,
    /** As they came: a route may put values of secrets among them. */
    private readonly headersCame: readonly string[],
    queuedRows: number,
  ) {
    this.isFull = queuedRows < FULL_EVENTS_QUEUED_MAX;
    if (this.isFull && (interest.responseBody || interest.headers))
      this.#answer = new AnswerTap(response, interest.responseBody);
  }

  readonly isFull: boolean;

  /** As the caller wrote it, before tokens are replaced; one that is streamed on is not kept. */
  keepRequest(body: unknown): void {
    if (!this.isFull || !this.interest.requestBody || !Buffer.isBuffer(body)) return;
    this.#request = cut(body);
  }

  /** What field actions have put in may stand there in clear. */
  hideAnswer(): void {
    this.#isAnswerShown = false;
  }

  received(call: ProxyCall): Insertion | null {
    const { caller, exchange, method, path } = call;
    if (caller === null) return null;
    const data: CallData = {
      request_id: exchange.requestId,
      route_id: call.route?.id ?? null,
      route_name: call.route?.name ?? null,
      environment: call.route?.environment ?? null,
      proxy_mode: call.mode,
      request: { method, path: shownPath(call, path), ip: caller.ip, ...this.#requestParts(call) },
      response: null,
      error: null,
    };
    const { scope } = caller.principal;
    return this.events.received(this.interest, { scope, data, occurredAtMs: this.clock.nowMs() });
  }

  completed(call: ProxyCall, entry: ApiLogEntry): Insertion | null {
    const data: CallData = {
      request_id: entry.requestId,
      route_id: entry.routeId,
      route_name: call.route?.name ?? null,
      environment: entry.environment,
      proxy_mode: entry.proxyMode,
      request: {
        method: entry.method,
        path: entry.path,
        ip: entry.srcIp,
        ...this.#requestParts(call),
      },
      response: { status: entry.statusCode, latency_ms: entry.latencyMs, ...this.#answerParts(call) },
      error: entry.error,
    };
    const { scope } = entry;
    return this.events.completed(this.interest, { scope, data, occurredAtMs: this.clock.nowMs() });
  }

  #requestParts(call: ProxyCall) {
    if (!this.isFull) return {};
    const { contentType, contentEncoding } = call.headers;
    return {
      ...(this.interest.requestBody && shownBody(call, this.#request, contentType, contentEncoding)),
      ...(this.interest.headers && { headers: shownHeaders(call, this.headersCame) }),
    };
  }

  #answerParts(call: ProxyCall) {
    if (this.#answer === null) return {};
    const { headers } = this.#answer;
    const of = (name: string) => headers.find(([one]) => one.toLowerCase() === name)?.[1] ?? null;
    // A value that was put in and not looked for in the answer may stand there in clear, in its headers too.
    const isLookedThrough = call.guard === null || call.guard.notGuarded === 0;
    const isBodyShown = this.#isAnswerShown && isLookedThrough;
    return {
      ...(this.interest.responseBody &&
        shownBody(
          call,
          isBodyShown ? this.#answer.body() : null,
          of('content-type'),
          of('content-encoding'),
        )),
      ...(this.interest.headers && { headers: isLookedThrough ? shownHeaders(call, headers.flat()) : {} }),
    };
  }
}

/** Notes the head and the first bytes of what is written to the caller. */
class AnswerTap {
  headers: (readonly [string, string])[] = [];
  readonly #chunks: Buffer[] = [];
  #length = 0;

  constructor(response: ServerResponse, keepsBody: boolean) {
    const { writeHead, write, end } = response;
    response.writeHead = ((status: number, ...rest: unknown[]) => {
      this.headers = pairsOf(rest.at(-1));
      return Reflect.apply(writeHead, response, [status, ...rest]);
    }) as ServerResponse['writeHead'];
    if (!keepsBody) return;
    response.write = ((chunk: unknown, ...rest: unknown[]) => {
      this.#keep(chunk);
      return Reflect.apply(write, response, [chunk, ...rest]);
    }) as ServerResponse['write'];
    response.end = ((...given: unknown[]) => {
      this.#keep(given[0]);
      return Reflect.apply(end, response, given);
    }) as ServerResponse['end'];
  }

  body(): Body | null {
    return this.#length === 0 ? null : cut(Buffer.concat(this.#chunks), this.#length);
  }

  #keep(chunk: unknown): void {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    if (!(bytes instanceof Uint8Array)) return;
    const room = LIMITS.webhookBodyBytesMax - this.#length;
    // A copy: its buffer is written over, or as large as the whole answer.
    if (room > 0) this.#chunks.push(Buffer.from(bytes.subarray(0, room)));
    this.#length += bytes.length;
  }
}

function pairsOf(headers: unknown): (readonly [string, string])[] {
  if (Array.isArray(headers)) {
    const pairs: (readonly [string, string])[] = [];
    for (let i = 0; i + 1 < headers.length; i += 2) pairs.push([String(headers[i]), String(headers[i + 1])]);
    return pairs;
  }
  if (typeof headers !== 'object' || headers === null) return [];
  const named = headers as Record<string, OutgoingHttpHeader>;
  return Object.entries(named).map(([name, value]) => [name, String(value)]);
}

function cut(bytes: Buffer, length = bytes.length): Body {
  const kept = Buffer.from(bytes.subarray(0, LIMITS.webhookBodyBytesMax));
  return { bytes: kept, isTruncated: length > kept.length };
}

const shownPath = (call: ProxyCall, path: string | null) =>
  path === null ? null : (call.plan?.logText(path) ?? path);

/** Text that is not compressed, redacted as what is logged; else null. */
function shownBody(call: ProxyCall, body: Body | null, type: string | null, coding: string | null) {
  const isText = TEXT.test(type ?? '') && (coding === null || coding.toLowerCase() === 'identity');
  if (body === null || !isText) return { body: null, body_truncated: body?.isTruncated ?? false };
  // With `stream` the decoder keeps back a character that was cut.
  const text = new TextDecoder().decode(body.bytes, { stream: body.isTruncated });
  return { body: call.plan?.logText(text) ?? text, body_truncated: body.isTruncated };
}

/** Redacted as what is logged. */
function shownHeaders(call: ProxyCall, flat: readonly string[]): Record<string, string> {
  const shown: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length && shown.length < HEADERS_MAX; i += 2) {
    const name = flat[i]!.toLowerCase();
    const value = flat[i + 1]!;
    const text = CREDENTIAL.test(name) ? MASK_TEXT : (call.plan?.logText(value) ?? value);
    shown.push([name, text.slice(0, HEADER_CHARACTERS_MAX)]);
  }
  return Object.fromEntries(shown);
}
