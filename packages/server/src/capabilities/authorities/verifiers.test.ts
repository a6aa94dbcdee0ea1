import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { newKeyPair } from '../../platform/crypto/key-pairs.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { openPkiTools, type PkiTools, withCerttool, withOpenssl } from '../../testing/pki-tools.js';
import { KEY_ALGORITHMS, type KeyAlgorithm, pem } from '../x509/index.js';
import type { Authority, LeafTerms, PreparedCertificate } from './index.js';

const DAY = 86_400_000;
const LIST = /-----BEGIN X509 CRL-----[\s\S]*?-----END X509 CRL-----\n/g;
const TRY_LATER = Buffer.from('30030a0103', 'hex');
const SIGNATURES: Readonly<Record<KeyAlgorithm, string>> = {
  'ecdsa-p256': 'ecdsa-with-SHA256',
  'ecdsa-p384': 'ecdsa-with-SHA384',
  'rsa-2048': 'sha256WithRSAEncryption',
  'rsa-3072': 'sha256WithRSAEncryption',
  'rsa-4096': 'sha256WithRSAEncryption',
};

let harness: Harness;
let tools: PkiTools;
let live: Scope;
beforeAll(async () => {
  // The programs that judge what is signed have no clock but the real one.
  harness = await createHarness({ startMs: Date.now() - 2_000 });
  live = { tenantId: harness.tenant.id, sandbox: false };
  tools = openPkiTools();
});
afterAll(async () => {
  tools.close();
  await harness.close();
});

describe.each(KEY_ALGORITHMS)('what a root with a key of %s has signed', (keyAlgorithm) => {
  let root: Authority;
  let good: PreparedCertificate;
  let bad: PreparedCertificate;
  let nameless: PreparedCertificate;
  let lists: string[];
  const at = (name: string) => `${keyAlgorithm}-${name}`;
  const file = (name: string, text: string | Buffer) => tools.file(at(name), text);
  const certificateFile = (name: string, der: Buffer) => file(name, pem('CERTIFICATE', der));

  beforeAll(async () => {
    const { authorities, db } = harness;
    const made = await authorities.prepareRoot(live, {
      name: keyAlgorithm,
      subject: [
        ['C', 'AT'],
        ['ST', 'Wien'],
        ['L', 'Wien'],
        ['O', 'Åcme & Söhne'],
        ['CN', `Root ${keyAlgorithm}`],
      ],
      keyAlgorithm,
      lives: { rootMs: 3_650 * DAY, issuingMs: 30 * DAY, issuingLeftMinMs: 10 * DAY },
    });
    await db.transaction((tx) => made.record(tx));
    root = made.root;
    const { publicKey } = await newKeyPair('ecdsa-p256', 'test');
    const issue = async (terms: Partial<LeafTerms>) => {
      const leaf = await authorities.prepareCertificate(live, root.id, {
        subject: [['CN', 'a.example.com']],
        publicKey,
        purposes: ['server', 'client'],
        dns: ['a.example.com', '*.b.example.com'],
        ips: ['192.0.2.1', '2001:DB8:0::1'],
        uris: [],
        lifeMs: 90 * DAY,
        ...terms,
      });
      await db.transaction((tx) => leaf.record(tx));
      return leaf;
    };
    [good, bad, nameless] = [await issue({}), await issue({}), await issue({ subject: [] })];
    await db.transaction((tx) =>
      authorities.revoke(tx, live, { serials: [bad.serial], reason: 'affiliation_changed' }),
    );
    lists = (await authorities.listsPem(live, root.id)).match(LIST)!;
    file('root.pem', await authorities.rootsPem(live, root.id));
    file('lists.pem', lists.join(''));
    certificateFile('issuing.pem', made.issuing.certificate);
  });

  withOpenssl(() => {
    const path = (name: string) => tools.path(at(name));
    const verify = async (leaf: PreparedCertificate, ...more: string[]) => {
      const answer = await tools.openssl(
        'verify',
        ...['-x509_strict', '-crl_check_all', '-CRLfile', path('lists.pem'), '-CAfile', path('root.pem')],
        ...['-untrusted', path('issuing.pem'), ...more, certificateFile('leaf.pem', leaf.der)],
      );
      return answer.text;
    };

    it('is strictly valid with the lists of both authorities, for its names and no others', async () => {
      for (const leaf of [good, nameless]) {
        for (const purpose of ['sslserver', 'sslclient'])
          expect(await verify(leaf, '-purpose', purpose)).toContain('leaf.pem: OK');
        for (const name of ['a.example.com', 'x.b.example.com'])
          expect(await verify(leaf, '-verify_hostname', name)).toContain('leaf.pem: OK');
        for (const ip of ['192.0.2.1', '2001:db8::1'])
          expect(await verify(leaf, '-verify_ip', ip)).toContain('leaf.pem: OK');
      }
      expect(await verify(good, '-verify_hostname', 'b.example.com')).toContain('hostname mismatch');
      expect(await verify(bad)).toContain('error 23 at 0 depth lookup: certificate revoked');
      // Whatever it was asked for: its issuing authority ends in 30 days.
      const late = String(Math.floor(Date.now() / 1_000) + 31 * 86_400);
      expect(await verify(good, '-attime', late)).toContain('has expired');
    });

    it('says how it is signed, whose it is, and that its names are critical where it has no subject', async () => {
      const textOf = async (leaf: PreparedCertificate) =>
        (await tools.openssl('x509', '-noout', '-text', '-in', certificateFile('shown.pem', leaf.der))).text;
      const text = await textOf(good);
      expect(text.match(/Signature Algorithm: (\S+)/g)).toEqual(
        Array.from({ length: 2 }, () => `Signature Algorithm: ${SIGNATURES[keyAlgorithm]}`),
      );
      expect(text).toContain('X509v3 Subject Alternative Name: \n');
      expect(await textOf(nameless)).toContain('X509v3 Subject Alternative Name: critical');
      expect(text).not.toContain('X509v3 Basic Constraints');
      const names = await tools.openssl('asn1parse', '-in', path('root.pem'));
      expect(names.text).toMatch(/countryName\n.*PRINTABLESTRING\s+:AT/);
      expect(names.text).toMatch(/stateOrProvinceName\n.*UTF8STRING\s+:Wien/);
    });

    it('is told by lists that are their issuers’', async () => {
      expect(lists).toHaveLength(2);
      const [ofIssuing, ofRoot] = lists.map((list, index) => file(`list-${index}.pem`, list));
      const check = async (list: string, ca: string) =>
        (await tools.openssl('crl', '-in', list, '-noout', '-text', '-CAfile', path(ca))).text;
      const text = await check(ofIssuing!, 'issuing.pem');
      expect(text).toContain('verify OK');
      expect(text).toContain('Affiliation Changed');
      expect(text).toContain(bad.serial.toUpperCase());
      expect(text).toContain(`Signature Algorithm: ${SIGNATURES[keyAlgorithm]}`);
      expect(await check(ofRoot!, 'root.pem')).toContain('verify OK');
      expect(await check(ofRoot!, 'issuing.pem')).not.toContain('verify OK');
    });

    it('is told by OCSP, of certificates and of the issuing authority', async () => {
      const ask = async (issuer: string, leaf: Buffer, authority: Authority) => {
        const cert = certificateFile('asked.pem', leaf);
        const options = ['-issuer', path(issuer), '-cert', cert];
        await tools.openssl('ocsp', '-no_nonce', ...options, '-reqout', file('request.der', ''));
        const question = tools.read(at('request.der'));
        const { der } = await harness.authorities.ocsp(live.tenantId, root.id, authority.keyId, question);
        const answer = ['-no_nonce', '-CAfile', path('root.pem'), '-respin', file('answer.der', der)];
        return (await tools.openssl('ocsp', ...options, ...answer)).text;
      };
      const { issuing } = good;
      expect(await ask('issuing.pem', good.der, issuing)).toMatch(/: good[\s\S]*Response verify OK/);
      expect(await ask('issuing.pem', bad.der, issuing)).toMatch(
        /: revoked[\s\S]*affiliationChanged[\s\S]*Response verify OK/,
      );
      expect(await ask('root.pem', issuing.certificate, root)).toMatch(/: good[\s\S]*Response verify OK/);
    });
  });

  withCerttool(() => {
    it('is a chain that GnuTLS takes', async () => {
      const chain = [good.der, good.issuing.certificate, root.certificate];
      const path = file('chain.pem', chain.map((der) => pem('CERTIFICATE', der)).join(''));
      expect((await tools.certtool('--verify-chain', '--infile', path)).text).toContain(
        'Chain verification output: Verified',
      );
    });
  });
});

