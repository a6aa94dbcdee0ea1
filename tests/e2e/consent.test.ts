import { existsSync, mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import * as openid from 'openid-client';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
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

afterAll(killAll);

/** A client that others have written, and a browser: from the first page to the tokens. */
describe.skipIf(!CHROMIUM)(
  `sign-in and consent${CHROMIUM ? '' : ' (skipped: no Chromium in /usr/bin)'}`,
  () => {
    const dataDir = makeDataDir();
    let server: ServerProcess;
    let bootstrap: Bootstrap;
    let browser: Browser;
    let callback: Server;
    let redirectUri = '';
    const arrived: string[] = [];

    beforeAll(async () => {
      server = await startServer({ KNOX_DATA_DIR: dataDir.path });
      bootstrap = readBootstrap(dataDir.path);
      browser = await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] });
      callback = createServer((request, response) => {
        if (request.url?.startsWith('/callback')) arrived.push(request.url);
        response.writeHead(200, { 'content-type': 'text/plain' }).end('back at the client');
      });
      await new Promise<void>((resolve) => callback.listen(0, '127.0.0.1', resolve));
      redirectUri = `http://127.0.0.1:${(callback.address() as AddressInfo).port}/callback`;
    });
    afterAll(async () => {
      await browser.close();
      callback.close();
      await stopServer(server);
      dataDir.remove();
    });

    async function makeClient(terms: object): Promise<openid.Configuration> {
      const response = await fetch(`${server.url}/v1/oauth-clients`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bootstrap.live_api_key}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          name: 'Deploy Bot',
          type: 'public',
          allowed_scopes: ['vaults:read', 'vaults:tokenize', 'log:list'],
          redirect_uris: ['http://127.0.0.1/callback'],
          ...terms,
        }),
      });
      const { data } = (await response.json()) as { data: { client_id: string } };
      return discover(data.client_id);
    }

    const discover = (clientId: string) =>
      openid.discovery(new URL(server.url), clientId, undefined, openid.None(), {
        algorithm: 'oauth2',
        execute: [openid.allowInsecureRequests],
      });

    /** A page of a new browser, without script as everywhere, and what it complains of. */
    async function open(
      options: { readonly width?: number; readonly dark?: boolean } = {},
    ): Promise<{ page: Page; context: BrowserContext; complaints: string[]; elsewhere: string[] }> {
      const context = await browser.newContext({
        javaScriptEnabled: false,
        viewport: { width: options.width ?? 1280, height: 900 },
        colorScheme: options.dark ? 'dark' : 'light',
      });
      const page = await context.newPage();
      const [complaints, elsewhere]: [string[], string[]] = [[], []];
      page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
      page.on('request', (request) => {
        const isOurs = [server.url, redirectUri, 'data:'].some((start) => request.url().startsWith(start));
        if (!isOurs) elsewhere.push(request.url());
      });
      return { page, context, complaints, elsewhere };
    }

    async function picture(page: Page, name: string): Promise<void> {
      if (PICTURES === undefined) return;
      mkdirSync(PICTURES, { recursive: true });
      await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
    }

    async function signIn(page: Page): Promise<void> {
      await page.getByLabel('Email').fill(bootstrap.admin.email);
      await page.getByLabel('Password').fill(bootstrap.admin.password);
      await page.getByRole('button', { name: 'Sign in' }).click();
    }

    async function authorization(config: openid.Configuration, extra: Record<string, string> = {}) {
      const verifier = openid.randomPKCECodeVerifier();
      const state = openid.randomState();
      const url = openid.buildAuthorizationUrl(config, {
        redirect_uri: redirectUri,
        scope: 'vaults:read log:list',
        code_challenge: await openid.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
        ...extra,
      });
      return { url, verifier, state };
    }

    it('walks from sign-in over consent to tokens that work, refresh and can be revoked', async () => {
      const config = await makeClient({ consent_html_template: '<p>Reads vaults to <b>deploy</b>.</p>' });
      const { url, verifier, state } = await authorization(config);
      const { page, context, complaints, elsewhere } = await open();
      await page.goto(url.href);
      await picture(page, 'sign-in');
      await page.getByLabel('Email').fill(bootstrap.admin.email);
      await page.getByLabel('Password').fill('not the password');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('Email or password is wrong').waitFor();
      await picture(page, 'sign-in-wrong');
      await signIn(page);
      await page.getByRole('heading', { name: 'Deploy Bot asks for access' }).waitFor();
      await picture(page, 'consent');
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.getByText('back at the client').waitFor();

      const back = new URL(arrived.at(-1)!, redirectUri);
      const tokens = await openid.authorizationCodeGrant(config, back, {
        pkceCodeVerifier: verifier,
        expectedState: state,
      });
      expect(tokens).toMatchObject({ token_type: 'bearer', scope: 'vaults:read log:list' });
      const vaults = await fetch(`${server.url}/v1/vaults`, {
        headers: { authorization: `Bearer ${tokens.access_token}` },
      });
      expect(vaults.status).toBe(200);
      const next = await openid.refreshTokenGrant(config, tokens.refresh_token!);
      await openid.tokenRevocation(config, next.refresh_token!);
      await expect(openid.refreshTokenGrant(config, next.refresh_token!)).rejects.toMatchObject({
        error: 'invalid_grant',
      });
      // The wrong password is a 401, which the browser tells of; the policy of the pages was never broken.
      expect(complaints.filter((text) => !text.includes('401'))).toEqual([]);
      expect(elsewhere).toEqual([]);
      await context.close();
    });

    it('takes a denial back to the client', async () => {
      const config = await makeClient({});
      const { url, verifier, state } = await authorization(config);
      const { page, context } = await open({ width: 390, dark: true });
      await page.goto(url.href);
      await signIn(page);
      await page.getByRole('button', { name: 'Deny' }).waitFor();
      await picture(page, 'consent-narrow-dark');
      await page.getByRole('button', { name: 'Deny' }).click();
      await page.getByText('back at the client').waitFor();
      const back = new URL(arrived.at(-1)!, redirectUri);
      const grant = openid.authorizationCodeGrant(config, back, {
        pkceCodeVerifier: verifier,
        expectedState: state,
      });
      await expect(grant).rejects.toMatchObject({ error: 'access_denied' });
      await context.close();
    });

    it('shows what is wrong with a request on a page, and goes nowhere', async () => {
      const config = await makeClient({});
      const { url } = await authorization(config, { redirect_uri: 'https://evil.example/callback' });
      const { page, context, elsewhere } = await open();
      await page.goto(url.href);
      await page.getByRole('heading', { name: 'This did not work' }).waitFor();
      await picture(page, 'error');
      expect(elsewhere).toEqual([]);
      await context.close();
    });

    it('connects a device, and logs the CLI in', async () => {
      const config = await discover('knoxcall-cli');
      const begun = await openid.initiateDeviceAuthorization(config, { scope: 'vaults:read' });
      const { page, context, complaints } = await open();
      await page.goto(begun.verification_uri);
      await signIn(page);
      await page.getByLabel('Code').fill('bbbb bbbb');
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByText('No device waits with this code').waitFor();
      await page.getByLabel('Code').fill(begun.user_code.toLowerCase());
      await picture(page, 'device-code');
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByText(begun.user_code).waitFor();
      await picture(page, 'device');
      await page.getByRole('button', { name: 'Approve' }).click();
      await page.getByRole('heading', { name: 'Device connected' }).waitFor();
      await picture(page, 'device-connected');
      const tokens = await openid.pollDeviceAuthorizationGrant(config, begun);
      expect(tokens).toMatchObject({ scope: 'vaults:read', tenant: bootstrap.tenant.slug });
      expect(String(tokens['client_id'])).toMatch(/^kcc_live_/);
      expect(complaints.filter((text) => !text.includes('404'))).toEqual([]);
      await context.close();
    });
  },
);
