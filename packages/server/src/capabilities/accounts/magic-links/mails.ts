import { LIMITS } from '../../../kernel/limits.js';
import { Secret } from '../../../kernel/secret.js';
import type { Mail } from '../../../platform/mail/mail.js';

/** Where the page is that signs in (auth.md §7). */
export const MAGIC_LINK_PATH = '/auth/magic-link';

/** Who asked, for whoever reads the mail and did not. */
export interface Asked {
  readonly from: string;
  readonly at: string;
  readonly origin: string;
}

export function magicLinkMail(to: string, { from, at, origin }: Asked, link: Secret<string>): Mail {
  return {
    to,
    subject: 'Sign in to KnoxCall',
    text: new Secret(`Open this link to sign in to KnoxCall. It is good for ${LIMITS.magicLinkMs / 60_000} minutes, once:

${origin}${MAGIC_LINK_PATH}?token=${link.reveal()}

It was asked for at ${at} from ${from}. If that was not you, do nothing, and give the link to nobody: it signs in whoever opens it.
`),
  };
}
