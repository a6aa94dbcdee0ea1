import { validationError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import { type EncryptedDocument, parseEncryptedHeader } from '../../templating/index.js';
import type { UpstreamCredential } from '../credential.js';
import {
  missingProxyUrl,
  repeatedHeader,
  repeatedProxyUrl,
  schemeWithoutSecret,
  twoUpstreamCredentials,
} from '../errors.js';
import type { RequestHeaders } from '../request-headers.js';

/** What the caller asked for by `X-Knox-*` headers (dataplane §1.1). */
export interface EphemeralOptions {
  readonly proxyUrl: string;
  readonly timeoutMs: number;
  readonly isTransparent: boolean;
  readonly isDryRun: boolean;
  /** Null where the header was not sent. */
  readonly encrypted: EncryptedDocument | null;
  /** Of ours, that the upstream is called with; null = none. */
  readonly credential: UpstreamCredential | null;
}

export function readOptions(headers: RequestHeaders): EphemeralOptions {
  if (headers.repeated === 'x-knox-proxy-url') throw repeatedProxyUrl();
  if (headers.proxyUrl === null || headers.proxyUrl === '') throw missingProxyUrl();
  if (headers.repeated !== null) throw repeatedHeader(headers.repeated);
  checkUpstreamAuthorization(headers);
  return {
    proxyUrl: headers.proxyUrl,
    timeoutMs: readTimeout(headers.timeoutMs),
    isTransparent: readMode(headers.mode),
    isDryRun: readDryRun(headers.dryRun),
    encrypted: headers.encrypted === null ? null : parseEncryptedHeader(headers.encrypted),
    credential: readCredential(headers),
  };
}

export function readTimeout(text: string | null, absentMs: number = LIMITS.upstreamTimeoutDefaultMs): number {
  if (text === null) return absentMs;
  const timeoutMs = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (timeoutMs < 1 || timeoutMs > LIMITS.upstreamTimeoutMaxMs) {
    throw validationError(
      'X-Knox-Timeout-Ms',
      `must be a whole number from 1 to ${LIMITS.upstreamTimeoutMaxMs}`,
    );
  }
  return timeoutMs;
}

export function readMode(text: string | null): boolean {
  if (text === null) return false;
  if (text.toLowerCase() !== 'transparent') {
    throw validationError('X-Knox-Proxy-Mode', 'the only mode is transparent');
  }
  return true;
}

export function readDryRun(text: string | null): boolean {
  if (text === null) return false;
  // Whoever writes another value may have meant that nothing is sent.
  if (text !== '1') throw validationError('X-Knox-Dry-Run', 'the only value is 1');
  return true;
}

function checkUpstreamAuthorization(headers: RequestHeaders): void {
  const credential = headers.upstreamAuthorization?.reveal();
  if (credential === undefined) return;
  if (headers.upstreamAuthSecret !== null) throw twoUpstreamCredentials();
  if (credential === '') throw validationError('X-Knox-Upstream-Authorization', 'must not be empty');
  // Node's parser refuses them before us; that nothing splits the head we write must not depend on it alone.
  if (/[\r\n\0]/.test(credential)) {
    throw validationError('X-Knox-Upstream-Authorization', 'must not hold CR, LF or NUL');
  }
}

/** RFC 9110 §11.1: a scheme is a token; no known one is longer. */
const SCHEME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
const SCHEME_DEFAULT = 'Bearer';
/** The value as it is. */
const NO_SCHEME = 'none';

function readCredential(headers: RequestHeaders): UpstreamCredential | null {
  const { upstreamAuthSecret: named, upstreamAuthScheme: scheme } = headers;
  if (named === null) {
    if (scheme !== null) throw schemeWithoutSecret();
    return null;
  }
  // Node reads headers as Latin-1; names are UTF-8 wherever they stand.
  const name = Buffer.from(named, 'latin1').toString().trim();
  if (name === '') throw validationError('X-Knox-Upstream-Auth-Secret', 'must not be empty');
  if (scheme !== null && !SCHEME.test(scheme))
    throw validationError('X-Knox-Upstream-Auth-Scheme', 'must be the name of a scheme, or none');
  const isRaw = scheme?.toLowerCase() === NO_SCHEME;
  return {
    reference: { by: 'name', text: name },
    header: 'authorization',
    prefix: isRaw ? '' : `${scheme ?? SCHEME_DEFAULT} `,
  };
}
