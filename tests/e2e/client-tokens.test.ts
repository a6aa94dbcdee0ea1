import { existsSync } from 'node:fs';
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
const SHOP = 'https://shop.example';

afterAll(killAll);

/** Pages of two origins in a real browser, which keeps from a page what it may not read. */
describe.skipIf(!CHROMIUM)(
  `client tokens in a browser${CHROMIUM ? '' : ' (skipped: no Chromium in /usr/bin)'}`,
  () => {
    const dataDir = makeDataDir();
    let server: ServerProcess;
    let bootstrap: Bootstrap;
    let browser: Browser;

    beforeAll(async () => {
      server = await startServer({ KNOX_DATA_DIR: dataDir.path });
      bootstrap = readBootstrap(dataDir.path);
      // Pages of the internet may not call loopback without being asked in newer browsers; here they stand for any server.
      const args = ['--no-sandbox', '--disable-features=LocalNetworkAccessChecks'];
      browser = await chromium.launch({ executablePath: CHROMIUM!, args });
      await call('POST', '/v1/vaults', { name: 'cards' });
    });
    afterAll(async () => {
      await browser.close();
      await stopServer(server);
      dataDir.remove();
    });

    async function call(method: string, path: string, body?: unknown) {
      const response = await fetch(`${server.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${bootstrap.live_api_key}`, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return ((await response.json()) as { data: Record<string, unknown> }).data;
    }

    const newToken = async (body: object) =>
      (await call('POST', '/v1/client-tokens', body))['token'] as string;

    /** A page of that origin, though nothing is there. */
    async function pageAt(origin: string): Promise<Page> {
      const page = await browser.newPage();
      await page.route(`${origin}/**`, (route) =>
        route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>Shop</title>' }),
      );
      await page.goto(`${origin}/checkout`);
      return page;
    }

    /** What the page gets to see of the answer. */
    const fetchIn = (page: Page, path: string, token: string, body: object) =>
      page.evaluate(
        async ({ url, bearer, payload }) => {
          try {
            const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
            const response = await fetch(url, { method: 'POST', headers, body: payload });
            const id = response.headers.get('x-request-id');
            return { status: response.status, hasId: id !== null, json: await response.json() };
          } catch (error) {
            return (error as Error).name;
          }
        },
        { url: `${server.url}${path}`, bearer: token, payload: JSON.stringify(body) },
      );

    it('let a page of the pinned origin tokenize, once, and read why not again', async () => {
      const token = await newToken({ action: 'tokenize', vault: 'cards', origins: [SHOP] });
      const page = await pageAt(SHOP);
      const body = { vault: 'cards', value: 'canary' };
      const first = await fetchIn(page, '/v1/client/tokenize', token, body);
      expect(first).toMatchObject({
        status: 201,
        hasId: true,
        json: { data: { token: expect.any(String) } },
      });
      const again = await fetchIn(page, '/v1/client/tokenize', token, body);
      expect(again).toMatchObject({ status: 401, json: { error: { type: 'invalid_token' } } });
      await page.close();
    });

    it('let a page of another origin neither tokenize nor read anything', async () => {
      const token = await newToken({ action: 'tokenize', vault: 'cards', origins: [SHOP] });
      const before = (await call('GET', '/v1/vaults/cards'))['token_count'];
      for (const origin of [
        'https://evil.example',
        'https://shop.example.evil.example',
        'http://shop.example',
      ]) {
        const page = await pageAt(origin);
        const body = { vault: 'cards', value: 'canary' };
        expect(await fetchIn(page, '/v1/client/tokenize', token, body)).toBe('TypeError');
        await page.close();
      }
      expect((await call('GET', '/v1/vaults/cards'))['token_count']).toBe(before);
    });

    it('let a page of any origin open what a token was made for, and nothing else', async () => {
      const { ciphertext } = await call('POST', '/v1/encrypt', { data: { name: 'canary' } });
      const token = await newToken({ action: 'decrypt', data: ciphertext });
      const page = await pageAt('https://anywhere.example');
      const other = await fetchIn(page, '/v1/client/decrypt', token, { data: { name: 'x' } });
      expect(other).toMatchObject({ status: 401 });
      const answer = await fetchIn(page, '/v1/client/decrypt', token, { data: ciphertext });
      expect(answer).toMatchObject({ status: 200, json: { data: { plaintext: { name: 'canary' } } } });
      await page.close();
    });

    it('are the only door: no other endpoint answers pages of other origins', async () => {
      const page = await pageAt(SHOP);
      const key = bootstrap.live_api_key;
      expect(await fetchIn(page, '/v1/encrypt', key, { data: 1 })).toBe('TypeError');
      await page.close();
    });
  },
);
