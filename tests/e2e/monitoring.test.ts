import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OtlpReceiver, startOtlpReceiver } from '../../packages/server/src/testing/otlp-receiver.js';
import { killAll, makeDataDir, type ServerProcess, startServer, stopServer } from './server-process.js';

afterAll(killAll);

describe('a server that is watched', () => {
  const dataDir = makeDataDir();
  let collector: OtlpReceiver;
  let server: ServerProcess;

  beforeAll(async () => {
    collector = await startOtlpReceiver();
    server = await startServer({
      KNOX_DATA_DIR: dataDir.path,
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=ours',
      OTEL_SERVICE_NAME: 'knox-of-tests',
    });
  });
  afterAll(async () => {
    await collector.close();
    dataDir.remove();
  });

  it('shows its metrics on its own machine', async () => {
    await fetch(`${server.url}/v1/vaults`);
    const text = await (await fetch(`${server.url}/metrics`)).text();
    expect(text).toMatch(/knox_http_errors_total{surface="management",type="authentication_required"} [1-9]/);
    for (const name of [
      'knox_build_info',
      'knox_process_resident_memory_bytes',
      'knox_group_commit_queued_rows',
      'knox_audit_unsealed_rows',
    ])
      expect(text).toContain(`\n${name}`);
  });

  it('describes the mounts that it serves, and no others', async () => {
    const { paths } = (await (await fetch(`${server.url}/openapi.json`)).json()) as { paths: object };
    for (const path of ['/v1/vaults', '/admin/vaults']) {
      const isServed = (await fetch(`${server.url}${path}`)).status !== 404;
      expect([path, path in paths]).toEqual([path, isServed]);
    }
  });

  it('sends its traces, the last of them before it ends', async () => {
    await fetch(`${server.url}/v1/vaults/canary`);
    expect((await stopServer(server)).code).toBe(0);
    expect(collector.spans.map(({ name }) => name)).toContain('GET /v1/vaults/:nameOrId');
    expect(collector.bodies.join('')).not.toContain('canary');
    expect(collector.headers[0]).toMatchObject({ 'x-tenant': 'ours' });
    expect(collector.resources[0]).toMatchObject({ 'service.name': 'knox-of-tests' });
  });
});

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);

const SCREENS_MAX = 200;

describe.skipIf(!CHROMIUM)(
  `the page at /docs${CHROMIUM ? '' : ' (skipped: no Chromium in /usr/bin)'}`,
  () => {
    const dataDir = makeDataDir();
    let server: ServerProcess;
    let browser: Browser;

    beforeAll(async () => {
      server = await startServer({ KNOX_DATA_DIR: dataDir.path });
      browser = await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] });
    });
    afterAll(async () => {
      await browser.close();
      await stopServer(server);
      dataDir.remove();
    });

    /** With everything that the page complains of: a refusal of its policy is one. */
    async function open(width: number): Promise<{ page: Page; complaints: string[]; elsewhere: string[] }> {
      const page = await browser.newPage({ viewport: { width, height: 900 } });
      const [complaints, elsewhere]: [string[], string[]] = [[], []];
      page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(String(error)));
      page.on('request', (request) => {
        if (!request.url().startsWith(server.url) && !request.url().startsWith('data:'))
          elsewhere.push(request.url());
      });
      await page.goto(`${server.url}/docs`);
      await page.locator('.opblock').first().waitFor();
      return { page, complaints, elsewhere };
    }

    /** The page holds what is in view alone: goes down it until `isDone`, and tells each operation that came by. */
    async function scrollUntil(page: Page, isDone: () => Promise<boolean>): Promise<Set<string>> {
      const seen = new Set<string>();
      for (let screen = 0; screen < SCREENS_MAX; screen++) {
        for (const id of await page.locator('.opblock').evaluateAll((rows) => rows.map((row) => row.id)))
          seen.add(id);
        if (await isDone()) break;
        await page.evaluate(
          'new Promise((drawn) => { scrollBy(0, innerHeight / 2); requestAnimationFrame(() => requestAnimationFrame(drawn)); })',
        );
      }
      return seen;
    }

    it.each([1280, 390])('shows every operation at a width of %d, from this server alone', async (width) => {
      const { page, complaints, elsewhere } = await open(width);
      const { paths } = (await (await fetch(`${server.url}/openapi.json`)).json()) as { paths: object };
      const operations = Object.values(paths).flatMap((item) => Object.keys(item as object));
      const isAtEnd = () =>
        page.evaluate<boolean>('scrollY + innerHeight >= document.documentElement.scrollHeight - 1');
      expect((await scrollUntil(page, isAtEnd)).size).toBe(operations.length);
      await page.getByText('Create a vault with a key of its own').first().click();
      await page.getByText('Request body').first().waitFor();
      expect(await page.evaluate('document.documentElement.scrollWidth > innerWidth')).toBe(false);
      expect([complaints, elsewhere]).toEqual([[], []]);
      await page.close();
    });

    it('tries a call out', async () => {
      const { page, complaints } = await open(1280);
      const operation = page.getByText('Whether the process answers');
      await scrollUntil(page, () => operation.isVisible());
      await operation.click();
      await page.getByRole('button', { name: 'Try it out' }).click();
      await page.getByRole('button', { name: 'Execute' }).click();
      await page.locator('.live-responses-table .response-col_status').filter({ hasText: '200' }).waitFor();
      expect(complaints).toEqual([]);
      await page.close();
    });
  },
);
