/**
 * Takes credentials out of text that is about to be kept: log lines, error texts, audit details.
 * The last line of defence, not the first: nothing secret should have been put there.
 */
const MASK = '[REDACTED]';

const RULES: readonly (readonly [RegExp, string])[] = [
  // Our own keys keep their public half, so that a log can name the key (contract README §4).
  [/\b(tk_(?:live|test)_[A-Za-z0-9]+)_[A-Za-z0-9]+/g, `$1_${MASK}`],
  [/\b(AKE[A-Za-z0-9]{13})_[A-Za-z0-9]+/g, `$1_${MASK}`],
  [/\b(kc_(?:live|test)_(?:a_)?|kct_|wkt_|whsec_)[A-Za-z0-9_-]{8,}/g, `$1${MASK}`],
  [/\b(Bearer|DPoP|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${MASK}`],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g, MASK],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, MASK],
  // The userinfo of a URL, `scheme://user:password@host`.
  [/([a-z][a-z0-9+.-]{0,31}:\/\/)[^\s/@?#]+@/gi, `$1${MASK}@`],
];

/** Every rule needs one of these; most texts hold none, and this path runs once per detokenize. */
const MAY_HOLD_CREDENTIAL = /tk_|AKE|kc|wkt_|whsec_|bearer|dpop|basic|eyJ|PRIVATE KEY|@/i;

export function maskCredentials(text: string): string {
  if (!MAY_HOLD_CREDENTIAL.test(text)) return text;
  let masked = text;
  for (const [pattern, replacement] of RULES) masked = masked.replace(pattern, replacement);
  return masked;
}

const SECRET_NAMES = new Set([
  'password',
  'admin_password',
  'secret',
  'client_secret',
  'secret_key',
  'api_key',
  'authorization',
  'private_key',
  'ssh_private_key',
  'access_token',
  'refresh_token',
  'cookie',
]);

const DEPTH_MAX = 8;
const ENTRIES_MAX = 100;
const TEXT_CHARACTERS_MAX = 2_000;

/** A bounded copy of a JSON value without credentials: what audit `details` may hold (auth.md §8.1). */
export function sanitiseDetails(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return clip(maskCredentials(value));
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object') return null;
  if (depth >= DEPTH_MAX) return '[TRUNCATED]';
  if (Array.isArray(value))
    return value.slice(0, ENTRIES_MAX).map((item) => sanitiseDetails(item, depth + 1));
  if ('toJSON' in value && typeof value.toJSON === 'function')
    return sanitiseDetails(value.toJSON(), depth + 1);
  const copy: Record<string, unknown> = {};
  let entries = 0;
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined) continue;
    if (entries++ === ENTRIES_MAX) break;
    const isSecret = SECRET_NAMES.has(name.toLowerCase()) && member !== null;
    const kept = clip(maskCredentials(name));
    const clean = isSecret ? MASK : sanitiseDetails(member, depth + 1);
    if (kept === '__proto__') Object.defineProperty(copy, kept, { value: clean, enumerable: true });
    else copy[kept] = clean;
  }
  return copy;
}

const MAY_NOT_BE_STORED = /[\0\ud800-\udfff]/;

function clip(text: string): string {
  const whole = text.length <= TEXT_CHARACTERS_MAX ? text : `${text.slice(0, TEXT_CHARACTERS_MAX)}…`;
  if (!MAY_NOT_BE_STORED.test(whole)) return whole;
  // Storage refuses NUL and lone surrogates; an audit row must not be lost to either.
  return whole.replace(/[\0\p{Surrogate}]/gu, '\ufffd');
}
