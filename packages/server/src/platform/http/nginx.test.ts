import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCidr } from '../../kernel/ip-address.js';
import {
  type CertificateFiles,
  filesOf,
  freePort,
  programPath,
  type RunningNginx,
  runProgram,
  selfSigned,
  skippedWithout,
  startNginx,
} from '../../testing/programs.js';
import { openTlsDoor, type TlsDoor } from '../../testing/tls-door.js';
import { createTestCa } from '../../testing/tls-upstream.js';

const NGINX = process.env['TEST_NGINX'] ?? programPath('nginx');
const SKIPPED = NGINX ? skippedWithout('curl', 'openssl') : ' (skipped: no nginx is installed)';

/** From where curl calls: not trusted, unlike nginx on 127.0.0.1. */
const CALLER = '127.0.0.9';

describe.skipIf(SKIPPED !== '')(`behind nginx${SKIPPED}`, () => {
  const dir = mkdtempSync(join(tmpdir(), 'knox-nginx-'));
  let door: TlsDoor;
  let nginx: RunningNginx;
  let port: number;
  let own: CertificateFiles;
  let issued: CertificateFiles;
  let expired: CertificateFiles;
  let unknown: CertificateFiles;

  beforeAll(async () => {
    const ca = await createTestCa();
    const certificate = await ca.issue(['localhost']);
    own = filesOf(dir, 'own', certificate);
    issued = filesOf(dir, 'issued', await ca.issue(['client']));
    expired = filesOf(dir, 'expired', await ca.issue(['client'], { expired: true }));
    unknown = selfSigned(dir, 'unknown');
    const proxies = [parseCidr('127.0.0.1')!];
    const certificateHeader = { name: 'x-client-cert', format: 'pem-urlencoded', peers: proxies } as const;
    door = await openTlsDoor({ certificate, trustedPeers: { proxies, certificateHeader } });
    port = await freePort();
    nginx = await startNginx(NGINX!, dir, { port, blocks: blocksOf(port) });
  });
  afterAll(async () => {
    await nginx?.stop();
    await door?.close();
    rmSync(dir, { recursive: true });
  });

  /** As docs/operations/tls.md has it, and two that are set up wrongly. One connection to the server for all. */
  const blocksOf = (listen: number) => `
  upstream knoxcall { server 127.0.0.1:${door.plainPort}; keepalive 1; }
  server {
    listen 127.0.0.1:${listen} ssl;
    ssl_certificate ${own.cert};
    ssl_certificate_key ${own.key};
    ssl_verify_client optional_no_ca;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
    location = /source { proxy_pass http://knoxcall; }
    location = /twice {
      proxy_set_header Connection "";
      proxy_set_header X-Client-Cert $http_x_client_cert;
      proxy_set_header X-client-cert $ssl_client_escaped_cert;
      proxy_pass http://knoxcall/source;
    }
    location = /sha1 {
      proxy_set_header Connection "";
      proxy_set_header X-Client-Cert $ssl_client_fingerprint;
      proxy_pass http://knoxcall/source;
    }
  }`;

  const shown = ({ cert, key }: CertificateFiles) => ['--cert', cert, '--key', key];

  async function curl(path: string, ...words: string[]) {
    const url = path.startsWith('http') ? path : `https://127.0.0.1:${port}${path}`;
    const asked = ['-sSk', '--interface', CALLER, '-w', '\n%{http_code}', ...words, url];
    const { out, error } = await runProgram('curl', asked);
    expect(error).toBe('');
    const [body = '', status] = out.split('\n');
    return { status: Number(status), json: JSON.parse(body) };
  }

  it.each([
    ['issued', () => issued],
    ['self-signed', () => unknown],
  ])('the certificate is that of the client: %s', async (_, files) => {
    const { json } = await curl('/source', ...shown(files()));
    expect([json.address, json.isSecure]).toEqual([CALLER, true]);
    expect(json.certificate.sha256Thumbprint).toBe(files().digest);
    expect(json.certificate.notAfterMs).toBeGreaterThan(performance.timeOrigin);
  });

  it('one that has expired is refused by nginx already', async () => {
    const url = `https://127.0.0.1:${port}/source`;
    const { out } = await runProgram('curl', ['-sSk', ...shown(expired), url]);
    expect(out).toContain('The SSL certificate error');
  });

  it('each request has its own on the one connection of nginx', async () => {
    for (const files of [issued, unknown, issued]) {
      const { json } = await curl('/source', ...shown(files));
      expect(json.certificate.sha256Thumbprint).toBe(files.digest);
    }
    expect((await curl('/source')).json.certificate).toBeNull();
  });

  const forged = () => [
    '-H',
    `X-Client-Cert: ${encodeURIComponent(PEM)}`,
    '-H',
    'X-Forwarded-For: 127.0.0.1',
  ];

  it('what the client writes itself is not believed', async () => {
    expect((await curl('/source', ...forged())).json).toEqual({
      address: CALLER,
      isSecure: true,
      certificate: null,
    });
    const { json } = await curl('/source', ...forged(), ...shown(unknown));
    expect(json.certificate.sha256Thumbprint).toBe(unknown.digest);
  });

  it('nor what it writes past nginx, with TLS and without', async () => {
    const proto = ['-H', 'X-Forwarded-Proto: https'];
    const plain = await curl(`http://127.0.0.1:${door.plainPort}/source`, ...forged(), ...proto);
    expect(plain.json).toEqual({ address: CALLER, isSecure: false, certificate: null });
    const direct = await curl(`https://127.0.0.1:${door.port}/source`, ...forged(), ...shown(unknown));
    expect(direct.json.certificate.sha256Thumbprint).toBe(unknown.digest);
  });

  it('two headers are refused by name', async () => {
    const { status, json } = await curl('/twice', ...forged(), ...shown(unknown));
    expect([status, json.error.type]).toEqual([400, 'validation_error']);
    expect(json.error.message).toBe('x-client-cert: must come once: whose certificate it is cannot be told');
  });

  it('what is not in the format that was named is refused by name: nginx’s fingerprint is SHA-1', async () => {
    const { status, json } = await curl('/sha1', ...shown(unknown));
    expect([status, json.error.type]).toEqual([400, 'validation_error']);
    expect(json.error.message).toBe('x-client-cert: must be one certificate in PEM, URL-encoded');
  });
});

/** A certificate that nobody here has the key of. */
const PEM = `-----BEGIN CERTIFICATE-----
MIIBfDCCASOgAwIBAgIUJ4zYGATIk0+aCb6oLCEImEf58ekwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MB4XDTI2MTEyNjE1MDQzMVoXDTI2MTIyNjE1
MDQzMVowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAE9MyPWC73d7uQwZYnhZWwQXHKVaJYisUw5wTZjxSApaYT4FxJ9ObMWJlM
e4aM4zFbZfVDajEfiPYkowJ46ftDZaNTMFEwHQYDVR0OBBYEFGpoD5I4yM1V8bH+
Nv7Nmx8TeyhlMB8GA1UdIwQYMBaAFGpoD5I4yM1V8bH+Nv7Nmx8TeyhlMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgMcxrB/ape2tWm45WyZaXz2W4
cTD/FzQ42ubAzkF+jnQCID/ugjB4o1/+E+uWJrp1L+xbSEEldf6T5oq97Qscq4M+
-----END CERTIFICATE-----
`;
