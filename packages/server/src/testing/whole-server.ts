import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BootstrapContent } from '../app/bootstrap-file.js';
import { startServer } from '../app/server.js';
import { loadConfig } from '../platform/config/config.js';
import { startDnsServer } from './dns-server.js';
import { createTestCa, startTlsUpstream, type TestCa, type TlsUpstream } from './tls-upstream.js';

export const UPSTREAM_HOST = 'api.example.com';

/** The server as `start` makes it, in this process: its listener, its database and its guard are those of the product. */
export interface WholeServer {
  readonly port: number;
  readonly dataDir: string;
  readonly bootstrap: BootstrapContent;
  readonly upstream: TlsUpstream;
  /** `https://api.example.com:<port>` */
  readonly target: string;
  readonly ca: TestCa;
  /** What the upstream answers with; null = 200 and what it was sent. */
  answer: RequestListener | null;
  /** A management call, as JSON. */
  api(method: string, path: string, body?: unknown, credential?: string): Promise<ApiAnswer>;
  /** Stops, lets the test at the files, starts again. */
  restart(meanwhile: () => void): Promise<void>;
  close(): Promise<void>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly json: ReturnType<typeof JSON.parse>;
}

export interface WholeServerOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** What stands in `KNOX_PLAN_FILE`. */
  readonly plans?: unknown;
  readonly records?: Record<string, readonly string[]>;
  /** Of the upstream and of whatever else the test has the server trust; one of its own when absent. */
  readonly ca?: TestCa;
}

export async function startWholeServer(options: WholeServerOptions = {}): Promise<WholeServer> {
  const dir = mkdtempSync(join(tmpdir(), 'knox whole '));
  const ca = options.ca ?? (await createTestCa());
  const upstream = await startTlsUpstream({
    ca,
    names: [UPSTREAM_HOST],
    handler: (request, response) => {
      if (whole.answer) whole.answer(request, response);
      else request.pipe(response);
    },
  });
  const dns = await startDnsServer({ records: { [UPSTREAM_HOST]: ['127.0.0.1'], ...options.records } });
  const caFile = join(dir, 'ca.pem');
  writeFileSync(caFile, ca.caPem);
  const planFile = join(dir, 'plans.json');
  writeFileSync(planFile, JSON.stringify(options.plans ?? {}));
  const environment = {
    KNOX_PORT: '0',
    KNOX_DATA_DIR: join(dir, 'data'),
    KNOX_EXTRA_CA_FILE: caFile,
    KNOX_DNS_SERVERS: `127.0.0.1:${dns.port}`,
    KNOX_ALLOW_PRIVATE_UPSTREAMS: '127.0.0.1/32',
    KNOX_LOG_LEVEL: 'error',
    ...(options.plans === undefined ? {} : { KNOX_PLAN_FILE: planFile }),
    ...options.environment,
  };
  let bootstrap!: BootstrapContent;
  const start = () =>
    startServer(loadConfig(environment, dir).config, {
      version: '0.0.0',
      onFirstStart: (content) => {
        bootstrap = content;
      },
    });
  let server = await start();
  const whole: WholeServer = {
    get port() {
      return server.addresses[0]!.port;
    },
    dataDir: environment.KNOX_DATA_DIR,
    bootstrap,
    upstream,
    target: `https://${UPSTREAM_HOST}:${upstream.port}`,
    ca,
    answer: null,
    async api(method, path, body, credential = bootstrap.live_api_key) {
      const response = await fetch(`http://127.0.0.1:${whole.port}${path}`, {
        method,
        headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, json: await response.json() };
    },
    async restart(meanwhile) {
      await server.close();
      meanwhile();
      server = await start();
    },
    async close() {
      await server.close();
      await Promise.all([upstream.close(), dns.close()]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return whole;
}
