import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CertificateFiles,
  filesOf,
  runProgram,
  selfSigned,
  skippedWithout,
} from '../../testing/programs.js';
import { openTlsDoor, pairOf, type TlsDoor, type ToldSource } from '../../testing/tls-door.js';
import { createTestCa, type TestCa } from '../../testing/tls-upstream.js';

const SKIPPED = skippedWithout('curl', 'openssl');

describe.skipIf(SKIPPED !== '')(`real clients at the TLS listener${SKIPPED}`, () => {
  const dir = mkdtempSync(join(tmpdir(), 'knox-tls-programs-'));
  const caFile = join(dir, 'ca.pem');
  let ca: TestCa;
  let door: TlsDoor;
  let issued: CertificateFiles;
  let expired: CertificateFiles;
  let unknown: CertificateFiles;

  beforeAll(async () => {
    ca = await createTestCa();
    writeFileSync(caFile, ca.caPem);
    door = await openTlsDoor({ certificate: await ca.issue(['localhost']) });
    issued = filesOf(dir, 'issued', await ca.issue(['client']));
    expired = filesOf(dir, 'expired', await ca.issue(['client'], { expired: true }));
    unknown = selfSigned(dir, 'unknown');
  });
  afterAll(async () => {
    await door.close();
    rmSync(dir, { recursive: true });
  });

  const url = () => `https://localhost:${door.port}/source`;
  const shown = ({ cert, key }: CertificateFiles) => ['--cert', cert, '--key', key];
  const curl = (...words: string[]) =>
    runProgram('curl', [
      '-sS',
      '--cacert',
      caFile,
      '--resolve',
      `localhost:${door.port}:127.0.0.1`,
      ...words,
    ]);
  const told = async (...words: string[]) => JSON.parse((await curl(...words, url())).out) as ToldSource;

  it.each([
    ['one that a CA has issued', () => issued],
    ['one that it has signed itself', () => unknown],
    ['one that has expired', () => expired],
  ])('curl shows %s, and its thumbprint is that of OpenSSL', async (_, files) => {
    const { certificate, isSecure } = await told(...shown(files()));
    expect([certificate?.sha256Thumbprint, isSecure]).toEqual([files().digest, true]);
    expect(certificate!.notAfterMs < performance.timeOrigin).toBe(files() === expired);
  });

  it('curl needs none', async () => {
    expect((await told()).certificate).toBeNull();
  });

  it.each(['--tlsv1.2', '--tlsv1.3'])(
    'curl %s is answered in HTTP/1.1, whatever else it offers',
    async (version) => {
      const { out } = await curl(version, '--http2', '-o', join(dir, 'out'), '-w', '%{http_version}', url());
      expect(out).toBe('1.1');
    },
  );

  it('curl on one connection shows the same certificate with each request', async () => {
    const { out } = await curl(...shown(issued), '-w', ' %{num_connects}\n', url(), url());
    const lines = out.trim().split('\n');
    expect(lines.map((line) => line.slice(-1))).toEqual(['1', '0']);
    for (const line of lines) expect(line).toContain(issued.digest);
  });

  it('TLS 1.1 is refused', async () => {
    const { code } = await curl('--tls-max', '1.1', '--ciphers', 'DEFAULT@SECLEVEL=0', url());
    expect(code).toBe(35);
  });

  it('a key that is not the certificate’s proves nothing', async () => {
    const words = ['--cert', issued.cert, '--key', unknown.key];
    expect((await curl(...words, url())).code).not.toBe(0);
  });

  const request = 'GET /source HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  const client = (version: string, ...words: string[]) =>
    runProgram(
      'openssl',
      ['s_client', '-connect', `127.0.0.1:${door.port}`, version, '-ign_eof', ...words],
      request,
    );

  it.each(['-tls1_2', '-tls1_3'])(
    'a session that s_client %s takes up again has its certificate',
    async (version) => {
      const session = join(dir, `session${version}`);
      const first = await client(version, '-cert', issued.cert, '-key', issued.key, '-sess_out', session);
      expect(first.out).toContain(issued.digest);
      expect(first.out).not.toMatch(/^Reused, /m);
      // The certificate is not sent a second time: it stands in the session.
      const second = await client(version, '-sess_in', session);
      expect(second.out).toMatch(/^Reused, /m);
      expect(second.out).toContain(issued.digest);
    },
  );

  it('another certificate is shown after a change, to s_client too', async () => {
    const next = await ca.issue(['localhost']);
    const { digest } = filesOf(dir, 'next', next);
    door.tls.use(pairOf(next));
    const { out } = await client('-tls1_3');
    const leaf = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(out)![0];
    const { out: fingerprint } = await runProgram(
      'openssl',
      ['x509', '-noout', '-fingerprint', '-sha256'],
      leaf,
    );
    expect(fingerprint.replaceAll(':', '').toLowerCase()).toContain(digest);
  });
});
