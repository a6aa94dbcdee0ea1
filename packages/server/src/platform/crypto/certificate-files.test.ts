import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { Secret } from '../../kernel/secret.js';
import { programPath, skippedWithout } from '../../testing/programs.js';
import { type CertificateFormat, createCertificateFiles, type FileRefusal } from './certificate-files.js';

const PASS = 'p-ass word';
const files = createCertificateFiles({ clock: systemClock, certificatesMax: 5 });

interface Sent {
  readonly privateKey?: string;
  readonly passphrase?: string;
}

const read = (content: string, format: CertificateFormat = 'pem', { privateKey, passphrase }: Sent = {}) =>
  files.read(
    {
      content: new Secret(content),
      format,
      privateKey: privateKey === undefined ? null : new Secret(privateKey),
      passphrase: passphrase === undefined ? null : new Secret(passphrase),
    },
    'owner',
  );

const withOpenssl = programPath('openssl') ? describe : describe.skip;
withOpenssl(`files that OpenSSL writes${skippedWithout('openssl')}`, () => {
  let dir: string;
  const at = (name: string) => join(dir, name);
  const openssl = (...words: string[]) =>
    execFileSync(programPath('openssl')!, words, { cwd: dir, stdio: 'pipe' });
  const pem = (name: string) => readFileSync(at(name), 'utf8');
  const base64 = (name: string) => readFileSync(at(name)).toString('base64');

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'knox-files-'));
    const keyOf = { ec: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], rsa: ['rsa:2048'], ed: ['ed25519'] };
    openssl(
      'req',
      '-x509',
      '-newkey',
      ...keyOf.ec,
      '-nodes',
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-subj',
      '/CN=Test CA/O=Ex',
      '-days',
      '30',
    );
    for (const [name, kind] of Object.entries(keyOf)) {
      openssl(
        'req',
        '-newkey',
        ...kind,
        '-nodes',
        '-keyout',
        `${name}.key`,
        '-out',
        `${name}.csr`,
        '-subj',
        `/CN=${name}`,
      );
      openssl(
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-CA',
        'ca.pem',
        '-CAkey',
        'ca.key',
        '-out',
        `${name}.pem`,
        '-days',
        '10',
      );
    }
    openssl('x509', '-in', 'ec.pem', '-outform', 'DER', '-out', 'ec.der');
    openssl('pkcs8', '-topk8', '-in', 'ec.key', '-out', 'ec.enc', '-passout', `pass:${PASS}`);
    openssl(
      'rsa',
      '-traditional',
      '-aes256',
      '-in',
      'rsa.key',
      '-out',
      'rsa.old',
      '-passout',
      `pass:${PASS}`,
    );
    openssl('pkcs8', '-topk8', '-nocrypt', '-in', 'ec.key', '-outform', 'DER', '-out', 'ec.p8');
    openssl('crl2pkcs7', '-nocrl', '-certfile', 'ca.pem', '-certfile', 'rsa.pem', '-out', 'rsa.p7');
    openssl('crl2pkcs7', '-nocrl', '-certfile', 'rsa.pem', '-outform', 'DER', '-out', 'rsa.p7b');
    const pfx = (name: string, out: string, ...more: string[]) =>
      openssl(
        'pkcs12',
        '-export',
        '-inkey',
        `${name}.key`,
        '-in',
        `${name}.pem`,
        '-certfile',
        'ca.pem',
        '-out',
        out,
        '-passout',
        `pass:${PASS}`,
        ...more,
      );
    for (const name of ['ec', 'rsa', 'ed']) pfx(name, `${name}.p12`);
    pfx('rsa', 'legacy.p12', '-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1');
    openssl('pkcs12', '-export', '-nokeys', '-in', 'ca.pem', '-out', 'trust.p12', '-passout', 'pass:');
    writeFileSync(at('mixed.pem'), `${pem('ca.pem')}${pem('rsa.pem')}${pem('rsa.key')}`);
  }, 60_000);
  afterAll(() => rmSync(dir, { recursive: true }));

  async function found(...call: Parameters<typeof read>) {
    const answer = await read(...call);
    if ('refused' in answer) throw new Error(JSON.stringify(answer.refused));
    const [first] = answer.certificates;
    const key = answer.key?.reveal();
    if (key && first) expect(new X509Certificate(first).checkPrivateKey(createPrivateKey(key))).toBe(true);
    return {
      subjects: answer.certificates.map((der) => new X509Certificate(der).subject),
      bytes: answer.certificates,
      hasKey: key !== undefined,
      leaf: answer.leaf,
    };
  }
  const derOf = (name: string) => new X509Certificate(pem(name)).raw;

  it('PEM: the certificate of the key first, whatever the order', async () => {
    const all = await found(pem('mixed.pem'));
    expect(all).toMatchObject({ subjects: ['CN=rsa', 'CN=Test CA\nO=Ex'], hasKey: true });
    expect(all.leaf).toMatchObject({ subject: 'CN=rsa', issuer: 'CN=Test CA, O=Ex' });
    expect(all.leaf!.notAfterMs).toBe(Date.parse(new X509Certificate(pem('rsa.pem')).validTo));
    const apart = await found(`${pem('ca.pem')}${pem('ec.pem')}`, 'crt', { privateKey: pem('ec.key') });
    expect(apart.subjects).toEqual(['CN=ec', 'CN=Test CA\nO=Ex']);
    expect((await found(`${pem('ca.pem')}${pem('ec.pem')}`)).subjects[0]).toBe('CN=ec');
  });

  it('DER in base64, with keys in every form', async () => {
    expect((await found(base64('ec.der'), 'cer')).bytes).toEqual([derOf('ec.pem')]);
    const forms: [string, string?][] = [[pem('ec.key')], [pem('ec.enc'), PASS], [base64('ec.p8')]];
    for (const [privateKey, passphrase] of forms)
      expect(
        await found(base64('ec.der'), 'cer', { privateKey, ...(passphrase && { passphrase }) }),
      ).toMatchObject({
        hasKey: true,
      });
    const old = { privateKey: pem('rsa.old'), passphrase: PASS };
    expect(await found(pem('rsa.pem'), 'pem', old)).toMatchObject({ hasKey: true });
  });

  it('a key alone', async () => {
    expect(await found(pem('ed.key'), 'key')).toMatchObject({ subjects: [], hasKey: true, leaf: null });
    expect(await found(pem('ec.enc'), 'key', { passphrase: PASS })).toMatchObject({ hasKey: true });
  });

  it.each(['ec', 'rsa', 'ed', 'legacy'])('PKCS #12: %s, to the byte', async (name) => {
    const all = await found(base64(`${name}.p12`), 'p12', { passphrase: PASS });
    const leaf = name === 'legacy' ? 'rsa' : name;
    expect(all.bytes).toEqual([derOf(`${leaf}.pem`), derOf('ca.pem')]);
    expect(all.hasKey).toBe(true);
  });

  it('PKCS #12 without a key or a passphrase', async () => {
    expect(await found(base64('trust.p12'), 'pfx', { passphrase: '' })).toMatchObject({ hasKey: false });
  });

  it.each<[string, CertificateFormat]>([
    ['rsa.p7', 'p7b'],
    ['rsa.p7', 'pem'],
  ])('PKCS #7 of %s as %s', async (name, format) => {
    const all = await found(pem(name), format, { privateKey: pem('rsa.key') });
    expect(all.bytes).toEqual([derOf('rsa.pem'), derOf('ca.pem')]);
  });

  it('PKCS #7 in DER', async () => {
    expect((await found(base64('rsa.p7b'), 'pkcs7')).bytes).toEqual([derOf('rsa.pem')]);
  });

  const refusals: [string, FileRefusal['field'], () => Parameters<typeof read>][] = [
    ['a wrong passphrase of a file', 'passphrase', () => [base64('ec.p12'), 'p12', { passphrase: 'x' }]],
    ['no passphrase of a file', 'passphrase', () => [base64('ec.p12'), 'p12']],
    [
      'a wrong passphrase of a key',
      'passphrase',
      () => [pem('ec.pem'), 'pem', { privateKey: pem('ec.enc'), passphrase: 'x' }],
    ],
    ['no passphrase of a key', 'passphrase', () => [pem('ec.pem'), 'pem', { privateKey: pem('ec.enc') }]],
    [
      'the key of another certificate',
      'content',
      () => [pem('ec.pem'), 'pem', { privateKey: pem('rsa.key') }],
    ],
    ['two keys', 'content', () => [pem('rsa.key') + pem('ec.key') + pem('ec.pem'), 'pem']],
    [
      'a key beside that of the file',
      'privateKey',
      () => [pem('mixed.pem'), 'pem', { privateKey: pem('rsa.key') }],
    ],
    ['a key alone as a certificate', 'content', () => [pem('rsa.key'), 'pem']],
    ['a request', 'content', () => [pem('rsa.csr'), 'pem']],
    ['no key', 'content', () => ['bm90IGEga2V5', 'key']],
    ['no PEM', 'content', () => ['not a certificate', 'pem']],
    ['no certificate', 'content', () => ['bm90IGEgY2VydGlmaWNhdGU=', 'cer']],
    ['no PKCS #12', 'content', () => [base64('ec.der'), 'p12']],
    ['no PKCS #7', 'content', () => [base64('ec.der'), 'p7b']],
    ['a key that is none', 'privateKey', () => [pem('ec.pem'), 'pem', { privateKey: 'x' }]],
    ['more certificates than are read', 'content', () => [pem('ca.pem').repeat(6), 'pem']],
  ];
  it.each(refusals)('refuses %s', async (_what, field, call) => {
    const answer = await read(...call());
    expect(answer).toMatchObject({ refused: { field } });
    expect(JSON.stringify(answer)).not.toContain(PASS);
  });
});

it('refuses what is not done in time', async () => {
  const clock = {
    ...systemClock,
    setTimer: (_ms: number, callback: () => void) => systemClock.setTimer(0, callback),
  };
  const impatient = createCertificateFiles({ clock, certificatesMax: 5 });
  const file = { content: new Secret('x'), format: 'pem', privateKey: null, passphrase: null } as const;
  expect(await impatient.read(file, 'owner')).toMatchObject({ refused: { field: 'content' } });
});
