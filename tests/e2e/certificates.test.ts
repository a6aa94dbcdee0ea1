import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  freePort,
  programPath,
  type RunningNginx,
  runProgram,
  skippedWithout,
  startNginx,
} from '../../packages/server/src/testing/programs.js';
import {
  type Bootstrap,
  killAll,
  makeDataDir,
  readBootstrap,
  type ServerProcess,
  startServer,
  stopServer,
} from './server-process.js';

const NGINX = process.env['TEST_NGINX'] ?? programPath('nginx');
const SKIPPED = NGINX ? skippedWithout('curl', 'openssl') : ' (skipped: no nginx is installed)';
const HOST = 'api.example.internal';

afterAll(killAll);

/** As docs/operations/certificates.md has it: from nothing to a server whose certificate is verified. */
describe.skipIf(SKIPPED !== '')(`certificates of a tenant's own roots${SKIPPED}`, () => {
  const dataDir = makeDataDir();
  const dir = mkdtempSync(join(tmpdir(), 'knox-certificates-'));
  let server: ServerProcess;
  let bootstrap: Bootstrap;

  beforeAll(async () => {
    server = await startServer({ KNOX_DATA_DIR: dataDir.path });
    bootstrap = readBootstrap(dataDir.path);
  });
  afterAll(async () => {
    await stopServer(server);
    dataDir.remove();
    rmSync(dir, { recursive: true });
  });

  async function ask(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
    const response = await fetch(`${server.url}/v1/pki/roots${path}`, {
      method,
      headers: {
        authorization: `Bearer ${bootstrap.live_api_key}`,
        ...(body && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, text, data: text.startsWith('{') ? JSON.parse(text).data : null };
  }
  function file(name: string, content: string): string {
    const path = join(dir, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  // What signs with 4096 bits takes seconds to make, so it is tried here alone.
  it.each(['ecdsa-p256', 'ecdsa-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096'])(
    'of a root of %s nginx shows one that curl verifies, until it is revoked',
    async (kind) => {
      const made = await ask('POST', '', {
        name: kind,
        subject: { CN: `Root ${kind}` },
        key_algorithm: kind,
      });
      expect(made.status).toBe(201);
      const role = { role_name: 'web', allowed_domains: ['example.internal'], allow_subdomains: true };
      expect((await ask('POST', `/${kind}/roles`, role)).status).toBe(201);
      const { data } = await ask('POST', `/${kind}/issue/web`, { subject: { CN: HOST } });
      const cert = file('server.pem', data.cert_pem + data.ca_chain_pem);
      const key = file('server.key', data.private_key_pem);
      const root = file('root.pem', (await ask('GET', `/${kind}/cert`)).text);

      const port = await freePort();
      const blocks = `  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    location / { return 200 "served\\n"; }
  }`;
      const nginx: RunningNginx = await startNginx(NGINX!, dir, { port, blocks });
      try {
        const resolve = (host: string) => [
          '--resolve',
          `${host}:${port}:127.0.0.1`,
          `https://${host}:${port}/`,
        ];
        const good = await runProgram('curl', ['-sS', '--cacert', root, ...resolve(HOST)]);
        expect([good.code, good.out, good.error]).toEqual([0, 'served\n', '']);
        const unknown = await runProgram('curl', ['-sS', ...resolve(HOST)]);
        expect([unknown.code, unknown.out]).toEqual([60, '']);
        const other = await runProgram('curl', ['-sS', '--cacert', root, ...resolve('www.example.internal')]);
        expect([other.code, other.out]).toEqual([60, '']);
      } finally {
        await nginx.stop();
      }

      const words = ['verify', '-x509_strict', '-crl_check_all', '-CAfile', root, '-untrusted', cert];
      const verify = async () => {
        const lists = file('lists.pem', (await ask('GET', `/${kind}/crl`)).text);
        const { code, out, error } = await runProgram('openssl', [...words, '-CRLfile', lists, cert]);
        return { code, text: out + error };
      };
      expect(await verify()).toEqual({ code: 0, text: `${cert}: OK\n` });
      const revocation = { serial_hex: data.serial_hex, reason: 'keyCompromise' };
      expect((await ask('POST', `/${kind}/revoke`, revocation)).data).toEqual({ revoked: true });
      const refused = await verify();
      expect(refused.code).not.toBe(0);
      expect(refused.text).toContain('error 23 at 0 depth lookup: certificate revoked');
    },
  );

  it('of one idempotency key there is one, whose key is in one answer', async () => {
    const key = { 'x-idempotency-key': 'one-certificate' };
    const body = { subject: { CN: HOST } };
    const call = () => ask('POST', '/ecdsa-p256/issue/web', body, key);
    const answers = await Promise.all(Array.from({ length: 8 }, call));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ data }) => data.serial_hex)).size).toBe(1);
    expect(answers.filter(({ data }) => data.private_key_pem !== null)).toHaveLength(1);
  });
});
