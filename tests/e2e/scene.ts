import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import pg from 'pg';
import { describe } from 'vitest';
import { startDnsServer } from '../../packages/server/src/testing/dns-server.js';
import { createTestCa, startTlsUpstream } from '../../packages/server/src/testing/tls-upstream.js';
import {
  type Bootstrap,
  type Environment,
  makeDataDir,
  readBootstrap,
  type ServerProcess,
  startServer,
} from './server-process.js';

export const UPSTREAM_HOST = 'api.payments.example';

export interface E2eDatabase {
  /** What the server's environment says of it. */
  readonly environment: Environment;
  /** Everything that it stores, as text; empty where it stores in the data directory. */
  dump(): Promise<string>;
  remove(): Promise<void>;
}

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];

export function forEachDatabase(suite: (open: () => Promise<E2eDatabase>) => void): void {
  describe('on SQLite', () => suite(openSqlite));
  onPostgres(suite);
}

export function onPostgres(suite: (open: () => Promise<E2eDatabase>) => void): void {
  if (POSTGRES_URL) describe('on PostgreSQL', () => suite(() => openPostgres(POSTGRES_URL)));
  else describe.skip('on PostgreSQL (TEST_DATABASE_URL is not set)', () => suite(() => openPostgres('')));
}

/** In the data directory. */
export async function openSqlite(): Promise<E2eDatabase> {
  return { environment: {}, dump: async () => '', remove: async () => {} };
}

async function openPostgres(administratorUrl: string): Promise<E2eDatabase> {
  const name = `knox_e2e_${randomUUID().replaceAll('-', '')}`;
  await query(administratorUrl, `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`);
  const url = new URL(administratorUrl);
  url.pathname = `/${name}`;
  return {
    environment: { DATABASE_URL: url.href },
    async dump() {
      const tables = await query(
        url.href,
        "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
      );
      const contents = await Promise.all(
        tables.map((table) => query(url.href, `SELECT t::text AS row, t.* FROM "${table['name']}" t`)),
      );
      return JSON.stringify(contents, (_key, value: unknown) =>
        isBufferJson(value) ? Buffer.from(value.data).toString('latin1') : value,
      );
    },
    remove: async () => {
      await query(administratorUrl, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

function isBufferJson(value: unknown): value is { data: number[] } {
  return (
    value !== null &&
    typeof value === 'object' &&
    'type' in value &&
    value.type === 'Buffer' &&
    'data' in value
  );
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface Scene {
  readonly dataDir: string;
  readonly environment: Environment;
  readonly target: string;
  readonly bootstrap: Bootstrap;
  server: ServerProcess;
  /** Calls the API with the live key unless another is given. */
  api(method: string, path: string, body?: unknown, key?: string): Promise<Answer>;
  /** A call through the proxy, its answer still streaming. */
  open(target: string, init?: RequestInit, key?: string): Promise<Response>;
  proxied(target: string, init?: RequestInit, key?: string): Promise<Answer>;
  close(): Promise<void>;
}

/** The built server, a TLS upstream with a CA of its own, and a name server that knows both. */
export async function setScene(database: E2eDatabase, handler: RequestListener): Promise<Scene> {
  const dataDir = makeDataDir();
  const ca = await createTestCa();
  const upstream = await startTlsUpstream({ ca, names: [UPSTREAM_HOST], handler });
  const dns = await startDnsServer({
    records: {
      [UPSTREAM_HOST]: ['127.0.0.1'],
      'intranet.example': ['10.0.0.7'],
      'cloud.example': ['169.254.169.254'],
    },
  });
  mkdirSync(dataDir.path, { recursive: true, mode: 0o700 });
  const caFile = join(dataDir.path, '..', 'ca.pem');
  writeFileSync(caFile, ca.caPem);
  const environment = {
    ...database.environment,
    KNOX_DATA_DIR: dataDir.path,
    KNOX_EXTRA_CA_FILE: caFile,
    KNOX_DNS_SERVERS: `127.0.0.1:${dns.port}`,
    KNOX_ALLOW_PRIVATE_UPSTREAMS: '127.0.0.1/32',
    KNOX_LOG_LEVEL: 'debug',
  };
  const server = await startServer(environment);
  const bootstrap = readBootstrap(dataDir.path);
  const scene: Scene = {
    dataDir: dataDir.path,
    environment,
    target: `https://${UPSTREAM_HOST}:${upstream.port}`,
    bootstrap,
    server,
    api: async (method, path, body, key = bootstrap.live_api_key) =>
      answerOf(
        await fetch(`${scene.server.url}${path}`, {
          method,
          headers: {
            authorization: `Bearer ${key}`,
            ...(body ? { 'content-type': 'application/json' } : {}),
          },
          ...(body ? { body: JSON.stringify(body) } : {}),
        }),
      ),
    open: (target, init = {}, key = bootstrap.live_api_key) =>
      fetch(`${scene.server.url}/v1/proxy`, {
        ...init,
        headers: { authorization: `Bearer ${key}`, 'x-knox-proxy-url': target, ...init.headers },
      }),
    proxied: async (...args) => answerOf(await scene.open(...args)),
    async close() {
      scene.server.signal('SIGKILL');
      await scene.server.exited;
      await Promise.all([upstream.close(), dns.close()]);
      await database.remove();
      dataDir.remove();
    },
  };
  return scene;
}

async function answerOf(response: Response): Promise<Answer> {
  return { status: response.status, headers: response.headers, text: await response.text() };
}
