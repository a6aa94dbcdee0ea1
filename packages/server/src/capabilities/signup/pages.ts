import { minuteText } from '../../kernel/clock.js';
import { AppError } from '../../kernel/errors.js';
import type { Visitor } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import { donePage, type Html, html, page, usernameField } from '../oauth-consent/index.js';
import { LinkRefused } from './errors.js';
import { CONFIRM_PATH } from './mails.js';
import type { Signup, Signups } from './service.js';

interface SignupPageRequest {
  /** From the link, or from the form that it led to. */
  readonly token: string;
  /** Of the form; null where the page is only looked at. */
  readonly password: string | null;
  readonly visitor: Visitor;
}

interface SignupPageAnswer {
  readonly status: number;
  readonly html: Html;
}

/**
 * `GET` and `POST /auth/signup`: where the mailed link leads. Looking at it uses nothing up, since mail scanners do; the
 * token in the form is what proves that it was shown.
 */
export interface SignupPages {
  answer(request: SignupPageRequest): Promise<SignupPageAnswer>;
}

const TOKEN_CHARACTERS_MAX = 200;

export function createSignupPages(signups: Pick<Signups, 'linked' | 'confirm'>): SignupPages {
  async function confirm(signup: Signup, token: string, password: string, visitor: Visitor) {
    try {
      const tenant = await signups.confirm(new Secret(token), new Secret(password), visitor);
      const text = `The tenant ${tenant.name} is there, as ${tenant.slug}. The program that asked for it gets a key of its sandbox now. You can close this page.`;
      return { status: 200, html: donePage('Your account is ready', text) };
    } catch (error) {
      if (!(error instanceof AppError) || error.type !== 'validation_error') throw error;
      return { status: 400, html: confirmPage(signup, token, error.publicMessage) };
    }
  }

  return {
    async answer({ token: given, password, visitor }) {
      try {
        const token = given.slice(0, TOKEN_CHARACTERS_MAX);
        const signup = await signups.linked(new Secret(token));
        if (password !== null) return await confirm(signup, token, password, visitor);
        return { status: 200, html: confirmPage(signup, token, null) };
      } catch (error) {
        if (!(error instanceof LinkRefused)) throw error;
        return { status: error.status, html: donePage('This link leads nowhere', error.text) };
      }
    },
  };
}

function confirmPage(signup: Signup, token: string, failure: string | null): Html {
  const { email, tenantName, fullName, ip, createdAtMs } = signup;
  return page(
    'Confirm your account',
    html`<h1>Confirm your account</h1>
<ul>
<li><strong>Tenant</strong> <span class="soft">${tenantName}</span></li>
<li><strong>Owner</strong> <span class="soft">${fullName}, ${email}</span></li>
</ul>
<p class="soft">Asked for at ${minuteText(createdAtMs)} from ${ip ?? 'an unknown address'}. Whoever did gets a key of the sandbox of this tenant: confirm only if that was you, or somebody you know.</p>
${failure && html`<p class="bad" role="alert">${failure}</p>`}
<form method="post" action="${CONFIRM_PATH}">
<input type="hidden" name="token" value="${token}">
${usernameField(email)}
<label for="password">Choose a password</label>
<input id="password" name="password" type="password" autocomplete="new-password" minlength="12" required autofocus>
<p class="soft">At least 12 characters.</p>
<div class="acts"><button class="go">Make the account</button></div>
</form>`,
  );
}
