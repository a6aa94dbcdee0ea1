import { AppError } from '../../kernel/errors.js';
import { splitAuthorization } from '../../platform/http/authorization.js';
import { adminTokenRequired, authenticationRequired, invalidApiKey, invalidToken } from './errors.js';

/** Longer than any credential there is; what is longer is not even hashed. */
const CREDENTIAL_CHARACTERS_MAX = 512;

/** The one credential of a request, from `Authorization: Bearer` or `x-api-key` (auth.md §1.4). */
export function readCredential(rawHeaders: readonly string[]): string {
  let bearer: string | null = null;
  let apiKey: string | null = null;
  let isToken = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    const value = rawHeaders[i + 1]!.trim();
    if (name === 'x-api-key' && value !== '') {
      apiKey = only(apiKey, value);
    } else if (name === 'authorization') {
      const { scheme, credential } = splitAuthorization(value);
      isToken ||= scheme === 'dpop';
      if (scheme === 'bearer' && credential !== '') bearer = only(bearer, credential);
    }
  }
  const credential = bearer === null ? apiKey : only(apiKey, bearer);
  // `kc_` is an access token, `eyJ` an admin token: the wrong kind here, whatever it is worth.
  if (isToken || credential?.startsWith('kc_') || credential?.startsWith('eyJ')) throw invalidToken();
  if (credential === null) throw authenticationRequired();
  if (credential.length > CREDENTIAL_CHARACTERS_MAX) throw invalidApiKey();
  return credential;
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
