import { LIMITS } from '../../../kernel/limits.js';
import type { SslMode } from '../providers/engine.js';
import { isWeakerTls, type TlsProtection } from '../providers/tls.js';

/** `connect_options` as stored and as on the wire (dyn-db.md §2.2). */
export interface ConnectOptions {
  readonly sslmode?: SslMode | undefined;
  /** PEM. */
  readonly ssl_ca?: string | undefined;
  readonly connect_timeout_ms?: number | undefined;
  readonly statement_timeout_ms?: number | undefined;
  /** These three of mongo alone. */
  readonly authSource?: string | undefined;
  readonly replicaSet?: string | undefined;
  /** Another way to write `sslmode`. */
  readonly tls?: boolean | undefined;
}

export function sslModeOf({ sslmode, tls }: ConnectOptions): SslMode {
  return sslmode ?? (tls === false ? 'disable' : 'require');
}

/** Whether a credential would go out less protected, or to whoever another authority vouches for (README §10). */
export function isWeaker(before: ConnectOptions, after: ConnectOptions): boolean {
  return isWeakerTls(protectionOf(before), protectionOf(after));
}

function protectionOf(options: ConnectOptions): TlsProtection {
  return { sslMode: sslModeOf(options), sslCa: options.ssl_ca ?? null };
}

export function connectTimeoutMsOf({ connect_timeout_ms }: ConnectOptions): number {
  return connect_timeout_ms ?? LIMITS.dbConnectTimeoutMs;
}

export function statementTimeoutMsOf({ statement_timeout_ms }: ConnectOptions): number {
  return statement_timeout_ms ?? LIMITS.dbStatementTimeoutMs;
}
