import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestId } from '../../kernel/ids.js';
import type { Caller } from '../../kernel/principal.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { ProxyMode } from '../../kernel/proxy-mode.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';
import { type CallClock, ClientGone, type ClientPresence } from '../../platform/egress/egress.js';
import type { Insertion } from '../../platform/storage/database.js';
import type { StepTrace } from '../../platform/telemetry/tracing.js';
import type { ApiLogEntry } from '../api-logs/index.js';
import type { DetokenizedValue, EchoGuard, RedactionPlan } from '../redaction/index.js';
import type { CredentialHeader } from './credential.js';
import { RequestHeaders } from './request-headers.js';

/** One request as the HTTP floor hands it over: raw, its body unread, its answer unwritten. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: RequestId;
  /** `null` where no traces are kept. */
  readonly trace: StepTrace | null;
  /** Version header, host, credential and mode (auth.md §5), without limits and permission. */
  authenticate(rawHeaders: readonly string[]): Promisable<Caller>;
  /** Whose valid credential `authenticate` refused, where it did. */
  refusedCaller(): Caller | null;
  /** Writes the error in the common shape, or breaks off an answer that has begun. */
  refuse(cause: unknown, rateLimit: RateLimitStatus | null, block: Readonly<Record<string, string>>): void;
}

/** Which route a call went to, as its answer, its log row and its webhooks tell it. */
export interface CalledRoute {
  readonly id: string;
  readonly name: string;
  readonly environment: string;
}

/** Whose call it is to its route's lists. */
export interface CallingClient {
  readonly id: string;
  /** Which of its credentials was recognised. */
  readonly kind: string;
  readonly signingSecretId: string | null;
}

const NO_BLOCK: Readonly<Record<string, string>> = {};

/** Collects what webhooks want to know of a call (`call-watch.ts`); what is to be written of it, if anything. */
export interface CallObserver {
  keepRequest(body: unknown): void;
  hideAnswer(): void;
  received(call: ProxyCall): Insertion | null;
  completed(call: ProxyCall, entry: ApiLogEntry): Insertion | null;
}

/** What the steps of a pipeline share about one call. Results that only the next step needs are passed on instead. */
export class ProxyCall implements ClientPresence {
  readonly headers: RequestHeaders;
  /** Known once the credential is: from then on the call leaves a log row. */
  caller: Caller | null = null;
  /** What the narrowest of the caller's general limits says; null where none holds. */
  rateLimit: RateLimitStatus | null = null;
  /** Of the target, for the log row: never its query, where values stand. */
  upstreamHost: string | null = null;
  path: string | null = null;
  /** Redaction of this call's answer and log row; known before the target is, and once more with the route. */
  plan: RedactionPlan | null = null;
  /** Keeps what was detokenized for the call out of its answer; null where nothing was. */
  guard: EchoGuard | null = null;
  /** Secrets whose values are sent along: they stand in no log. */
  injected: readonly DetokenizedValue[] = [];
  /** Null until it is found, and of an ephemeral call. */
  route: CalledRoute | null = null;
  client: CallingClient | null = null;
  /** Null where no signature was asked for. */
  signatureValid: boolean | null = null;
  /** A body that a step had to read whole. */
  body: Buffer | null = null;
  /** An expired secret was used, whose expiry is not strict. */
  usedExpired = false;
  /** Nothing in its body is rendered. */
  isVerbatim = false;
  /** Of ours, that goes upstream. */
  credential: CredentialHeader | null = null;
  /** Null where no webhook wants to know. */
  watch: CallObserver | null = null;
  /** Answered with what would be sent, and by nobody else (dataplane §1.1). */
  isDryRun = false;
  /** Started with the target's resolution, stopped when the call is over. */
  clock: CallClock | null = null;
  #isGone = false;
  readonly #onGone: (() => void)[] = [];

  constructor(
    readonly exchange: Exchange,
    readonly receivedAtMs: number,
    readonly startedMs: number,
    certificateHeader: string | null,
    readonly mode: ProxyMode = 'ephemeral',
  ) {
    this.headers = new RequestHeaders(exchange.request.rawHeaders, certificateHeader, mode);
    const { response } = exchange;
    response.once('close', () => {
      if (response.writableFinished || wasBrokenOffHere(response)) return;
      this.#isGone = true;
      for (const callback of this.#onGone) callback();
    });
  }

  /** The client left before its answer was complete. */
  get isGone(): boolean {
    return this.#isGone;
  }

  onGone(callback: () => void): void {
    this.#onGone.push(callback);
  }

  get method(): string {
    return this.exchange.request.method ?? 'GET';
  }

  /** What our own answers say of the route (dataplane §5.4). */
  get block(): Readonly<Record<string, string>> {
    if (this.route === null) return NO_BLOCK;
    return { 'x-knox-route-id': this.route.id, 'x-knox-environment': this.route.environment };
  }

  /** What tells that the upstream answered, and which it was. */
  stamp(rawHeaders: string[], status: number): void {
    if (this.mode === 'ephemeral') rawHeaders.push('X-Knox-Destination-Status', String(status));
    else rawHeaders.push('X-Knox-Upstream-Status', String(status));
    rawHeaders.push('X-Request-Id', this.exchange.requestId);
    if (this.route === null) return;
    rawHeaders.push('X-Knox-Route-Id', this.route.id, 'X-Knox-Environment', this.route.environment);
  }

  assertClientPresent(): void {
    if (this.#isGone) throw new ClientGone();
  }
}

/** `errored` is undefined after a destroy without an error, which is ours too; Node's own for a lost peer is ECONNRESET. */
function wasBrokenOffHere(response: ServerResponse): boolean {
  const errored: NodeJS.ErrnoException | null | undefined = response.errored;
  return errored !== null && errored?.code !== 'ECONNRESET';
}
