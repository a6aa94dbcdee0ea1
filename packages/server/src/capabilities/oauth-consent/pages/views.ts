import type { Membership } from '../../accounts/index.js';
import type { AskingClient } from '../asking-client.js';
import type { ConsentingUser } from '../consenting-user.js';
import type { StoredDevice } from '../devices/store.js';
import { type FormContext, hidden } from './form.js';
import { Html, html, page } from './html.js';
import { type DueFactor, secondFactorForm } from './second-factor.js';

export function errorPage(text: string): Html {
  return page(
    'Error',
    html`<h1>This did not work</h1>
<p>${text}</p>
<p class="soft">You can close this page and start again in the application that sent you here.</p>`,
  );
}

export function donePage(title: string, text: string): Html {
  return page(
    title,
    html`<h1>${title}</h1>
<p>${text}</p>`,
  );
}

/** Where the page chooses a password or asks for that of one account: of whom password managers keep it. */
export function usernameField(email: string): Html {
  return html`<input type="email" name="email" autocomplete="username" value="${email}" readonly hidden>`;
}

export function signInPage(
  form: FormContext,
  reason: string,
  failure: { readonly text: string; readonly email: string } | null,
): Html {
  return page(
    'Sign in',
    html`<h1>Sign in</h1>
<p class="soft">${reason}</p>
${failure && html`<p class="bad" role="alert">${failure.text}</p>`}
<form method="post" action="${form.action}">
${hidden(form)}
<label for="email">Email</label>
<input id="email" name="email" type="email" autocomplete="username" required value="${failure?.email ?? ''}"${failure ? null : new Html(' autofocus')}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required${failure ? new Html(' autofocus') : null}>
<div class="acts"><button class="go" name="act" value="sign_in">Sign in</button></div>
</form>`,
  );
}

export function secondFactorPage(form: FormContext, due: DueFactor, failure: string | null): Html {
  return page(
    'Sign in',
    html`${secondFactorForm(form, due, failure)}
<form method="post" action="${form.action}">
${hidden(form)}
<p class="soft"><button class="link" name="act" value="sign_out">Use another account</button></p>
</form>`,
  );
}

export function tenantPage(
  form: FormContext,
  client: AskingClient,
  user: { readonly email: string },
  tenants: readonly { readonly tenant: Membership; readonly href: string }[],
): Html {
  const links = tenants.map(
    ({ tenant, href }) =>
      html`<li><a href="${href}">${tenant.name} <span class="soft">${tenant.slug}</span></a></li>`,
  );
  return page(
    'Choose a tenant',
    html`<h1>Which tenant is ${client.name} for?</h1>
<ul>${links}</ul>
${account(form, user)}`,
  );
}

export async function consentPage(
  form: FormContext,
  client: AskingClient,
  user: ConsentingUser,
  scopes: readonly string[],
  goesTo: string,
): Promise<Html> {
  return page(
    'Allow access',
    html`<h1>${client.name} asks for access</h1>
${await terms(client, user, scopes)}
<form method="post" action="${form.action}">
${hidden(form)}
<div class="acts"><button name="act" value="deny">Deny</button><button class="go" name="act" value="allow">Allow</button></div>
</form>
<p class="soft">You go on to ${goesTo}.</p>
${account(form, user)}`,
  );
}

export function codePage(action: string, failure: string | null): Html {
  return page(
    'Connect a device',
    html`<h1>Connect a device</h1>
<p class="soft">Enter the code that your device shows.</p>
${failure === null ? null : html`<p class="bad" role="alert">${failure}</p>`}
<form method="get" action="${action}">
<label for="user_code">Code</label>
<input id="user_code" name="user_code" class="code" autocomplete="off" autocapitalize="characters" spellcheck="false" maxlength="20" required autofocus>
<div class="acts"><button class="go">Continue</button></div>
</form>`,
  );
}

export async function devicePage(
  form: FormContext,
  client: AskingClient,
  user: ConsentingUser,
  device: StoredDevice,
  userCode: string,
  scopes: readonly string[],
): Promise<Html> {
  return page(
    'Connect a device',
    html`<h1>${client.name} asks for access</h1>
<p>Is this the code that your device shows?</p>
<p class="code">${userCode}</p>
<p class="soft">Begun at ${new Date(device.createdAtMs).toISOString()} from ${device.ip ?? 'an unknown address'}. Approve it only if you began it yourself.</p>
${await terms(client, user, scopes)}
<form method="post" action="${form.action}">
${hidden(form)}
<div class="acts"><button name="act" value="deny">Deny</button><button class="go" name="act" value="approve">Approve</button></div>
</form>
${account(form, user)}`,
  );
}

async function terms(
  client: AskingClient,
  { tenant }: ConsentingUser,
  scopes: readonly string[],
): Promise<Html> {
  const { consentHtmlTemplate: template } = client;
  const mode = client.mode === 'test' ? 'sandbox' : 'live';
  return html`<p>In the tenant <strong>${tenant.name}</strong> (${mode}) it may:</p>
${template && html`<div class="note">${await withoutActiveParts(template)}</div>`}
<ul>${byFamily(scopes)}</ul>`;
}

function byFamily(scopes: readonly string[]): Html[] {
  const verbs = new Map<string, string[]>();
  for (const scope of scopes) {
    const [family = '', verb = ''] = scope.split(':');
    verbs.set(family, [...(verbs.get(family) ?? []), verb.replaceAll('_', ' ')]);
  }
  return [...verbs].map(
    ([family, names]) =>
      html`<li><strong>${family}</strong> <span class="soft">${names.join(', ')}</span></li>`,
  );
}

function account(form: FormContext, { email }: { readonly email: string }): Html {
  return html`<form method="post" action="${form.action}">
${hidden(form)}
<p class="soft">Signed in as ${email}. <button class="link" name="act" value="sign_out">Use another account</button></p>
</form>`;
}

/** A tenant's own text on our page: nothing that runs, loads, leads elsewhere or looks like a part of the page. */
async function withoutActiveParts(template: string): Promise<Html> {
  // Few clients have such a text, and the library is large.
  const { default: sanitizeHtml } = await import('sanitize-html');
  return new Html(
    sanitizeHtml(template, {
      allowedTags: ['p', 'br', 'b', 'strong', 'i', 'em', 'code', 'ul', 'ol', 'li'],
      allowedAttributes: {},
      nestingLimit: 20,
    }),
  );
}
