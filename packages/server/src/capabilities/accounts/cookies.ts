import { parseCookie, stringifySetCookie } from 'cookie';
import { Secret } from '../../kernel/secret.js';
import { equalInConstantTime, sha256 } from '../../platform/crypto/hashing.js';
import { csrfTokenMissing, refreshTokenRequired } from './errors.js';

const REFRESH = 'knox_refresh';
const CSRF = 'knox_csrf';
/** The refresh token goes nowhere but to the calls that take it. */
const REFRESH_PATH = '/admin/auth';

export interface CookieRules {
  /** Where the public origin is https, or the caller's connection is under TLS. */
  readonly isSecure: boolean;
}

/** `Set-Cookie` of a session: the token for the browser alone, and a text that its pages repeat (auth.md §7). */
export function sessionCookies(token: Secret<string>, seconds: number, { isSecure }: CookieRules): string[] {
  const shared = { maxAge: seconds, sameSite: 'strict', secure: isSecure } as const;
  return [
    stringifySetCookie({
      ...shared,
      name: REFRESH,
      value: token.reveal(),
      path: REFRESH_PATH,
      httpOnly: true,
    }),
    stringifySetCookie({ ...shared, name: CSRF, value: csrfTokenOf(token), path: '/' }),
  ];
}

export function endedCookies({ isSecure }: CookieRules): string[] {
  const shared = { value: '', maxAge: 0, sameSite: 'strict', secure: isSecure } as const;
  return [
    stringifySetCookie({ ...shared, name: REFRESH, path: REFRESH_PATH, httpOnly: true }),
    stringifySetCookie({ ...shared, name: CSRF, path: '/' }),
  ];
}

export interface CookieHeaders {
  readonly cookie?: string | undefined;
  readonly 'x-csrf-token'?: string | string[] | undefined;
}

/** The refresh token of a cookie, which counts only beside its text in `X-CSRF-Token`. */
export function refreshTokenOf(headers: CookieHeaders): Secret<string> {
  const text = parseCookie(headers.cookie ?? '')[REFRESH];
  if (!text) throw refreshTokenRequired();
  const token = new Secret(text);
  const given = headers['x-csrf-token'];
  if (typeof given !== 'string' || !equalInConstantTime(Buffer.from(given), Buffer.from(csrfTokenOf(token))))
    throw csrfTokenMissing();
  return token;
}

/** Made from the token, so that a neighbour who can set cookies cannot choose a pair that fits. */
function csrfTokenOf(token: Secret<string>): string {
  return sha256(`knox.csrf\0${token.reveal()}`).toString('base64url');
}
