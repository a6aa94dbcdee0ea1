import { validationError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import { type EncryptedDocument, parseEncryptedHeader } from '../../templating/index.js';
import {
  missingProxyUrl,
  repeatedHeader,
  repeatedProxyUrl,
  twoUpstreamCredentials,
  unsupportedHeader,
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
}

export function readOptions(headers: RequestHeaders): EphemeralOptions {
  if (headers.repeated === 'x-knox-proxy-url') throw repeatedProxyUrl();
  if (headers.proxyUrl === null || headers.proxyUrl === '') throw missingProxyUrl();
  if (headers.repeated !== null) throw repeatedHeader(headers.repeated);
  checkUpstreamAuthorization(headers);
  if (headers.unsupported !== null) throw unsupportedHeader(headers.unsupported);
  return {
    proxyUrl: headers.proxyUrl,
    timeoutMs: readTimeout(headers.timeoutMs),
    isTransparent: readMode(headers.mode),
    isDryRun: readDryRun(headers.dryRun),
    encrypted: headers.encrypted === null ? null : parseEncryptedHeader(headers.encrypted),
  };
}

function readTimeout(text: string | null): number {
  if (text === null) return LIMITS.upstreamTimeoutDefaultMs;
  const timeoutMs = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (timeoutMs < 1 || timeoutMs > LIMITS.upstreamTimeoutMaxMs) {
    throw validationError(
      'X-Knox-Timeout-Ms',
      `must be a whole number from 1 to ${LIMITS.upstreamTimeoutMaxMs}`,
    );
  }
  return timeoutMs;
}

function readMode(text: string | null): boolean {
  if (text === null) return false;
  if (text.toLowerCase() !== 'transparent') {
    throw validationError('X-Knox-Proxy-Mode', 'the only mode is transparent');
  }
  return true;
}

function readDryRun(text: string | null): boolean {
  if (text === null) return false;
  // Whoever writes another value may have meant that nothing is sent.
  if (text !== '1') throw validationError('X-Knox-Dry-Run', 'the only value is 1');
  return true;
}

function checkUpstreamAuthorization(headers: RequestHeaders): void {
  const credential = headers.upstreamAuthorization?.reveal();
  if (credential === undefined) return;
  if (headers.hasUpstreamAuthSecret) throw twoUpstreamCredentials();
  if (credential === '') throw validationError('X-Knox-Upstream-Authorization', 'must not be empty');
  // Node's parser refuses them before us; that nothing splits the head we write must not depend on it alone.
  if (/[\r\n\0]/.test(credential)) {
    throw validationError('X-Knox-Upstream-Authorization', 'must not hold CR, LF or NUL');
  }
}
