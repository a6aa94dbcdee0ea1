import { X509Certificate } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock } from '../../testing/manual-clock.js';
import { createTestCa, type IssuedCertificate, type TestCa } from '../../testing/tls-upstream.js';
import { createLogger } from '../log/logger.js';
import { readTlsPair, readTlsPairSync, type TlsPair } from './tls-pair.js';
import { startTlsReload } from './tls-reload.js';

let dir: string;
let ca: TestCa;
let first: IssuedCertificate;
let second: IssuedCertificate;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'knox-tls-'));
  ca = await createTestCa();
  [first, second] = await Promise.all([ca.issue(['a']), ca.issue(['b'])]);
});

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  rmSync(dir, { recursive: true });
});

const filesIn = (folder: string) => ({
  certFile: join(folder, 'cert.pem'),
  keyFile: join(folder, 'key.pem'),
});
function write({ certPem, keyPem }: { certPem?: string; keyPem?: string }, folder = dir): void {
  if (certPem !== undefined) writeFileSync(join(folder, 'cert.pem'), certPem);
  if (keyPem !== undefined) writeFileSync(join(folder, 'key.pem'), keyPem);
}

async function start() {
  const files = filesIn(dir);
  write(first);
  const clock = createManualClock();
  const used: TlsPair[] = [];
  const lines: string[] = [];
  const logger = createLogger('info', { write: (line) => lines.push(line) });
  const pair = await readTlsPair(files);
  const reload = startTlsReload({ files, pair, clock, logger, use: (next) => used.push(next) });
  stops.push(reload.stop);
  return {
    reload,
    used: () => used.map(({ certPem }) => certPem),
    told: () => lines.map((line) => JSON.parse(line)),
    /** The next look at the files is over when another one is due. */
    async look() {
      clock.advance(2_000);
      await expect.poll(() => clock.timers()).toBe(1);
    },
  };
}

describe('changed files', () => {
  it('are taken into use without a word, once', async () => {
    const { look, used, told } = await start();
    await look();
    write(second);
    await look();
    await look();
    expect(used()).toEqual([second.certPem]);
    const sha256 = new X509Certificate(second.certPem).fingerprint256.replaceAll(':', '').toLowerCase();
    expect(told()).toEqual([
      expect.objectContaining({ sha256, level: 'info', not_after: expect.any(String) }),
    ]);
  });

  it('are followed through a link that is turned, as of a mounted secret', async () => {
    const { look, used } = await start();
    const next = mkdtempSync(join(dir, 'next'));
    write(second, next);
    for (const name of ['cert.pem', 'key.pem']) {
      symlinkSync(join(next, name), join(dir, `.${name}`));
      renameSync(join(dir, `.${name}`), join(dir, name));
    }
    await look();
    expect(used()).toEqual([second.certPem]);
  });

  it('of which one is not there yet are waited for', async () => {
    const { look, used, told } = await start();
    write({ certPem: second.certPem });
    await look();
    expect([used(), told()]).toEqual([[], []]);
    write({ keyPem: second.keyPem });
    await look();
    expect(used()).toEqual([second.certPem]);
    expect(told().filter(({ level }) => level !== 'info')).toEqual([]);
  });

  it('that do not belong together are complained of once, until they change', async () => {
    const { look, used, told } = await start();
    write({ certPem: second.certPem });
    for (let i = 0; i < 4; i++) await look();
    expect(told()).toEqual([
      expect.objectContaining({
        level: 'error',
        rule: expect.stringContaining('is not the key of the certificate'),
      }),
    ]);
    expect(JSON.stringify(told())).not.toContain('BEGIN');
    rmSync(join(dir, 'key.pem'));
    for (let i = 0; i < 3; i++) await look();
    expect(told()[1].rule).toContain('(ENOENT)');
    write(second);
    await look();
    expect([used(), told().length]).toEqual([[second.certPem], 3]);
  });
});

describe('a reload that is asked for', () => {
  it('says what came of it at once, of the same files too', async () => {
    const { reload, used, told } = await start();
    await reload.reload();
    write({ certPem: 'nothing' });
    await reload.reload();
    await reload.reload();
    expect(used()).toEqual([first.certPem]);
    expect(told().map(({ level }) => level)).toEqual(['info', 'error', 'error']);
  });
});

describe('a pair of files', () => {
  it('may have the chain behind its certificate', async () => {
    write({ ...first, certPem: `${first.certPem}\n${ca.caPem}` });
    expect(readTlsPairSync(filesIn(dir)).facts).toEqual((await readTlsPair(filesIn(dir))).facts);
  });

  it.each([
    ['no certificate', () => ({ certPem: 'x' }), 'cert.pem holds no PEM certificate'],
    [
      'a key beside the certificate',
      () => ({ certPem: first.certPem + first.keyPem }),
      'or more than certificates',
    ],
    [
      'a certificate that is none',
      () => ({ certPem: first.certPem.replaceAll(/[a-z]/g, 'A') }),
      'no PEM certificate',
    ],
    ['no key', () => ({ keyPem: first.certPem }), 'key.pem holds no private key in PEM'],
    ['the key of another', () => ({ keyPem: second.keyPem }), 'key.pem is not the key of'],
    ['too much', () => ({ certPem: ' '.repeat(2 ** 20 + 1) }), 'cert.pem is larger than 1 MiB'],
    ['a key with a passphrase', () => ({ keyPem: ENCRYPTED }), 'key.pem is a key with a passphrase'],
  ])('with %s is refused by name', async (_, change, message) => {
    write({ ...first, ...change() });
    await expect(readTlsPair(filesIn(dir))).rejects.toThrow(message);
    expect(() => readTlsPairSync(filesIn(dir))).toThrow(message);
  });
});

/** Of nobody: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:x */
const ENCRYPTED = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhVIdxcw/II1AICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEHxDCLCvTUbGYwD96Rv9FcwEgZCZ
RDc0vhWFtPCBPJah/yzjFoBUmA94E0/AYUpO/ef3ZSUuS2Wm1t2ywvsSRC27Uu9j
VulQciEtv94JXFLbibA830J1BW85aKrIbIiCx8X7/T6BeIoXg0WQnqYjVAa1z0GB
RyuvZWmtj/2oh5mcMtm8JBPSeJqkygSNv8HIDrEWNVYSZ4yyoRuITvNxM8CYbc8=
-----END ENCRYPTED PRIVATE KEY-----
`;
