import { LIMITS } from '../../../kernel/limits.js';
import { Secret } from '../../../kernel/secret.js';
import type { SmallAnswer } from '../../../platform/egress/small-calls.js';
import { TokenRefused, type TokenSet } from './token-set.js';

/** What makes the same request worth nothing until a person has done something (RFC 6749 §5.2, and providers' own). */
const PERMANENT = new Set([
  'invalid_grant',
  'invalid_client',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'invalid_request',
  'invalid_target',
  'access_denied',
  'interaction_required',
  'consent_required',
  'login_required',
  // Slack
  'invalid_refresh_token',
  'invalid_client_id',
  'bad_client_secret',
  'invalid_code',
  'code_already_used',
  'bad_redirect_uri',
  'token_revoked',
  'token_expired',
  'invalid_auth',
  'account_inactive',
  'app_uninstalled',
  // GitHub
  'bad_refresh_token',
  'bad_verification_code',
  'incorrect_client_credentials',
  'redirect_uri_mismatch',
  'unverified_user_email',
]);

const CODE = /^[A-Za-z0-9_.-]{1,64}$/;
/** What a header can carry (RFC 6750 §2.1 is narrower than what providers send). */
const TOKEN = /^[\x21-\x7e]+$/;
const REFRESH_TOKEN = /^[\x20-\x7e]+$/;
const TYPE = /^[A-Za-z0-9_.-]{1,64}$/;
const SECONDS_MAX = 10 * 365 * 86_400;

type Members = Readonly<Record<string, unknown>>;

/** Throws `TokenRefused`, with nothing of what the provider wrote but its code. */
export function readTokenAnswer({ status, headers, body }: SmallAnswer, nowMs: number): TokenSet {
  const members = membersOf(headers['content-type'] ?? '', body);
  const code = errorCodeOf(members);
  if (code !== null) throw refusalOf(code, status);
  if (status < 200 || status > 299) throw new TokenRefused('transient', `http_${status}`);
  return tokenSetOf(members, nowMs);
}

/** The same of what a browser brings back in a fragment (RFC 6749 §4.2.2). */
export function readTokenParams(params: URLSearchParams, nowMs: number): TokenSet {
  return tokenSetOf(Object.fromEntries(params), nowMs);
}

function membersOf(contentType: string, body: Buffer): Members {
  const text = body.toString('utf8');
  if (contentType.startsWith('application/x-www-form-urlencoded'))
    return Object.fromEntries(new URLSearchParams(text));
  try {
    const value = JSON.parse(text) as unknown;
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Members) : {};
  } catch {
    return {};
  }
}

/** GitHub and Slack answer 200 to what they refuse. */
function errorCodeOf({ error, ok }: Members): string | null {
  if (typeof error === 'string' && error !== '') return CODE.test(error) ? error : 'unknown_error';
  return ok === false || (error !== undefined && error !== null) ? 'unknown_error' : null;
}

function refusalOf(code: string, status: number): TokenRefused {
  const isPermanent = PERMANENT.has(code) && status < 500 && status !== 429;
  return new TokenRefused(isPermanent ? 'permanent' : 'transient', code);
}

function tokenSetOf(members: Members, nowMs: number): TokenSet {
  const { access_token: accessToken, refresh_token: refreshToken, token_type: type, scope } = members;
  if (typeof accessToken !== 'string' || !TOKEN.test(accessToken) || isTooLong(accessToken))
    throw new TokenRefused('transient', 'no_access_token');
  const isRefreshToken =
    typeof refreshToken === 'string' && REFRESH_TOKEN.test(refreshToken) && !isTooLong(refreshToken);
  const seconds = secondsOf(members['expires_in']);
  return {
    accessToken: new Secret(accessToken),
    refreshToken: isRefreshToken ? new Secret(refreshToken) : null,
    tokenType: typeof type === 'string' && TYPE.test(type) ? type : 'Bearer',
    scope: typeof scope === 'string' ? scope.slice(0, LIMITS.descriptionCharactersMax) : null,
    expiresAtMs: seconds === null ? null : nowMs + seconds * 1_000,
  };
}

function isTooLong(text: string): boolean {
  return text.length > LIMITS.oauth2TokenCharactersMax;
}

/** Some send it as text. */
function secondsOf(value: unknown): number | null {
  const seconds = typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : value;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds < 0) return null;
  return Math.min(Math.floor(seconds), SECONDS_MAX);
}
