import type { TestAnswer } from './calls.js';
import type { MatrixRig } from './matrix-rig.js';
import { createPageVisitor, type PageVisitor } from './page-visitor.js';
import { OWNER_PASSWORD } from './tenants.js';

/** A browser in which that user has signed in, and the page of consent that it shows. */
export async function consentPage(
  rig: MatrixRig,
  path: string,
  email = rig.tenant.ownerEmail,
): Promise<[PageVisitor, TestAnswer]> {
  const visitor = createPageVisitor(rig.ask);
  await visitor.press(await visitor.get(path), 'sign_in', { email, password: OWNER_PASSWORD });
  return [visitor, await visitor.get(path)];
}

/** Where the browser is sent once the user has pressed that button. */
export async function walkConsent(rig: MatrixRig, url: URL, act = 'allow', email?: string): Promise<URL> {
  const [visitor, page] = await consentPage(rig, `${url.pathname}${url.search}`, email);
  const answer = await visitor.press(page, act);
  if (answer.status !== 303) throw new Error(`${act} was answered by ${answer.status}: ${answer.text}`);
  return new URL(String(answer.headers['location']));
}
