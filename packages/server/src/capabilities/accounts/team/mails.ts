import { isoTime } from '../../../kernel/clock.js';
import { Secret } from '../../../kernel/secret.js';
import { type Mail, quotedName } from '../../../platform/mail/mail.js';
import type { Invitation } from './store.js';

/** Where the page is that accepts (auth.md §7). */
export const INVITATION_PATH = '/auth/invitation';

export function invitationMail(
  { email, role, expiresAtMs }: Invitation,
  tenantName: string,
  origin: string,
  token: Secret<string>,
): Mail {
  return {
    to: email,
    subject: 'You are invited to KnoxCall',
    text: new Secret(`You are invited to the tenant ${quotedName(tenantName)} at KnoxCall, as ${role}.

Open this link to look at the invitation and to accept it. It is good until ${isoTime(expiresAtMs)}, once:

${origin}${INVITATION_PATH}?token=${token.reveal()}

If you do not know who invites you, do nothing: nobody becomes a member without the link.
`),
  };
}
