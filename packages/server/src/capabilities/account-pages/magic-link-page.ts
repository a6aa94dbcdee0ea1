import { isAppError } from '../../kernel/errors.js';
import type { Visitor } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import {
  type CookieRules,
  MAGIC_LINK_PATH,
  type MagicLinks,
  type OpenSession,
  type SignIns,
  sessionCookies,
} from '../accounts/index.js';
import type { Params } from '../oauth/index.js';
import {
  type Browsers,
  donePage,
  dueFactor,
  type FormContext,
  type Html,
  hidden,
  html,
  PageError,
  page,
  readSecondFactor,
  secondFactorForm,
} from '../oauth-consent/index.js';

export interface MagicLinkPageRequest {
  /** From the link. */
  readonly token: string;
  /** What was posted; null where the page is only looked at. */
  readonly form: Params | null;
  readonly cookies: string | undefined;
  readonly userAgent: string | null;
  readonly visitor: Visitor;
  /** The caller's own connection is under TLS. */
  readonly isSecure: boolean;
}

export interface MagicLinkPageAnswer {
  readonly status: number;
  readonly html: Html;
  readonly cookies: readonly string[];
  readonly retryAfterSeconds: number | null;
}

/** `GET` and `POST /auth/magic-link`: looking uses nothing up, since mail scanners do; the button signs in. */
export interface MagicLinkPage {
  answer(request: MagicLinkPageRequest): Promise<MagicLinkPageAnswer>;
}

export interface MagicLinkPageDeps {
  readonly magicLinks: Pick<MagicLinks, 'look' | 'verify'>;
  readonly signIns: Pick<SignIns, 'finish'>;
  /** What is posted counts from the browser that was shown the page: else a stranger's page could sign it in as the stranger. */
  readonly browsers: Pick<Browsers, 'read' | 'csrfToken' | 'requireCsrfToken' | 'idCookie'>;
  readonly cookies: CookieRules;
}

const TOKEN_CHARACTERS_MAX = 200;

export function createMagicLinkPage(deps: MagicLinkPageDeps): MagicLinkPage {
  const { magicLinks, signIns, browsers, cookies } = deps;

  async function look(form: FormContext, token: string): Promise<MagicLinkPageAnswer> {
    const { email } = await magicLinks.look(new Secret(token));
    return shown(signInPage(form, email, token));
  }

  async function signIn(request: MagicLinkPageRequest, form: FormContext, token: string) {
    const { visitor, userAgent } = request;
    const outcome = await magicLinks.verify(new Secret(token), { ...visitor, userAgent });
    if (outcome.kind === 'open') return signedIn(request, outcome.session);
    return shown(page('Sign in', secondFactorForm(form, dueFactor(outcome), null)));
  }

  async function finish(request: MagicLinkPageRequest, form: FormContext, sent: Params) {
    const { visitor, userAgent } = request;
    const { due, proof } = readSecondFactor(sent);
    try {
      const session = await signIns.finish(new Secret(due.mfaToken), proof, { ...visitor, userAgent });
      return signedIn(request, session);
    } catch (error) {
      if (!isAppError(error, 'invalid_credentials')) throw error;
      const failure = 'This code is wrong, or was used already.';
      return shown(page('Sign in', secondFactorForm(form, due, failure)), 401);
    }
  }

  function signedIn({ isSecure }: MagicLinkPageRequest, session: OpenSession): MagicLinkPageAnswer {
    const { refreshToken, refreshSeconds } = session;
    const rules = { isSecure: isSecure || cookies.isSecure };
    return { ...shown(signedInPage(session)), cookies: sessionCookies(refreshToken, refreshSeconds, rules) };
  }

  async function run(request: MagicLinkPageRequest): Promise<MagicLinkPageAnswer> {
    const { form: sent } = request;
    const browser = browsers.read(request.cookies);
    if (sent !== null) browsers.requireCsrfToken(browser, sent.get('csrf_token'));
    const form = { action: MAGIC_LINK_PATH, csrfToken: browsers.csrfToken(browser) };
    if (sent?.get('act') === 'second_factor') return finish(request, form, sent);
    const token = (sent?.get('token') ?? request.token).slice(0, TOKEN_CHARACTERS_MAX);
    if (sent !== null) return signIn(request, form, token);
    const answer = await look(form, token);
    return browser.isNew ? { ...answer, cookies: [browsers.idCookie(browser)] } : answer;
  }

  return {
    async answer(request) {
      try {
        return await run(request);
      } catch (error) {
        if (isAppError(error, 'invalid_token')) return shown(NOWHERE, 404);
        if (error instanceof PageError) return shown(donePage(FAILED, error.text), error.status);
        if (!isAppError(error) || error.status >= 500) throw error;
        const { status, publicMessage, retryAfterSeconds } = error;
        return {
          ...shown(donePage(FAILED, `${publicMessage}.`), status),
          retryAfterSeconds: retryAfterSeconds ?? null,
        };
      }
    },
  };
}

const FAILED = 'This did not work';
const NOWHERE = donePage(
  'This link leads nowhere',
  'The link was used, or its time is over, or a code was due for too long. Ask for a new one.',
);

function shown(body: Html, status = 200): MagicLinkPageAnswer {
  return { status, html: body, cookies: [], retryAfterSeconds: null };
}

function signInPage(form: FormContext, email: string, token: string): Html {
  return page(
    'Sign in',
    html`<h1>Sign in</h1>
<p>You sign in as <strong>${email}</strong>.</p>
<p class="soft">Go on only if you asked for this link yourself.</p>
<form method="post" action="${form.action}">
${hidden(form)}
<input type="hidden" name="token" value="${token}">
<div class="acts"><button class="go" name="act" value="sign_in">Sign in</button></div>
</form>`,
  );
}

function signedInPage({ user, memberships }: OpenSession): Html {
  const tenants = memberships.map(
    ({ name, role }) => html`<li><strong>${name}</strong> <span class="soft">${role}</span></li>`,
  );
  return page(
    'Signed in',
    html`<h1>You are signed in</h1>
<p>This browser is signed in as <strong>${user.email}</strong>.</p>
${tenants.length === 0 ? html`<p class="soft">The account belongs to no tenant.</p>` : html`<ul>${tenants}</ul>`}
<p class="soft">You can close this page.</p>`,
  );
}
