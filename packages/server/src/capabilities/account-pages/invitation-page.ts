import { minuteText } from '../../kernel/clock.js';
import { isAppError } from '../../kernel/errors.js';
import type { Visitor } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import { INVITATION_PATH, type Invitations } from '../accounts/index.js';
import { donePage, type Html, html, page, usernameField } from '../oauth-consent/index.js';

interface InvitationPageRequest {
  /** From the link, or from the form that it led to. */
  readonly token: string;
  /** Of the form; null where the page is only looked at. */
  readonly password: string | null;
  readonly visitor: Visitor;
}

interface InvitationPageAnswer {
  readonly status: number;
  readonly html: Html;
}

/** `GET` and `POST /auth/invitation`: looking uses nothing up, since mail scanners do; the form's token is its proof. */
export interface InvitationPage {
  answer(request: InvitationPageRequest): Promise<InvitationPageAnswer>;
}

type Open = Awaited<ReturnType<Invitations['look']>>;

const TOKEN_CHARACTERS_MAX = 200;
/** What is wrong with the password is said beside it, to be tried again. */
const TOLD = ['validation_error', 'invalid_credentials', 'rate_limit_exceeded', 'conflict'] as const;

export function createInvitationPage(invitations: Pick<Invitations, 'look' | 'accept'>): InvitationPage {
  async function accept(open: Open, token: string, password: string, visitor: Visitor) {
    try {
      const proof = { password: new Secret(password), token: null };
      const { tenant, role } = await invitations.accept(new Secret(token), proof, visitor);
      const text = `You belong to ${tenant.name} now, as ${role}. Sign in with your address and password. You can close this page.`;
      return { status: 200, html: donePage('Welcome', text) };
    } catch (error) {
      if (!isAppError(error) || !TOLD.some((type) => error.type === type)) throw error;
      const failure =
        error.type === 'invalid_credentials' ? 'The password is not right.' : error.publicMessage;
      return { status: error.status, html: acceptPage(open, token, failure) };
    }
  }

  return {
    async answer({ token: given, password, visitor }) {
      const token = given.slice(0, TOKEN_CHARACTERS_MAX);
      try {
        const open = await invitations.look(new Secret(token));
        if (password !== null) return await accept(open, token, password, visitor);
        return { status: 200, html: acceptPage(open, token, null) };
      } catch (error) {
        if (!isAppError(error, 'not_found')) throw error;
        const text =
          'The invitation was used or revoked, was sent again since, or its time is over. Ask for a new one.';
        return { status: 404, html: donePage('This link leads nowhere', text) };
      }
    },
  };
}

function acceptPage(
  { invitation, tenant, inviter, hasAccount }: Open,
  token: string,
  failure: string | null,
): Html {
  const { email, role, expiresAtMs } = invitation;
  return page(
    'Accept an invitation',
    html`<h1>Join ${tenant.name}</h1>
<ul>
<li><strong>Tenant</strong> <span class="soft">${tenant.name} (${tenant.slug})</span></li>
<li><strong>Invited by</strong> <span class="soft">${inviter}</span></li>
<li><strong>Account</strong> <span class="soft">${email}</span></li>
<li><strong>Role</strong> <span class="soft">${role}</span></li>
</ul>
<p class="soft">Good until ${minuteText(expiresAtMs)}. If you do not know who invites you, close this page.</p>
${failure && html`<p class="bad" role="alert">${failure}</p>`}
<form method="post" action="${INVITATION_PATH}">
<input type="hidden" name="token" value="${token}">
${usernameField(email)}
<label for="password">${hasAccount ? 'Password of your account' : 'Choose a password'}</label>
${hasAccount ? PRESENT : CHOSEN}
<div class="acts"><button class="go">Accept</button></div>
</form>`,
  );
}

const PRESENT = html`<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>`;
const CHOSEN = html`<input id="password" name="password" type="password" autocomplete="new-password" minlength="12" required autofocus>
<p class="soft">At least 12 characters.</p>`;
