import type { Clock } from '../../../kernel/clock.js';
import { AppError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Visitor } from '../../../kernel/principal.js';
import { Secret } from '../../../kernel/secret.js';
import type { ResolvedHost } from '../../../platform/http/hosts.js';
import type { Sessions, SignedIn, SignIns } from '../../accounts/index.js';
import { OAuthError, type Params } from '../../oauth/index.js';
import type { AskingClient, AskingClients } from '../asking-client.js';
import { redirectTo } from '../authorization/redirect-uri.js';
import { type AuthorizationRequest, readAuthorizationRequest } from '../authorization/request.js';
import type { Authorization } from '../authorization/service.js';
import { type ConsentingUser, consentingUser, consentScopes, type TenantChoice } from '../consenting-user.js';
import type { Devices } from '../devices/service.js';
import { readUserCode } from '../devices/user-code.js';
import { PageError, RedirectError } from '../errors.js';
import type { Browser, Browsers } from './browser.js';
import type { FormContext } from './form.js';
import type { Html } from './html.js';
import { dueFactor, readSecondFactor } from './second-factor.js';
import * as views from './views.js';
import type { WrongCodes } from './wrong-codes.js';

export interface PageRequest {
  readonly method: 'GET' | 'POST';
  readonly host: ResolvedHost;
  readonly origin: string;
  /** As it was sent, without the question mark. */
  readonly query: string;
  /** Of a POST. */
  readonly form: Params;
  readonly cookies: string | undefined;
  readonly userAgent: string | null;
  readonly visitor: Visitor;
}

export interface PageAnswer {
  readonly status: number;
  readonly cookies: readonly string[];
  /** Null where the browser is sent elsewhere. */
  readonly html: Html | null;
  readonly location: string | null;
  /** Where a form may lead besides this server: the policy of a page counts for what a form is redirected to. */
  readonly formTarget: string | null;
  readonly retryAfterSeconds: number | null;
}

export interface ConsentPages {
  /** `GET` and `POST /oauth/authorize`: sign-in, tenant, consent (auth.md §2.4). */
  authorize(request: PageRequest): Promise<PageAnswer>;
  /** `GET` and `POST /oauth/activate` (RFC 8628 §3.3). */
  activate(request: PageRequest): Promise<PageAnswer>;
}

export interface ConsentPagesDeps {
  readonly clock: Clock;
  readonly sessions: Pick<Sessions, 'authenticate' | 'signOutByToken'>;
  readonly signIns: Pick<SignIns, 'signIn' | 'finish'>;
  readonly browsers: Browsers;
  readonly clients: AskingClients;
  readonly authorization: Authorization;
  readonly devices: Devices;
  readonly wrongCodes: WrongCodes;
}

const AUTHORIZE = '/oauth/authorize';
const ACTIVATE = '/oauth/activate';
const EMAIL_CHARACTERS_MAX = 254;

/** A visit to one of the pages, once its browser is known. */
interface Visit {
  readonly request: PageRequest;
  readonly browser: Browser;
  readonly form: FormContext;
  /** What was pressed; null of a GET. */
  readonly act: string | null;
}

type OpenedSession = Awaited<ReturnType<SignIns['finish']>>;

type Found = Awaited<ReturnType<Sessions['authenticate']>>;

/** What a client, or a device of it, asks a user for. */
interface Asked {
  readonly client: AskingClient;
  readonly tenantHint: string | null;
  /** Throws where the user cannot give them. */
  scopesFor(user: ConsentingUser): readonly string[];
}

