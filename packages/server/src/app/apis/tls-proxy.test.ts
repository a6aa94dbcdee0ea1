import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../testing/programs.js';
import { createTestCa } from '../../testing/tls-upstream.js';
import { startWholeServer, type WholeServer } from '../../testing/whole-server.js';

/** Proxied calls that come by the TLS listener, through a proxy that hands certificates on. */
const dir = mkdtempSync(join(tmpdir(), 'knox-tls-proxy-'));
let whole: WholeServer;
let tlsPort: number;
let listenerCa: string;

beforeAll(async () => {
  const ca = await createTestCa();
  listenerCa = ca.caPem;
  const { certPem, keyPem } = await ca.issue(['localhost']);
  writeFileSync(join(dir, 'cert.pem'), certPem);
  writeFileSync(join(dir, 'key.pem'), keyPem);
  tlsPort = await freePort();
  whole = await startWholeServer({
    environment: {
      KNOX_TLS_CERT_FILE: join(dir, 'cert.pem'),
      KNOX_TLS_KEY_FILE: join(dir, 'key.pem'),
      KNOX_TLS_PORT: String(tlsPort),
      KNOX_TRUSTED_PROXIES: '127.0.0.1',
      KNOX_CLIENT_CERT_HEADER: 'X-Peer',
      KNOX_CLIENT_CERT_FORMAT: 'sha256-hex',
    },
  });
});
afterAll(async () => {
  await whole.close();
  rmSync(dir, { recursive: true });
});

async function proxied(target: string, body: Buffer, headers: Record<string, string> = {}) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const call: ClientRequest = request({
      host: '127.0.0.1',
      port: tlsPort,
      servername: 'localhost',
      ca: listenerCa,
      path: '/v1/proxy',
      method: 'POST',
      agent: false,
      headers: {
        authorization: `Bearer ${whole.bootstrap.live_api_key}`,
        'x-knox-proxy-url': target,
        'x-knox-proxy-mode': 'transparent',
        'content-type': 'application/octet-stream',
        ...headers,
      },
    });
    call.on('error', reject).on('response', resolve);
    call.end(body);
  });
  return { status: response.statusCode, body: await buffer(response), headers: response.headers };
}

it('carries a large body both ways', async () => {
  const body = Buffer.alloc(8 * 1024 * 1024, 'knoxcall');
  const answer = await proxied(`${whole.target}/large`, body);
  expect(answer.status).toBe(200);
  expect(answer.body.equals(body)).toBe(true);
});

it('sends nothing on of where the call came from, and logs the caller', async () => {
  const before = whole.upstream.requests.length;
  const answer = await proxied(`${whole.target}/plain`, Buffer.from('x'), {
    'x-peer': 'ab'.repeat(32),
    'x-peers': 'kept',
    'x-forwarded-for': '203.0.113.9',
    'x-forwarded-proto': 'https',
  });
  expect(answer.status).toBe(200);
  const { rawHeaders } = whole.upstream.requests[before]!;
  const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
  expect(names).toContain('x-peers');
  expect(names.filter((name) => name === 'x-peer' || name.startsWith('x-forwarded'))).toEqual([]);
  const path = `/v1/logs/${answer.headers['x-request-id']}`;
  const logged = async () => (await whole.api('GET', path)).json.data?.src_ip;
  await expect.poll(logged, { timeout: 10_000 }).toBe('203.0.113.9');
});

it('never calls its own TLS listener', async () => {
  const answer = await proxied(`https://api.example.com:${tlsPort}/v1/account`, Buffer.from('x'));
  expect([answer.status, JSON.parse(answer.body.toString()).error.type]).toEqual([403, 'ssrf_blocked']);
});
