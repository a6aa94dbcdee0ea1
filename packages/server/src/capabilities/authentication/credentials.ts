import { AppError } from '../../kernel/errors.js';
import { authenticationRequired, invalidApiKey, invalidToken } from './errors.js';

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
      const { scheme, credential } = splitScheme(value);
      isToken ||= scheme === 'dpop';
      if (scheme === 'bearer' && credential !== '') bearer = only(bearer, credential);
    }
  }
  const credential = bearer === null ? apiKey : only(apiKey, bearer);
  if (isToken || credential?.startsWith('kc_')) throw invalidToken();
  if (credential === null) throw authenticationRequired();
  if (credential.length > CREDENTIAL_CHARACTERS_MAX) throw invalidApiKey();
  return credential;
}

/** RFC 9110 §11.1: the scheme's name is case-insensitive. Other schemes than these are no credential here. */
function splitScheme(value: string): { scheme: string; credential: string } {
  const space = value.search(/[ \t]/);
  if (space === -1) return { scheme: value.toLowerCase(), credential: '' };
  return { scheme: value.slice(0, space).toLowerCase(), credential: value.slice(space).trim() };
}

/** RFC 6750 §2: one credential a request. The same one sent twice does no harm. */
function only(known: string | null, given: string): string {
  if (known !== null && known !== given)
    throw new AppError('validation_error', 'The request carries two different credentials');
  return given;
}
