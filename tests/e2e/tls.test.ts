import { writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createTestCa,
  type IssuedCertificate,
  type TestCa,
} from '../../packages/server/src/testing/tls-upstream.js';
import {
  type Bootstrap,
  killAll,
  makeDataDir,
  readBootstrap,
  runToEnd,
  type ServerProcess,
  startServer,
  stopServer,
} from './server-process.js';

afterAll(killAll);

describe('a server with a TLS listener behind a trusted proxy', () => {
  const dataDir = makeDataDir();
  const files = {
    cert: join(dirname(dataDir.path), 'cert.pem'),
    key: join(dirname(dataDir.path), 'key.pem'),
  };
  const environment = {
    KNOX_DATA_DIR: dataDir.path,
    KNOX_TLS_CERT_FILE: files.cert,
    KNOX_TLS_KEY_FILE: files.key,
    KNOX_TLS_PORT: '0',
    KNOX_TRUSTED_PROXIES: '127.0.0.1',
  };
  let ca: TestCa;
  let server: ServerProcess;
  let bootstrap: Bootstrap;
  let tlsUrl: string;

  function write({ certPem, keyPem }: IssuedCertificate): void {
    writeFileSync(files.cert, certPem);
    writeFileSync(files.key, keyPem);
  }

  beforeAll(async () => {
    ca = await createTestCa();
    write(await ca.issue(['localhost']));
    server = await startServer(environment);
    bootstrap = readBootstrap(dataDir.path);
    tlsUrl = /TLS +(https:\S+)/.exec(server.output().out)![1]!;
  });
  afterAll(dataDir.remove);

  interface Asked {
    readonly status: number;
    readonly json: ReturnType<typeof JSON.parse>;
    /** The serial number of the certificate that was shown. */
    readonly serial: string;
  }

  /** By TLS, as a caller whose address a proxy tells. */
  function ask(path: string, agent: Agent | false = false): Promise<Asked> {
    return new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${bootstrap.live_api_key}`,
        'x-forwarded-for': '198.51.100.1, 203.0.113.9',
      };
      const call = request(`${tlsUrl}${path}`, { ca: ca.caPem, servername: 'localhost', headers, agent });
      call.on('error', reject).on('response', async (response) => {
        const { serialNumber } = (response.socket as TLSSocket).getPeerCertificate();
        const body = await text(response);
        resolve({ status: response.statusCode!, json: JSON.parse(body), serial: serialNumber });
      });
      call.end();
    });
  }

  const logLines = () =>
    server
      .output()
      .out.split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));

  it('serves the same API there, to callers whose address is theirs', async () => {
    expect((await ask('/v1/account')).json.data.slug).toBe('default');
    const made = await fetch(`${server.url}/v1/vaults`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${bootstrap.live_api_key}`,
        'content-type': 'application/json',
        'x-forwarded-for': '203.0.113.7',
      },
      body: JSON.stringify({ name: 'cards' }),
    });
    expect(made.status).toBe(201);
    const { json } = await ask('/v1/audit-logs?action=vault.create');
    expect(json.data.map(({ ip_address }: { ip_address: string }) => ip_address)).toEqual(['203.0.113.7']);
  });

  it('keeps its metrics from this machine, where the proxy is', async () => {
    expect((await fetch(`${server.url}/metrics`)).status).toBe(403);
  });

  it('shows another certificate soon after its files have changed', async () => {
    const before = await ask('/healthz');
    write(await ca.issue(['localhost']));
    await expect
      .poll(async () => (await ask('/healthz')).serial, { timeout: 20_000 })
      .not.toBe(before.serial);
  });

  it('keeps it when SIGHUP finds a pair that does not fit, and says why', async () => {
    const { serial } = await ask('/healthz');
    writeFileSync(files.cert, (await ca.issue(['localhost'])).certPem);
    server.signal('SIGHUP');
    const told = () => logLines().find(({ msg }) => String(msg).startsWith('TLS certificate not changed'));
    await expect.poll(told, { timeout: 20_000 }).toMatchObject({ level: 'error' });
    expect(told().rule).toContain(`${files.key} is not the key of the certificate`);
    expect((await ask('/healthz')).serial).toBe(serial);
  });

  it('ends with 0 though a connection is open', async () => {
    const agent = new Agent({ keepAlive: true });
    expect((await ask('/healthz', agent)).status).toBe(200);
    expect(await stopServer(server)).toMatchObject({ code: 0, signal: null });
    agent.destroy();
  });

  it('does not start without a key, with one that does not fit, or trusting everybody', async () => {
    const refusalOf = async (change: Record<string, string>) => {
      const { code, error } = await runToEnd(['start'], { ...environment, KNOX_PORT: '0', ...change });
      return `${code} ${error}`;
    };
    expect(await refusalOf({ KNOX_TLS_KEY_FILE: '' })).toMatch(
      /^1 [\s\S]*KNOX_TLS_KEY_FILE is needed beside/,
    );
    expect(await refusalOf({})).toMatch(/^1 [\s\S]*KNOX_TLS_KEY_FILE \S.* is not the key of the certificate/);
    expect(await refusalOf({ KNOX_TRUSTED_PROXIES: '0.0.0.0/0' })).toMatch(
      /^1 [\s\S]*KNOX_TRUSTED_PROXIES has the entry 0\.0\.0\.0\/0, which is too wide/,
    );
  });
});