export function createConsentPages(deps: ConsentPagesDeps): ConsentPages {
  const { clock, sessions, signIns, browsers, clients, authorization, devices, wrongCodes } = deps;

  function visitOf(request: PageRequest, path: string): Visit {
    const browser = browsers.read(request.cookies);
    if (request.method === 'POST') browsers.requireCsrfToken(browser, request.form.get('csrf_token'));
    const action = request.query === '' ? path : `${path}?${request.query}`;
    const act = request.method === 'POST' ? (request.form.get('act') ?? '') : null;
    return { request, browser, form: { action, csrfToken: browsers.csrfToken(browser) }, act };
  }

  function show({ browser }: Visit, html: Html, options: Partial<PageAnswer> = {}): PageAnswer {
    const cookies = browser.isNew ? [browsers.idCookie(browser)] : [];
    return { ...PLAIN, cookies, html, ...options };
  }

  /** The page again, by GET: what was typed is not sent a second time by a reload. */
  function again({ form }: Visit, cookie: string): PageAnswer {
    return { ...sentTo(form.action), cookies: [cookie] };
  }

  async function signIn(visit: Visit, reason: string): Promise<PageAnswer> {
    const { form, userAgent, visitor } = visit.request;
    const email = form.get('email') ?? '';
    const password = new Secret(form.get('password') ?? '');
    if (email.length > EMAIL_CHARACTERS_MAX) throw new PageError(400, 'The email is too long.');
    try {
      const outcome = await signIns.signIn(email, password, { ...visitor, userAgent }, { isBrief: true });
      if (outcome.kind === 'open') return signedInNow(visit, outcome.session);
      return show(visit, views.secondFactorPage(visit.form, dueFactor(outcome), null));
    } catch (error) {
      if (!(error instanceof AppError) || error.type !== 'invalid_credentials') throw error;
      const failure = { text: 'Email or password is wrong.', email };
      return show(visit, views.signInPage(visit.form, reason, failure), { status: 401 });
    }
  }

  function signedInNow(visit: Visit, { token, tokenSeconds }: OpenedSession): PageAnswer {
    return again(visit, browsers.signInCookie(token, tokenSeconds));
  }

  async function finishSignIn(visit: Visit, reason: string): Promise<PageAnswer> {
    const { form, userAgent, visitor } = visit.request;
    const { due, proof } = readSecondFactor(form);
    try {
      return signedInNow(
        visit,
        await signIns.finish(new Secret(due.mfaToken), proof, { ...visitor, userAgent }),
      );
    } catch (error) {
      if (!(error instanceof AppError) || error.status !== 401) throw error;
      if (error.type === 'invalid_credentials') {
        const page = views.secondFactorPage(visit.form, due, 'This code is wrong, or was used already.');
        return show(visit, page, { status: 401 });
      }
      const failure = { text: 'That took too long. Sign in once more.', email: '' };
      return show(visit, views.signInPage(visit.form, reason, failure), { status: 401 });
    }
  }

  async function signOut(visit: Visit): Promise<PageAnswer> {
    const { signIn: token } = visit.browser;
    // One that has ended already needs no end.
    if (token) await signedInBy(token).then((found) => found && endSession(token, visit));
    return again(visit, browsers.endedSignInCookie());
  }

  function endSession(token: Secret<string>, { request }: Visit): Promise<void> {
    return sessions.signOutByToken(token.reveal(), request.visitor);
  }

  async function signedInBy(token: Secret<string> | null) {
    if (token === null) return undefined;
    try {
      return await sessions.authenticate(token.reveal());
    } catch (error) {
      if (error instanceof AppError && error.status === 401) return undefined;
      throw error;
    }
  }

  /** What comes before every page of a signed-in user. */
  async function signedIn(
    visit: Visit,
    reason: string,
    next: (found: Found) => Promise<PageAnswer>,
  ): Promise<PageAnswer> {
    if (visit.act === 'sign_in') return signIn(visit, reason);
    if (visit.act === 'second_factor') return finishSignIn(visit, reason);
    if (visit.act === 'sign_out') return signOut(visit);
    const user = await signedInBy(visit.browser.signIn);
    return user ? next(user) : show(visit, views.signInPage(visit.form, reason, null));
  }

  function isFreshEnough(client: AskingClient, scopes: readonly string[], signedInAtMs: number): boolean {
    const isAsked = client.stepUpScopes.some((scope) => scopes.includes(scope));
    return !isAsked || clock.nowMs() - signedInAtMs <= LIMITS.stepUpSignInMs;
  }

  function chooseTenant(
    visit: Visit,
    client: AskingClient,
    user: SignedIn,
    choice: TenantChoice,
  ): PageAnswer {
    const tenants = choice.tenants.map((tenant) => ({
      tenant,
      href: withTenant(visit.form.action, tenant.slug),
    }));
    return show(visit, views.tenantPage(visit.form, client, user.user, tenants));
  }

  /** What has to be known before a user can answer a client; where it is not, the page that asks for it. */
  async function asked(
    visit: Visit,
    found: Found,
    { client, tenantHint, scopesFor }: Asked,
    next: (user: ConsentingUser, scopes: readonly string[]) => Promise<PageAnswer>,
  ): Promise<PageAnswer> {
    const user = consentingUser(found, client, visit.request.host, tenantHint);
    if ('tenants' in user) return chooseTenant(visit, client, found, user);
    const scopes = scopesFor(user);
    if (isFreshEnough(client, scopes, found.signedInAtMs)) return next(user, scopes);
    const reason = `once more, because ${client.name} asks for much`;
    return show(visit, views.signInPage(visit.form, reason, null));
  }

  async function consent(visit: Visit, request: AuthorizationRequest): Promise<PageAnswer> {
    const { origin, visitor } = visit.request;
    const { client, redirectUri, tenantHint } = request;
    const scopesFor = (user: ConsentingUser) =>
      toldToClient(request, () => consentScopes(user, client, request.scopes));
    return signedIn(visit, `to go on to ${client.name}`, (found) =>
      asked(visit, found, { client, tenantHint, scopesFor }, async (user, scopes) => {
        const said = { request, user, scopes, visitor };
        if (visit.act === 'allow') return sentTo(await authorization.grant(said, origin));
        if (visit.act === 'deny') return sentTo(await authorization.deny(said, origin));
        const goesTo = new URL(redirectUri).host;
        const body = await views.consentPage(visit.form, client, user, scopes, goesTo);
        return show(visit, body, { formTarget: formTargetOf(redirectUri) });
      }),
    );
  }

  async function device(visit: Visit): Promise<PageAnswer> {
    const { request } = visit;
    const query = new URLSearchParams(request.query);
    return signedIn(visit, 'to connect a device', async (found) => {
      const typed = query.get('user_code');
      if (!typed) return show(visit, views.codePage(ACTIVATE, null));
      const code = readUserCode(typed);
      const waiting = await waitingDevice(code, request);
      if (!code || !waiting) {
        const failure = 'No device waits with this code. It may have expired.';
        return show(visit, views.codePage(ACTIVATE, failure), { status: 404 });
      }
      const { client, device: asking } = waiting;
      const scopesFor = (user: ConsentingUser) =>
        toldToUser(() => consentScopes(user, client, asking.askedScopes));
      const tenantHint = query.get('tenant');
      return asked(visit, found, { client, tenantHint, scopesFor }, async (user, scopes) => {
        if (visit.act !== 'approve' && visit.act !== 'deny')
          return show(visit, await views.devicePage(visit.form, client, user, asking, code, scopes));
        const verdict = visit.act === 'approve' ? 'approved' : 'denied';
        const by = { user, scopes, visitor: request.visitor };
        if (!(await devices.decide(asking, client, verdict, by)))
          throw new PageError(409, 'This device has had its answer already, or its code has expired.');
        return show(visit, verdict === 'approved' ? APPROVED : DENIED);
      });
    });
  }

  async function waitingDevice(code: string | null, { host, visitor }: PageRequest) {
    await wrongCodes.admit(visitor.ip);
    const found = code === null ? undefined : await devices.waiting(code);
    const client = found && (await clients.ofDevice(found, host));
    if (!client) return undefined;
    await wrongCodes.forgive(visitor.ip);
    return { device: found, client };
  }

  /** The one place where a refusal becomes a page or a way back to the client. */
  async function answer(request: PageRequest, run: () => Promise<PageAnswer>): Promise<PageAnswer> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof RedirectError) return sentTo(refusalAt(error, request.origin));
      const shown = pageErrorOf(error);
      if (!shown) throw error;
      const { status, text, retryAfterSeconds } = shown;
      return { ...PLAIN, status, html: views.errorPage(text), retryAfterSeconds };
    }
  }

  return {
    authorize: (request) =>
      answer(request, async () => {
        const asked = await readAuthorizationRequest(request.query, request.host, clients);
        return consent(visitOf(request, AUTHORIZE), asked);
      }),

    activate: (request) => answer(request, () => device(visitOf(request, ACTIVATE))),
  };
}

