import type { SecondFactorDue } from '../../accounts/index.js';
import type { Params } from '../../oauth/index.js';
import { PageError } from '../errors.js';
import { type FormContext, hidden } from './form.js';
import { type Html, html } from './html.js';

/** A sign-in whose first factor was right. */
export interface DueFactor {
  readonly mfaToken: string;
  /** Whether the user has a code app, else recovery codes alone. */
  readonly hasApp: boolean;
}

/** Of a code and of the token of a pending sign-in. */
const CODE_CHARACTERS_MAX = 64;
const SIX_DIGITS = /^\d{3} ?\d{3}$/;

/** Throws where only a passkey is left: the pages run no script that could ask for it. */
export function dueFactor({ mfaToken, methods }: SecondFactorDue): DueFactor {
  const hasApp = methods.includes('totp');
  if (!hasApp && !methods.includes('recovery'))
    throw new PageError(
      403,
      'This account proves itself with a passkey, which this page cannot ask for. Sign in where passkeys work and add a code app or recovery codes.',
    );
  return { mfaToken: mfaToken.reveal(), hasApp };
}

/** What the form of `secondFactorForm` was sent with. */
export function readSecondFactor(form: Params) {
  const due: DueFactor = { mfaToken: form.get('mfa_token') ?? '', hasApp: form.get('has_app') === 'yes' };
  const code = (form.get('code') ?? '').trim();
  if (code.length > CODE_CHARACTERS_MAX || due.mfaToken.length > CODE_CHARACTERS_MAX)
    throw new PageError(400, 'The code is too long.');
  const method = due.hasApp && SIX_DIGITS.test(code) ? 'totp' : 'recovery';
  return { due, proof: { method, code } as const };
}

export function secondFactorForm(
  form: FormContext,
  { mfaToken, hasApp }: DueFactor,
  failure: string | null,
): Html {
  const what = hasApp
    ? 'Enter the code that your app shows, or one of your recovery codes.'
    : 'This page cannot ask for your passkey. Enter one of your recovery codes.';
  return html`<h1>One more step</h1>
<p class="soft">${what}</p>
${failure === null ? null : html`<p class="bad" role="alert">${failure}</p>`}
<form method="post" action="${form.action}">
${hidden(form)}
<input type="hidden" name="mfa_token" value="${mfaToken}">
<input type="hidden" name="has_app" value="${hasApp ? 'yes' : 'no'}">
<label for="code">Code</label>
<input id="code" name="code" class="code" autocomplete="one-time-code" autocapitalize="none" spellcheck="false" maxlength="30" required autofocus>
<div class="acts"><button class="go" name="act" value="second_factor">Continue</button></div>
</form>`;
}
