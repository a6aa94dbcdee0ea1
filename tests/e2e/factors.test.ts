import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { generateSync } from 'otplib';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Bootstrap,
  killAll,
  makeDataDir,
  readBootstrap,
  type ServerProcess,
  startServer,
  stopServer,
} from './server-process.js';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);
/** A folder for pictures of the pages, to be looked at. */
const PICTURES = process.env['TEST_PICTURES'];
const STEP_MS = 30_000;

afterAll(killAll);

type Json = ReturnType<typeof JSON.parse>;

/** A browser that others have written, with an authenticator of its own, and an app's codes. */
describe.skipIf(!CHROMIUM)(
  `second factors in a browser${CHROMIUM ? '' : ' (skipped: no Chromium in /usr/bin)'}`,
  () => {
    const dataDir = makeDataDir();
    let server: ServerProcess;
    let bootstrap: Bootstrap;
    let browser: Browser;
    beforeAll(async () => {
      server = await startServer({ KNOX_DATA_DIR: dataDir.path });
      bootstrap = readBootstrap(dataDir.path);
      browser = await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] });
    });
    afterAll(async () => {
      await browser.close();
      await stopServer(server);
      dataDir.remove();
    });

    async function post(path: string, body?: object, headers: Record<string, string> = {}): Promise<Json> {
      const response = await fetch(`${server.url}/admin/auth/${path}`, {
        method: 'POST',
        headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
      });
      const json = await response.json();
      if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(json)}`);
      return json;
    }

    const credentials = () => ({ ...bootstrap.admin, cookie: false });
    /** What changes factors: the token of a session, and a step-up by the password. */
    async function proven(): Promise<Record<string, string>> {
      const { email, password, cookie } = credentials();
      const { token } = await post('login', { email, password, cookie });
      const authorization = `Bearer ${token}`;
      const { step_up_token: stepUp } = await post(
        'step-up',
        { method: 'password', password },
        { authorization },
      );
      return { authorization, 'x-knoxcall-stepup': stepUp };
    }

    /** At a name, since passkeys are for names. */
    async function pageAt(name: string): Promise<Page> {
      const page = await (await browser.newContext()).newPage();
      await page.goto(`http://${name}:${new URL(server.url).port}/healthz`);
      return page;
    }

    /** One that verifies its user, and keeps who that is. */
    async function addAuthenticator(page: Page): Promise<void> {
      const devTools = await page.context().newCDPSession(page);
      await devTools.send('WebAuthn.enable');
      await devTools.send('WebAuthn.addVirtualAuthenticator', {
        options: {
          protocol: 'ctap2',
          transport: 'internal',
          hasResidentKey: true,
          hasUserVerification: true,
          isUserVerified: true,
        },
      });
    }

    // As text: the browser's own names are none of this program's.
    const ask = (page: Page, call: 'create' | 'get', reader: string, options: Json): Promise<Json> =>
      page.evaluate<Json>(`(async () => {
        const publicKey = PublicKeyCredential.${reader}(${JSON.stringify(options)});
        return (await navigator.credentials.${call}({ publicKey })).toJSON();
      })()`);
    const create = (page: Page, options: Json) =>
      ask(page, 'create', 'parseCreationOptionsFromJSON', options);
    const get = (page: Page, options: Json) => ask(page, 'get', 'parseRequestOptionsFromJSON', options);
    const amrOf = ({ token }: Json) =>
      JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString())['amr'];

    /** At the page behind a link that the server mailed: it has no mail server, and prints it. */
    async function openLink(): Promise<Page> {
      const printed = () => [...server.output().out.matchAll(/magic-link\?token=([\w-]{43})/g)];
      const { length } = printed();
      await post('magic-link', { email: bootstrap.admin.email });
      await expect.poll(printed).toHaveLength(length + 1);
      const [, token] = printed().at(-1)!;
      const page = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
      await page.goto(`${server.url}/auth/magic-link?token=${token}`);
      await page.getByText(bootstrap.admin.email).waitFor();
      await picture(page, 'magic-link');
      await page.getByRole('button', { name: 'Sign in' }).click();
      return page;
    }

    async function isSignedIn(page: Page): Promise<void> {
      await page.getByRole('heading', { name: 'You are signed in' }).waitFor();
      await picture(page, 'magic-link-signed-in');
      const names = (await page.context().cookies()).map(({ name }) => name).sort();
      expect(names).toEqual(['knox_browser', 'knox_csrf', 'knox_refresh']);
      await page.context().close();
    }

    it('a mailed link signs the browser in', async () => {
      await isSignedIn(await openLink());
    });

    it('a passkey is made, signs in by itself, finishes a sign-in, and is a step-up', async () => {
      const page = await pageAt('localhost');
      await addAuthenticator(page);
      const headers = await proven();
      const options = await post('mfa/passkeys/options', undefined, headers);
      const made = { name: 'Chromium', response: await create(page, options) };
      const { recovery_codes: codes } = await post('mfa/passkeys/verify', made, headers);
      expect(codes).toHaveLength(10);

      const alone = await get(page, await post('passkeys/options'));
      const session = await post('passkeys/verify', { response: alone, cookie: false });
      expect([session.user.email, amrOf(session)]).toEqual([bootstrap.admin.email, ['hwk', 'mfa']]);
      await expect(post('passkeys/verify', { response: alone, cookie: false })).rejects.toThrow('401');

      const { email, password, cookie } = credentials();
      const due = await post('login', { email, password, cookie });
      expect(due.methods).toEqual(['webauthn', 'recovery']);
      const { mfa_token } = due;
      const second = await get(page, await post('mfa/options', { mfa_token }));
      const finished = await post('mfa/verify', { mfa_token, method: 'webauthn', response: second, cookie });
      expect(amrOf(finished)).toEqual(['pwd', 'hwk', 'mfa']);

      const authorization = `Bearer ${finished.token}`;
      const asked = await post('step-up/options', undefined, { authorization });
      const proof = { method: 'webauthn', response: await get(page, asked.webauthn) };
      const { step_up_token: stepUp } = await post('step-up', proof, { authorization });
      // Another factor beside it, for the pages without script.
      const both = { authorization, 'x-knoxcall-stepup': stepUp };
      const { secret } = await post('mfa/totp/setup', undefined, both);
      const code = generateSync({ secret, epoch: Math.floor((Date.now() - STEP_MS) / 1000) });
      expect(await post('mfa/totp/confirm', { code }, both)).toEqual({
        enrolled: true,
        recovery_codes: null,
      });
      await consentWith(() => generateSync({ secret }));

      const linked = await openLink();
      await linked.getByRole('heading', { name: 'One more step' }).waitFor();
      await linked.getByLabel('Code').fill(codes[0]);
      await linked.getByRole('button', { name: 'Continue' }).click();
      await isSignedIn(linked);
      await page.context().close();
    });

    /** The page where a client's user signs in: by the password and then the code, without script. */
    async function consentWith(code: () => string): Promise<void> {
      const made = await fetch(`${server.url}/v1/oauth-clients`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bootstrap.live_api_key}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          name: 'Deploy Bot',
          type: 'public',
          allowed_scopes: ['vaults:read'],
          redirect_uris: ['http://127.0.0.1/callback'],
        }),
      });
      const { data } = (await made.json()) as Json;
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: data.client_id,
        redirect_uri: 'http://127.0.0.1:1/callback',
        code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
        code_challenge_method: 'S256',
        state: 'x',
      });
      const context = await browser.newContext({ javaScriptEnabled: false });
      const page = await context.newPage();
      await page.goto(`${server.url}/oauth/authorize?${query}`);
      await page.getByLabel('Email').fill(bootstrap.admin.email);
      await page.getByLabel('Password').fill(bootstrap.admin.password);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('heading', { name: 'One more step' }).waitFor();
      await picture(page, 'second-factor');
      await page.getByLabel('Code').fill('000000');
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByText('This code is wrong').waitFor();
      await picture(page, 'second-factor-wrong');
      await page.getByLabel('Code').fill(code());
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByRole('heading', { name: 'Deploy Bot asks for access' }).waitFor();
      await context.close();
    }

    it('a browser refuses our passkeys to another name', async () => {
      const page = await pageAt('127.0.0.1');
      await addAuthenticator(page);
      await expect(get(page, await post('passkeys/options'))).rejects.toThrow('SecurityError');
      await page.context().close();
    });

    async function picture(page: Page, name: string): Promise<void> {
      if (PICTURES === undefined) return;
      mkdirSync(PICTURES, { recursive: true });
      await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
    }
  },
);
