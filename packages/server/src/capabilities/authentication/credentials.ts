import { AppError } from '../../kernel/errors.js';
import { splitAuthorization } from '../../platform/http/authorization.js';
import { adminTokenRequired, authenticationRequired, invalidApiKey, invalidToken } from './errors.js';

/** Longer than any credential there is; what is longer is not even hashed. */
const CREDENTIAL_CHARACTERS_MAX = 512;
const TOKEN_PREFIX = 'kc_';

/** What a request shows of itself. */
export interface Credential {
  readonly kind: 'api_key' | 'token';
  readonly text: string;
  /** Under the scheme `DPoP`: it says that a proof comes with it (RFC 9449 §7.1). */
  readonly isProven: boolean;
  /** Values of the `DPoP` headers. */
  readonly proofs: readonly string[];
}

/** The one credential of a request, from `Authorization` or `x-api-key` (auth.md §1.4). */
export function readCredential(rawHeaders: readonly string[]): Credential {
  let authorized: string | null = null;
  let apiKey: string | null = null;
  let isProven = false;
  const proofs: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    const value = rawHeaders[i + 1]!.trim();
    if (name === 'x-api-key' && value !== '') {
      apiKey = only(apiKey, value);
    } else if (name === 'dpop') {
      proofs.push(value);
    } else if (name === 'authorization') {
      const { scheme, credential } = splitAuthorization(value);
      if ((scheme !== 'bearer' && scheme !== 'dpop') || credential === '') continue;
      authorized = only(authorized, credential);
      isProven ||= scheme === 'dpop';
    }
  }
  const text = authorized === null ? apiKey : only(apiKey, authorized);
  if (text === null) throw authenticationRequired();
  const kind = text.startsWith(TOKEN_PREFIX) ? 'token' : 'api_key';
  // `eyJ` is an admin token: the wrong kind here, whatever it is worth. Keys have no proofs.
  if (text.startsWith('eyJ') || (isProven && kind === 'api_key')) throw invalidToken();
  if (text.length > CREDENTIAL_CHARACTERS_MAX) throw kind === 'token' ? invalidToken() : invalidApiKey();
  return { kind, text, isProven, proofs };
}

/** The admin token of a request: under `/admin` nothing else is a credential (auth.md §7). */
export function readAdminToken(rawHeaders: readonly string[]): string {
  let token: string | null = null;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() !== 'authorization') continue;
    const { scheme, credential } = splitAuthorization(rawHeaders[i + 1]!.trim());
    if (scheme === 'bearer' && credential !== '') token = only(token, credential);
  }
  if (token === null) throw adminTokenRequired();
  return token;
}

/** RFC 6750 §2: one credential a request. The same one sent twice does no harm. */
function only(known: string | null, given: string): string {
  if (known !== null && known !== given)
    throw new AppError('validation_error', 'The request carries two different credentials');
  return given;
}