const PLAIN: PageAnswer = {
  status: 200,
  cookies: [],
  html: null,
  location: null,
  formTarget: null,
  retryAfterSeconds: null,
};

const APPROVED = views.donePage('Device connected', 'You can close this page and go back to your device.');
const DENIED = views.donePage('Device turned away', 'It gets no access. You can close this page.');

/** 303: the browser leaves what was posted behind (RFC 9700 §4.12). */
function sentTo(location: string): PageAnswer {
  return { ...PLAIN, status: 303, location };
}

function refusalAt({ code, description, redirectUri, state }: RedirectError, issuer: string): string {
  return redirectTo(redirectUri, { error: code, error_description: description, state, iss: issuer });
}

function pageErrorOf(error: unknown): PageError | undefined {
  if (error instanceof PageError) return error;
  if (!(error instanceof AppError) || error.status >= 500) return undefined;
  return new PageError(error.status, error.publicMessage, error.retryAfterSeconds ?? null);
}

function toldToClient<T>({ redirectUri, state }: AuthorizationRequest, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error;
    const code = error.code === 'unauthorized_client' ? 'unauthorized_client' : 'invalid_scope';
    throw new RedirectError(code, error.description, redirectUri, state);
  }
}

function toldToUser<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof OAuthError ? new PageError(403, `${error.description}.`) : error;
  }
}

function withTenant(action: string, slug: string): string {
  // A query may hold further question marks.
  const mark = action.indexOf('?');
  const [path, query] = mark === -1 ? [action, ''] : [action.slice(0, mark), action.slice(mark + 1)];
  const params = new URLSearchParams(query);
  params.set('tenant', slug);
  return `${path}?${params}`;
}

/** As a source of a policy; it has no form for an IPv6 address. */
function formTargetOf(redirectUri: string): string {
  const { origin, protocol, hostname } = new URL(redirectUri);
  return hostname.startsWith('[') ? protocol : origin;
}
