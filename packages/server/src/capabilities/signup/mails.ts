import { Secret } from '../../kernel/secret.js';
import { type Mail, quotedName } from '../../platform/mail/mail.js';
import type { SignupRequest } from './store.js';

/** Where the page is that confirms (auth.md §7). */
export const CONFIRM_PATH = '/auth/signup';

/** Who asked, for whoever reads the mail and did not. */
export interface Asked {
  readonly from: string;
  readonly at: string;
  readonly origin: string;
}

type Addressee = Pick<SignupRequest, 'email' | 'tenantName'>;

export function linkMail(
  { email, tenantName }: Addressee,
  { from, at, origin }: Asked,
  link: Secret<string>,
): Mail {
  return {
    to: email,
    subject: 'Confirm your KnoxCall account',
    text: new Secret(`A KnoxCall account was asked for with this address: the tenant ${quotedName(tenantName)}.

Open this link to look at it and to choose a password. It is good for 24 hours:

${origin}${CONFIRM_PATH}?token=${link.reveal()}

It was asked for at ${at} from ${from}. If that was not you, do nothing: no account is made.
`),
  };
}

/** The answer to whoever asked is the same: only the owner of the address may know that it has an account. */
export function knownAddressMail({ email }: Addressee, { from, at, origin }: Asked): Mail {
  return {
    to: email,
    subject: 'You have a KnoxCall account already',
    text: new Secret(`A new KnoxCall account was asked for with this address, which has one already. No other was made.

Sign in with it, also to make a further tenant: POST ${origin}/admin/auth/login, then POST ${origin}/admin/tenants.

It was asked for at ${at} from ${from}. If that was not you, there is nothing to do.
`),
  };
}
