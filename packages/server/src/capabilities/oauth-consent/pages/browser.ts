import { parseCookie, stringifySetCookie } from 'cookie';
import { Secret } from '../../../kernel/secret.js';
import { equalInConstantTime, sha256 } from '../../../platform/crypto/hashing.js';
import type { Random } from '../../../platform/crypto/random.js';
import { PageError } from '../errors.js';

/** What the cookies of the pages say of a browser. */
export interface Browser {
  readonly id: Secret<string>;
  /** It did not bring one: the answer gives it this one. */
  readonly isNew: boolean;
  /** The admin token of a sign-in at these pages. */
  readonly signIn: Secret<string> | null;
}

export interface Browsers {
  read(cookieHeader: string | undefined): Browser;
  /** Stands in every form; made from both cookies, so that who can set one of them cannot choose a pair that fits. */
  csrfToken(browser: Browser): string;
  /** Throws where a form was not sent by a page that this browser was shown (RFC 9700 §4.7). */
  requireCsrfToken(browser: Browser, given: string | undefined): void;
  idCookie(browser: Browser): string;
  signInCookie(token: Secret<string>, seconds: number): string;
  endedSignInCookie(): string;
}

const ID_BYTES = 32;
const ID = /^[A-Za-z0-9_-]{43}$/;
const TOKEN_CHARACTERS_MAX = 2_048;

export function createBrowsers(random: Random, { isSecure }: { readonly isSecure: boolean }): Browsers {
  // With the prefix, no neighbour in the same domain can set them (RFC 6265bis §4.1.3.2); it wants https.
  const prefix = isSecure ? '__Host-' : '';
  const names = { id: `${prefix}knox_browser`, signIn: `${prefix}knox_sign_in` };
  // Lax: a client's page leads here from another site, and a form of another site brings none of them.
  const shared = { path: '/', httpOnly: true, sameSite: 'lax', secure: isSecure } as const;

  function csrfToken({ id, signIn }: Browser): string {
    return sha256(`knox.oauth.csrf\0${id.reveal()}\0${signIn?.reveal() ?? ''}`).toString('base64url');
  }

  return {
    read(cookieHeader) {
      const cookies = parseCookie(cookieHeader ?? '');
      const id = cookies[names.id];
      const token = cookies[names.signIn];
      const isKnown = id !== undefined && ID.test(id);
      return {
        id: new Secret(isKnown ? id : random.bytes(ID_BYTES).toString('base64url')),
        isNew: !isKnown,
        signIn: token && token.length <= TOKEN_CHARACTERS_MAX ? new Secret(token) : null,
      };
    },

    csrfToken,

    requireCsrfToken(browser, given) {
      const wanted = Buffer.from(csrfToken(browser));
      if (browser.isNew || given === undefined || !equalInConstantTime(Buffer.from(given), wanted))
        throw new PageError(
          403,
          'This page was open for too long, or cookies are switched off. Go back and try again.',
        );
    },

    idCookie: ({ id }) => stringifySetCookie({ ...shared, name: names.id, value: id.reveal() }),
    signInCookie: (token, seconds) =>
      stringifySetCookie({ ...shared, name: names.signIn, value: token.reveal(), maxAge: seconds }),
    endedSignInCookie: () => stringifySetCookie({ ...shared, name: names.signIn, value: '', maxAge: 0 }),
  };
}
