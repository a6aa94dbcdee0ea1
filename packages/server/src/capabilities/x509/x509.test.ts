import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { signAsAuthority } from '../../platform/crypto/certificate-signature.js';
import { systemRandom } from '../../platform/crypto/random.js';
import { openPkiTools, type PkiTools, withCerttool, withOpenssl } from '../../testing/pki-tools.js';
import { integer, sequence } from './der.js';
import {
  type CertificateTerms,
  type DistinguishedName,
  loadX509,
  nameText,
  type OcspStatus,
  pem,
  type RevokedEntry,
  type Sign,
} from './index.js';

const { certificateDer, crlDer, isOfIssuer, ocspAnswerDer, readOcspRequest, serialOf } = await loadX509();

const NOW = systemClock.nowMs();
const DAY = 86_400_000;

interface Party {
  readonly name: DistinguishedName;
  readonly publicKey: Buffer;
  readonly sign: Sign;
}

function party(...name: DistinguishedName): Party {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    privateKeyEncoding: { format: 'der', type: 'pkcs8' },
    publicKeyEncoding: { format: 'der', type: 'spki' },
  });
  return { name, publicKey, sign: (message) => signAsAuthority(privateKey, message) };
}

const serial = () => {
  const bytes = systemRandom.bytes(16);
  // As the authorities do: neither negative, nor shorter than it looks.
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes;
};

function certify(issuer: Party, subject: Party, terms: Partial<CertificateTerms>): Buffer {
  return certificateDer(
    {
      profile: {
        kind: 'leaf',
        purposes: ['client'],
        names: { dns: [], ips: [], uris: ['urn:knoxcall:client:1'] },
      },
      serial: serial(),
      subject: subject.name,
      publicKey: subject.publicKey,
      notBeforeMs: NOW - 60_000,
      notAfterMs: NOW + 300 * DAY,
      issuer: issuer.name,
      issuerPublicKey: issuer.publicKey,
      statusUrls: { crl: 'http://ca.example.com/a.crl', ocsp: 'http://ca.example.com/ocsp' },
      ...terms,
    },
    issuer.sign,
  );
}

const listOf = (issuer: Party, revoked: readonly RevokedEntry[] = [], number = 1) =>
  crlDer(
    {
      issuer: issuer.name,
      issuerPublicKey: issuer.publicKey,
      number,
      thisUpdateMs: NOW - 60_000,
      nextUpdateMs: NOW + 7 * DAY,
      revoked,
    },
    issuer.sign,
  );

const root = party(['O', 'Åcme & Söhne'], ['CN', 'Root']);
const issuing = party(['O', 'Åcme & Söhne'], ['CN', 'Issuing']);
const good = party(['CN', 'good "one", #1']);
const bad = party(['CN', '悪い']);
const badSerial = serial();
const rootDer = certify(root, root, {
  profile: { kind: 'root' },
  notAfterMs: NOW + 3_650 * DAY,
  statusUrls: null,
});
const issuingDer = certify(root, issuing, { profile: { kind: 'issuing' }, notAfterMs: NOW + 1_095 * DAY });
const goodDer = certify(issuing, good, {});
const badDer = certify(issuing, bad, { serial: badSerial });

let tools: PkiTools;
beforeAll(() => {
  tools = openPkiTools();
});
afterAll(() => tools.close());

