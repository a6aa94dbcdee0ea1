import type { RequestId, Scope } from '../../kernel/ids.js';
import type { ProxyMode } from '../../kernel/proxy-mode.js';

/** What let the call by and is not as it should be: a secret whose expiry is not strict (dataplane.md §3). */
export type LogWarning = 'secret_expired';

export type ClientOrigin = 'direct' | 'sdk_intercept';

/** What a data-plane call leaves behind: never a body, a query value or a substituted value. */
export interface ApiLogEntry {
  readonly scope: Scope;
  readonly requestId: RequestId;
  readonly routeId: string | null;
  readonly matchedClientId: string | null;
  /** How the caller was recognised: the kind of its principal, of a client that of its credential. */
  readonly identificationMethod: string | null;
  readonly method: string;
  /** What the client saw; 499 where it left before an answer. */
  readonly statusCode: number;
  readonly srcIp: string | null;
  readonly environment: string | null;
  readonly tsMs: number;
  readonly path: string | null;
  readonly latencyMs: number;
  readonly upstreamHost: string | null;
  /** Type of a refusal of ours, `client_disconnected`, or `dry_run`. */
  readonly error: string | null;
  readonly rateLimited: boolean;
  readonly proxyMode: ProxyMode;
  readonly clientOrigin: ClientOrigin;
  /** What the echo guard did; null where nothing was detokenized for the call. */
  readonly echo: EchoCounts | null;
  /** Null where none was asked for, or the call was refused before it. */
  readonly signatureValid: boolean | null;
  readonly warning: LogWarning | null;
}

export interface EchoCounts {
  /** Places of the answer where a token took the place of its value. */
  readonly guarded: number;
  /** Values that were not looked for. */
  readonly notGuarded: number;
}

export interface ApiLog extends ApiLogEntry {
  readonly id: number;
}
