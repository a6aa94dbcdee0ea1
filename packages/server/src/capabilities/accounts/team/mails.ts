import { minuteText } from '../../../kernel/clock.js';
import { Secret } from '../../../kernel/secret.js';
import { type Mail, quotedName } from '../../../platform/mail/mail.js';
import type { Invitation } from './store.js';

/** Where the page is that accepts (auth.md §7). */
export const INVITATION_PATH = '/auth/invitation';

interface From {
  readonly tenantName: string;
  /** Address of who invites. */
  readonly inviter: string;
}

export function invitationMail(
  { email, role, expiresAtMs }: Invitation,
  { tenantName, inviter }: From,
  origin: string,
  token: Secret<string>,
): Mail {
  return {
    to: email,
    subject: 'You are invited to KnoxCall',
    text: new Secret(`${inviter} invites you to the tenant ${quotedName(tenantName)} at KnoxCall, as ${role}.

Open this link to look at the invitation and to accept it. It is good until ${minuteText(expiresAtMs)}, once:

${origin}${INVITATION_PATH}?token=${token.reveal()}

If you do not know who that is, do nothing: nobody becomes a member without the link.
`),
  };
}
