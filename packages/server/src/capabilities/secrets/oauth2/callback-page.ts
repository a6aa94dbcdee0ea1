import { isAppError } from '../../../kernel/errors.js';
import type { Visitor } from '../../../kernel/principal.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import { donePage, Html, html, page } from '../../oauth-consent/index.js';
import type { Outcome } from './connecting.js';
import { PRESETS } from './providers.js';
import type { OAuth2Secrets } from './service.js';

export interface CallbackPageRequest {
  readonly secretId: string;
  /** Of the query, or of the form where the provider or our own page posts it. */
  readonly params: URLSearchParams;
  readonly visitor: Visitor;
}

export interface CallbackPageAnswer {
  readonly status: number;
  readonly html: Html;
  /** The page has the one script. */
  readonly hasScript: boolean;
}

/** `GET` and `POST /auth/oauth2/callback/:id`: where a provider sends the browser back to, and what came of it. */
export interface CallbackPage {
  answer(request: CallbackPageRequest): Promise<CallbackPageAnswer>;
}

export function createCallbackPage(secrets: Pick<OAuth2Secrets, 'complete'>): CallbackPage {
  return {
    async answer(request) {
      try {
        return shownOf(await secrets.complete(request), request.secretId);
      } catch (error) {
        if (!isAppError(error) || error.status === 500) throw error;
        return shown(
          error.status,
          donePage(FAILED, `${error.publicMessage}. Try to connect it again later.`),
        );
      }
    },
  };
}

const FAILED = 'This did not work';

function shownOf(outcome: Outcome, secretId: string): CallbackPageAnswer {
  if (outcome.kind === 'fragment') return { ...shown(200, fragmentPage(secretId)), hasScript: true };
  if (outcome.kind === 'nowhere') return shown(404, NOWHERE);
  const { kind, name, environment, provider, code } = outcome;
  const { title } = PRESETS[provider];
  if (kind === 'connected')
    return shown(
      200,
      donePage('Connected', `${name} is connected to ${title}, for ${environment}. You can close this page.`),
    );
  const text = TEXTS[code ?? ''] ?? `${title} did not give a token (${code}).`;
  return shown(400, donePage('Not connected', `${name} was not connected. ${text} You can start again.`));
}

const TEXTS: Readonly<Record<string, string>> = {
  access_denied: 'Consent was not given.',
  consent_required: 'Consent was not given.',
  changed_meanwhile: 'The secret was changed at the same time.',
  tenant_sealed: 'The key of the tenant is not to be had at the moment.',
  invalid_client: 'The client id or the client secret is not right (invalid_client).',
  upstream_unreachable: 'The token URL could not be reached.',
  upstream_timeout: 'The token URL did not answer in time.',
  ssrf_blocked: 'The token URL leads to an address that is not allowed.',
  egress_blocked: 'The host of the token URL is not on the egress allowlist.',
};

const NOWHERE = donePage(
  'This link leads nowhere',
  'Nobody is expected here: the connection was made already, was begun anew since, or its time is over. Start again.',
);

/** RFC 6749 §4.2.2: the tokens of the implicit grant stand behind a `#`, which no browser sends. */
const SCRIPT = `const form = document.querySelector('form');
const fragment = location.hash.slice(1);
history.replaceState(null, '', location.pathname);
if (fragment !== '') {
  for (const [name, value] of new URLSearchParams(fragment)) {
    const field = document.createElement('input');
    field.type = 'hidden';
    field.name = name;
    field.value = value;
    form.append(field);
  }
  form.submit();
}`;

/** For the policy of the page: it lets exactly this script in. */
export const SCRIPT_SOURCE = `'sha256-${sha256(SCRIPT).toString('base64')}'`;

function fragmentPage(secretId: string): Html {
  return page(
    'Connecting',
    html`<h1>Connecting</h1>
<p>Where this page stays, nothing was brought back from the provider: start again. It needs JavaScript.</p>
<form method="post" action="/auth/oauth2/callback/${secretId}"></form>
<script>${new Html(SCRIPT)}</script>`,
  );
}

function shown(status: number, body: Html): CallbackPageAnswer {
  return { status, html: body, hasScript: false };
}