describe('certificates', () => {
  it('are read by another implementation as what they say', () => {
    const certificate = new X509Certificate(goodDer);
    const issuer = new X509Certificate(issuingDer);
    expect(certificate.verify(issuer.publicKey)).toBe(true);
    expect(certificate.checkIssued(issuer)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(issuer.ca).toBe(true);
    expect(certificate.subjectAltName).toBe('URI:urn:knoxcall:client:1');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(certificate.infoAccess).toContain('OCSP - URI:http://ca.example.com/ocsp');
    expect(Date.parse(certificate.validTo)).toBe(Math.floor((NOW + 300 * DAY) / 1_000) * 1_000);
  });

  it('say dates after 2049 in the longer form', () => {
    const late = (notAfterMs: number) =>
      certify(issuing, good, { notAfterMs: notAfterMs }).toString('latin1');
    expect(late(Date.UTC(2049, 11, 31, 23, 59, 59))).toContain('491231235959Z');
    expect(late(Date.UTC(2050, 0, 1))).toContain('\x18\x0f20500101000000Z');
  });

  it('name their subject as RFC 4514 writes it', () => {
    expect(nameText([['O', 'a'], ...good.name])).toBe('CN=good \\"one\\"\\, #1,O=a');
    expect(nameText([['CN', ' #x ']])).toBe('CN=\\ #x\\ ');
  });
});

withOpenssl(() => {
  const revoked: RevokedEntry[] = [{ serial: badSerial, revokedAtMs: NOW, reason: 'key_compromise' }];

  function verify(leaf: Buffer, ...lists: Buffer[]) {
    const file = (name: string, label: 'CERTIFICATE' | 'X509 CRL', ...ders: Buffer[]) =>
      tools.file(name, ders.map((der) => pem(label, der)).join(''));
    return tools.openssl(
      'verify',
      '-x509_strict',
      '-purpose',
      'sslclient',
      ...(lists.length > 0 ? ['-crl_check_all', '-CRLfile', file('lists.pem', 'X509 CRL', ...lists)] : []),
      '-CAfile',
      file('root.pem', 'CERTIFICATE', rootDer),
      '-untrusted',
      file('issuing.pem', 'CERTIFICATE', issuingDer),
      file('leaf.pem', 'CERTIFICATE', leaf),
    );
  }

  it('a chain is strictly valid, with the lists of both of its authorities', async () => {
    expect(await verify(goodDer, listOf(root), listOf(issuing, revoked))).toEqual({
      code: 0,
      text: expect.stringContaining('OK'),
    });
  });

  it('what is revoked is refused, and what has no list', async () => {
    const lists = [listOf(root), listOf(issuing, revoked)];
    expect((await verify(badDer)).code).toBe(0);
    expect((await verify(badDer, ...lists)).text).toContain(
      'error 23 at 0 depth lookup: certificate revoked',
    );
    expect((await verify(goodDer, listOf(issuing))).text).toContain('unable to get certificate CRL');
  });

  it('what has ended, is of another issuer or signed by a leaf is refused', async () => {
    const ended = certify(issuing, good, { notAfterMs: NOW - 1_000 });
    expect((await verify(ended)).text).toContain('certificate has expired');
    const foreign = certify(party(...issuing.name), good, {});
    expect((await verify(foreign)).code).not.toBe(0);
    const byLeaf = certify(good, bad, {});
    expect((await verify(byLeaf)).code).not.toBe(0);
  });

  it('a list of 20,000 is read, with its number and every entry', async () => {
    const entries = Array.from({ length: 20_000 }, (_, index): RevokedEntry => {
      const bytes = serial();
      bytes.writeUInt32BE(index, 12);
      return { serial: bytes, revokedAtMs: NOW, reason: index % 2 ? 'superseded' : 'unspecified' };
    });
    const path = tools.file('large.crl', listOf(issuing, entries, 2 ** 40));
    const ca = tools.file('ca.pem', pem('CERTIFICATE', issuingDer));
    const read = async (...args: string[]) =>
      (await tools.openssl('crl', '-inform', 'DER', '-in', path, ...args)).text;
    const text = await read('-noout', '-text');
    expect(text.match(/Serial Number/g)?.length).toBe(20_000);
    expect(text.match(/Superseded/g)?.length).toBe(10_000);
    expect(await read('-noout', '-crlnumber')).toBe('crlNumber=0x010000000000\n');
    expect(await read('-noout', '-CAfile', ca)).toContain('verify OK');
  });

  it('a list in PEM has the label that it looks for', async () => {
    const path = tools.file('list.pem', pem('X509 CRL', listOf(issuing)));
    expect(await tools.openssl('crl', '-in', path, '-noout', '-crlnumber')).toEqual({
      code: 0,
      text: 'crlNumber=0x01\n',
    });
  });
});

describe('OCSP', () => {
  it('takes no request that is none, asks for nothing or for too much', async () => {
    for (const hex of ['', '30', '3003020101', '300430023000'])
      expect(readOcspRequest(Buffer.from(hex, 'hex'))).toBeNull();
    const hashed = `0414${'00'.repeat(20)}`;
    const id = sequence(
      Buffer.from(`300906052b0e03021a0500${hashed}${hashed}`, 'hex'),
      integer(Buffer.from([1])),
    );
    const request = (count: number) =>
      sequence(sequence(sequence(...Array.from({ length: count }, () => sequence(id)))));
    expect(readOcspRequest(request(20))?.certificates).toHaveLength(20);
    expect(readOcspRequest(request(21))).toBeNull();
  });

  it('takes no request of more than 4 KiB, however little it asks for', () => {
    const hash = `0430${'00'.repeat(48)}`;
    const algorithm = Buffer.from('300d06096086480165030402020500', 'hex');
    const request = (count: number, serialBytes: number) => {
      const hashes = Buffer.from(`${hash}${hash}`, 'hex');
      const serial = integer(Buffer.alloc(serialBytes, 1));
      const id = sequence(algorithm, hashes, serial);
      return sequence(sequence(sequence(...Array.from({ length: count }, () => sequence(id)))));
    };
    expect(readOcspRequest(request(20, 20))?.certificates).toHaveLength(20);
    expect(readOcspRequest(request(1, 4 * 1_024))).toBeNull();
  });

  withOpenssl(() => {
    const pemFile = (name: string, der: Buffer) => tools.file(name, pem('CERTIFICATE', der));
    const status = new Map<string, OcspStatus>([
      [new X509Certificate(goodDer).serialNumber.toLowerCase(), 'good'],
      [badSerial.toString('hex'), { revokedAtMs: NOW - DAY, reason: 'key_compromise' }],
    ]);

    async function ask(leaf: Buffer, more: { signer?: Party; options?: string[] } = {}) {
      const [issuer, cert] = [pemFile('o-issuing.pem', issuingDer), pemFile('o-leaf.pem', leaf)];
      const requestPath = tools.file('request.der', '');
      const { signer = issuing } = more;
      // Its second run would draw another nonce than the first; those are tried over HTTP.
      const options = ['-no_nonce', ...(more.options ?? [])];
      await tools.openssl('ocsp', ...options, '-issuer', issuer, '-cert', cert, '-reqout', requestPath);
      const { certificates, nonce } = readOcspRequest(readFileSync(requestPath))!;
      expect(certificates.every((id) => isOfIssuer(id, issuing))).toBe(true);
      expect(certificates.some((id) => isOfIssuer(id, root))).toBe(false);
      const statuses = certificates.map((id) => [id, status.get(serialOf(id)) ?? 'unknown'] as const);
      const answer = await ocspAnswerDer(
        { issuer: issuing, statuses, nonce, nowMs: NOW, nextUpdateMs: NOW + DAY },
        signer.sign,
      );
      const ca = pemFile('o-root.pem', rootDer);
      const path = tools.file('answer.der', answer);
      return tools.openssl(
        'ocsp',
        ...options,
        '-issuer',
        issuer,
        '-cert',
        cert,
        '-CAfile',
        ca,
        '-respin',
        path,
      );
    }

    it('says what is good, revoked and why, and what was never issued', async () => {
      expect((await ask(goodDer)).text).toMatch(/: good[\s\S]*Response verify OK/);
      expect((await ask(badDer)).text).toMatch(
        /: revoked[\s\S]*Reason: keyCompromise[\s\S]*Response verify OK/,
      );
      expect((await ask(certify(issuing, good, {}))).text).toMatch(/: unknown[\s\S]*Response verify OK/);
    });

    it('is asked by whichever hash the caller likes', async () => {
      for (const hash of ['-sha1', '-sha256', '-sha512']) {
        const { text } = await ask(goodDer, { options: [hash] });
        expect([hash, text]).toEqual([hash, expect.stringMatching(/: good[\s\S]*Response verify OK/)]);
      }
    });

    it('is not believed where another has signed it', async () => {
      expect((await ask(goodDer, { signer: root })).text).toContain('Response Verify Failure');
    });
  });
});

withCerttool(() => {
  it('a chain is valid, and a list is its issuer’s', async () => {
    const chain = [goodDer, issuingDer, rootDer].map((der) => pem('CERTIFICATE', der)).join('');
    const path = tools.file('chain.pem', chain);
    expect((await tools.certtool('--verify-chain', '--infile', path)).text).toContain(
      'Chain verification output: Verified',
    );
    const list = tools.file('issuing.crl', pem('X509 CRL', listOf(issuing)));
    const ca = tools.file('gnutls-ca.pem', pem('CERTIFICATE', issuingDer));
    const verified = await tools.certtool('--verify-crl', '--load-ca-certificate', ca, '--infile', list);
    expect(verified.text).toContain('Verified');
    const foreign = tools.file('foreign.crl', pem('X509 CRL', listOf(root)));
    const refused = await tools.certtool('--verify-crl', '--load-ca-certificate', ca, '--infile', foreign);
    expect(refused.text).not.toContain('output: Verified');
  });
});
