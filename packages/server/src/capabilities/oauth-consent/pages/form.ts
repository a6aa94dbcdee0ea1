import { type Html, html } from './html.js';

/** What each page with a form needs: where it posts to, and what proves that it was shown here. */
export interface FormContext {
  readonly action: string;
  readonly csrfToken: string;
}

export function hidden({ csrfToken }: FormContext): Html {
  return html`<input type="hidden" name="csrf_token" value="${csrfToken}">`;
}