withOpenssl(() => {
  async function askerOf(scope: Scope, name: string, keyAlgorithm: KeyAlgorithm) {
    const { authorities, db } = harness;
    const made = await authorities.prepareRoot(scope, {
      name,
      subject: [['CN', name]],
      keyAlgorithm,
      lives: { rootMs: 365 * DAY, issuingMs: 30 * DAY, issuingLeftMinMs: 10 * DAY },
    });
    await db.transaction((tx) => made.record(tx));
    const { root, issuing } = made;
    const file = (end: string, text: string) => tools.file(`${name}${end}`, text);
    const issuer = file('-root.pem', pem('CERTIFICATE', root.certificate));
    const cert = file('-issuing.pem', pem('CERTIFICATE', issuing.certificate));
    await tools.openssl('ocsp', ...['-issuer', issuer, '-cert', cert, '-reqout', file('.der', '')]);
    const question = tools.read(`${name}.der`);
    return async () => {
      const { der, isCacheable } = await authorities.ocsp(scope.tenantId, root.id, root.keyId, question);
      expect(isCacheable).toBe(false);
      return der.equals(TRY_LATER) ? 'later' : 'answered';
    };
  }

  it('a crowd that asks a tenant by OCSP is turned away, and holds up neither who comes after it nor other tenants', async () => {
    const ask = await askerOf(live, 'asked', 'rsa-3072');
    const askOther = await askerOf({ tenantId: harness.other.id, sandbox: false }, 'not-asked', 'ecdsa-p256');
    const answers = Array.from({ length: LIMITS.ocspWaitingPerTenantMax * 4 }, ask);
    let answered = 0;
    for (const each of answers) void each.then((answer) => (answered += Number(answer === 'answered')));
    while (answered === 0) await new Promise(setImmediate);
    expect(await askOther()).toBe('answered');
    expect(answered).toBeLessThan(LIMITS.ocspWaitingPerTenantMax / 2);
    const crowd = await Promise.all(answers);
    expect(answered).toBeGreaterThan(LIMITS.ocspWaitingPerTenantMax);
    expect(crowd).toContain('later');
    expect(await ask()).toBe('answered');
  });
});
