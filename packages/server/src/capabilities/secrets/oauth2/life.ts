import { LIMITS } from '../../../kernel/limits.js';
import type { Connection } from './connection-store.js';
import { PRESETS } from './providers.js';
import type { GrantType, ProviderName } from './tables.js';
import type { TokenSet } from './token-set.js';

/** dataplane.md §3. */
export const CONNECTION_STATUSES = ['pending', 'connected', 'expired', 'error'] as const;
export type ConnectionStatus = (typeof CONNECTION_STATUSES)[number];

/** Tokens of these are had by what is stored, at any time. */
export function hasOwnGrant(grantType: GrantType): boolean {
  return grantType === 'client_credentials' || grantType === 'password';
}

/** Its access token may still be sent. */
export function isUsable(
  connection: Pick<Connection, 'tokensEnvelope' | 'expiresAtMs'>,
  nowMs: number,
): boolean {
  const { tokensEnvelope, expiresAtMs } = connection;
  return tokensEnvelope !== null && (expiresAtMs === null || nowMs < expiresAtMs);
}

/** And needs no renewal before that. Tokens of a short life are used for half of it. */
export function isFresh(connection: Connection, nowMs: number): boolean {
  const { expiresAtMs, obtainedAtMs, renewAtMs } = connection;
  if (!isUsable(connection, nowMs)) return false;
  if (expiresAtMs === null) return renewAtMs === null || nowMs < renewAtMs;
  return nowMs < expiresAtMs - aheadMs(LIMITS.oauth2RenewAheadMs, expiresAtMs - (obtainedAtMs ?? nowMs));
}

/** When the background job renews a set of tokens; null = never. */
export function renewAtMsOf(
  { expiresAtMs }: Pick<TokenSet, 'expiresAtMs'>,
  provider: ProviderName,
  isRenewable: boolean,
  nowMs: number,
): number | null {
  const { assumedLifeSeconds } = PRESETS[provider];
  const endMs = expiresAtMs ?? (assumedLifeSeconds === null ? null : nowMs + assumedLifeSeconds * 1_000);
  if (!isRenewable || endMs === null) return null;
  return endMs - aheadMs(LIMITS.oauth2BackgroundAheadMs, endMs - nowMs);
}

export function retryDelayMs(attempts: number): number {
  return Math.min(LIMITS.oauth2RetryFirstMs * 2 ** Math.min(attempts - 1, 30), LIMITS.oauth2RetryMsMax);
}

/** `error`: a person has to do something. A provider that is away changes nothing until the token has expired. */
export function statusOf(
  connection: Pick<Connection, 'tokensEnvelope' | 'expiresAtMs' | 'failure'> | undefined,
  nowMs: number,
): ConnectionStatus {
  if (connection?.failure === 'permanent') return 'error';
  if (!connection || connection.tokensEnvelope === null) return 'pending';
  return isUsable(connection, nowMs) ? 'connected' : 'expired';
}

function aheadMs(wantedMs: number, lifeMs: number): number {
  return Math.min(wantedMs, Math.max(0, Math.floor(lifeMs / 2)));
}
