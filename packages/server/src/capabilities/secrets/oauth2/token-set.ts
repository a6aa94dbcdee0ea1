import type { Secret } from '../../../kernel/secret.js';
import type { FailureKind } from './tables.js';

/** What a token endpoint gave. */
export interface TokenSet {
  readonly accessToken: Secret<string>;
  readonly refreshToken: Secret<string> | null;
  readonly tokenType: string;
  readonly scope: string | null;
  /** Null = it said none. */
  readonly expiresAtMs: number | null;
}

/** No token was to be had. `code` is the provider's, or our name of what went wrong: it is stored and shown. */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused';
  constructor(
    readonly kind: FailureKind,
    readonly code: string,
    cause?: unknown,
  ) {
    super(`no token: ${code}`, { cause });
  }
}
