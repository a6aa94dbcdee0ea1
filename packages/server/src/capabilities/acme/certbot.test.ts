import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDnsServer, type TestDnsServer } from '../../testing/dns-server.js';
import { filesOf, freePort, programPath, runProgram, skippedWithout } from '../../testing/programs.js';
import { createTestCa } from '../../testing/tls-upstream.js';
import { startWholeServer, type WholeServer } from '../../testing/whole-server.js';

const CERTBOT = process.env['TEST_CERTBOT'] ?? programPath('certbot');
const SKIPPED = CERTBOT ? skippedWithout('curl', 'openssl') : ' (skipped: no certbot is installed)';

/** The server as it is started, over HTTPS, and the client that most servers run, as docs/operations/acme.md has it. */
describe.skipIf(SKIPPED !== '')(`certbot${SKIPPED}`, { timeout: 120_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'knox-certbot-'));
  let whole: WholeServer;
  let dns: TestDnsServer;
  let hook: Server;
  let caFile: string;
  let directory: string;
  let http01Port: number;
  const keysPath = '/v1/pki/roots/corp/roles/web/acme-keys';

  beforeAll(async () => {
    dns = await startDnsServer({
      records: { 'www.example.com': ['127.0.0.1'], 'b.example.com': ['127.0.0.1'] },
    });
    const [tlsPort, page] = [await freePort(), await freePort()];
    http01Port = page;
    const ca = await createTestCa();
    caFile = join(dir, 'ca.pem');
    writeFileSync(caFile, ca.caPem);
    const tls = filesOf(dir, 'server', await ca.issue(['localhost']));
    whole = await startWholeServer({
      environment: {
        KNOX_TLS_CERT_FILE: tls.cert,
        KNOX_TLS_KEY_FILE: tls.key,
        KNOX_TLS_PORT: String(tlsPort),
        KNOX_PUBLIC_URL: `https://localhost:${tlsPort}`,
        KNOX_DNS_SERVERS: `127.0.0.1:${dns.port}`,
        KNOX_ACME_VALIDATION_TARGETS: '127.0.0.1/32',
        KNOX_ACME_HTTP01_PORT: String(http01Port),
      },
    });
    const root = await made('/v1/pki/roots', { name: 'corp', subject: { CN: 'Corp' } });
    const { tenant_id, id: rootId } = root.root;
    const role = await made('/v1/pki/roots/corp/roles', {
      role_name: 'web',
      allowed_domains: ['example.com'],
      allow_subdomains: true,
      allow_wildcards: true,
      allow_acme: true,
    });
    directory = `https://localhost:${tlsPort}/pki/${tenant_id}/${rootId}/${role.id}/acme/directory`;
    hook = createServer(({ url = '' }, response) => {
      const [, name = '', text = ''] = url.split('/');
      const at = `_acme-challenge.${name}`;
      known.set(at, [...(known.get(at) ?? []), text]);
      dns.set(at, { txt: known.get(at)! });
      response.end();
    });
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    await whole.close();
    await new Promise((resolve) => hook.close(resolve));
    await dns.close();
    rmSync(dir, { recursive: true });
  });

  const known = new Map<string, string[]>();

  async function made(path: string, body: unknown) {
    const { status, json } = await whole.api('POST', path, body);
    if (status >= 300) throw new Error(`POST ${path}: ${status} ${JSON.stringify(json)}`);
    return json.data;
  }

  async function certbot(...words: readonly string[]) {
    const places = ['config', 'work', 'logs'].flatMap((name) => [`--${name}-dir`, join(dir, name)]);
    const fixed = ['--non-interactive', '--server', directory, ...places];
    const environment = [`REQUESTS_CA_BUNDLE=${caFile}`];
    const end = await runProgram('env', [...environment, CERTBOT!, ...words, ...fixed]);
    return { code: end.code, text: end.out + end.error };
  }

  const live = (name: string, file: string) => join(dir, 'config', 'live', name, file);
  const certificateOf = (name: string) => new X509Certificate(readFileSync(live(name, 'cert.pem')));

  async function statusOf({ serialNumber }: X509Certificate) {
    const { json } = await whole.api('GET', `/v1/pki/roots/corp/certs/${serialNumber.toLowerCase()}`);
    return json.data;
  }

  const standalone = () => [
    '--standalone',
    '--http-01-port',
    String(http01Port),
    '--http-01-address',
    '127.0.0.1',
  ];

  it('opens an account with a key of the management API, and not without', async () => {
    const terms = ['register', '--agree-tos', '-m', 'ops@example.com'];
    expect(await certbot(...terms)).toMatchObject({
      code: 1,
      text: expect.stringContaining('external account binding'),
    });
    const { kid, hmac_key } = await made(keysPath, { label: 'certbot' });
    const opened = await certbot(...terms, '--eab-kid', kid, '--eab-hmac-key', hmac_key);
    expect(opened).toMatchObject({ code: 0, text: expect.stringContaining('Account registered') });
    const { json } = await whole.api('GET', keysPath);
    expect(json.data).toMatchObject([{ kid, label: 'certbot', account_id: expect.any(String) }]);
  });

  it('gets a certificate by http-01, which OpenSSL verifies, and renews it', async () => {
    const names = ['-d', 'www.example.com', '-d', 'b.example.com', '--cert-name', 'web'];
    expect(await certbot('certonly', ...standalone(), ...names)).toMatchObject({ code: 0 });
    const first = certificateOf('web');
    expect(first.subjectAltName).toContain('DNS:b.example.com');
    const rootFile = join(dir, 'root.pem');
    const answer = await fetch(`http://127.0.0.1:${whole.port}/v1/pki/roots/corp/cert`, {
      headers: { authorization: `Bearer ${whole.bootstrap.live_api_key}` },
    });
    writeFileSync(rootFile, await answer.text());
    const chain = ['-untrusted', live('web', 'chain.pem'), live('web', 'cert.pem')];
    const verified = await runProgram('openssl', ['verify', '-x509_strict', '-CAfile', rootFile, ...chain]);
    expect(verified).toMatchObject({ code: 0, out: expect.stringContaining('OK') });
    expect(
      await certbot('renew', '--force-renewal', '--no-random-sleep-on-renew', '--cert-name', 'web'),
    ).toMatchObject({ code: 0 });
    expect(certificateOf('web').serialNumber).not.toBe(first.serialNumber);
  });

  it('gets one for a wildcard by dns-01', async () => {
    const { port } = hook.address() as AddressInfo;
    const script = join(dir, 'hook.sh');
    writeFileSync(
      script,
      `#!/bin/sh\ncurl -sS "http://127.0.0.1:${port}/$CERTBOT_DOMAIN/$CERTBOT_VALIDATION"\n`,
    );
    chmodSync(script, 0o700);
    const how = ['--manual', '--preferred-challenges', 'dns', '--manual-auth-hook', script];
    const names = ['-d', '*.example.com', '-d', 'example.com', '--cert-name', 'all'];
    expect(await certbot('certonly', ...how, ...names)).toMatchObject({ code: 0 });
    expect(certificateOf('all').checkHost('x.example.com')).toBe('*.example.com');
  });

  it('revokes one by its account, and one by the key of the certificate alone', async () => {
    const [byAccount, byKey] = [certificateOf('web'), certificateOf('all')];
    const keep = ['--no-delete-after-revoke', '--reason', 'superseded'];
    const one = ['revoke', '--cert-path', live('web', 'cert.pem'), ...keep];
    expect(await certbot(...one)).toMatchObject({ code: 0 });
    expect(await statusOf(byAccount)).toMatchObject({ reason: 'superseded', revoked_at: expect.any(String) });
    const other = [
      'revoke',
      '--cert-path',
      live('all', 'cert.pem'),
      '--key-path',
      live('all', 'privkey.pem'),
    ];
    expect(await certbot(...other, '--no-delete-after-revoke', '--reason', 'keycompromise')).toMatchObject({
      code: 0,
    });
    expect(await statusOf(byKey)).toMatchObject({ reason: 'key_compromise' });
  });

  it('changes its contact and ends its account', async () => {
    expect(await certbot('update_account', '-m', 'other@example.com')).toMatchObject({ code: 0 });
    expect(await certbot('unregister')).toMatchObject({ code: 0 });
    const again = await certbot('certonly', ...standalone(), '-d', 'www.example.com');
    expect(again.code).toBe(1);
  });
});
