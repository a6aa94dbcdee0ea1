import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPkiTools, type PkiTools, withOpenssl } from '../../testing/pki-tools.js';
import { element, integer, integerOf, sequence } from './der.js';
import { CsrRefused, type DistinguishedName, loadX509, pem } from './index.js';
import { nameDer } from './name-der.js';

const { readCsr } = await loadX509();

const SET = 0x31;
const OCTETS = 0x04;
const BITS = 0x03;
const ATTRIBUTES = 0xa0;
const oid = (hex: string) => element(0x06, Buffer.from(hex, 'hex'));
const EXTENSION_REQUEST = oid('2a864886f70d01090e');
const ALTERNATIVE_NAMES = oid('551d11');
const BASIC_CONSTRAINTS = oid('551d13');
const SIGNED_BY = {
  ecdsa: sequence(oid('2a8648ce3d040302')),
  rsa: sequence(oid('2a864886f70d01010b'), Buffer.from('0500', 'hex')),
  sha1: sequence(oid('2a864886f70d010105'), Buffer.from('0500', 'hex')),
  ed25519: sequence(oid('2b6570')),
};

const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const dns = (name: string | Buffer) => element(0x82, Buffer.from(name));
const ip = (...bytes: number[]) => element(0x87, Buffer.from(bytes));
const extension = (id: Buffer, value: Buffer) => sequence(id, element(OCTETS, value));
const alternatives = (...names: Buffer[]) => extension(ALTERNATIVE_NAMES, sequence(...names));
const requesting = (...extensions: Buffer[]) =>
  sequence(EXTENSION_REQUEST, element(SET, sequence(...extensions)));
const commonName = (value: Buffer) => sequence(element(SET, sequence(oid('550403'), value)));

interface Terms {
  readonly version?: number;
  readonly subject?: Buffer;
  readonly publicKey?: Buffer;
  readonly attributes?: readonly Buffer[];
  readonly algorithm?: Buffer;
  readonly signer?: KeyObject;
  readonly hash?: string | null;
}

function csr(terms: Terms = {}): Buffer {
  const { version = 0, subject = nameDer([['CN', 'a.example.com']]), attributes = [] } = terms;
  const publicKey = terms.publicKey ?? spki(ec.publicKey);
  const { signer = ec.privateKey, hash = 'sha256', algorithm = SIGNED_BY.ecdsa } = terms;
  const info = sequence(integerOf(version), subject, publicKey, element(ATTRIBUTES, ...attributes));
  return sequence(info, algorithm, element(BITS, Buffer.alloc(1), sign(hash, info, signer)));
}
const spki = (key: KeyObject) => key.export({ format: 'der', type: 'spki' });
const named = (...names: Buffer[]) => csr({ attributes: [requesting(alternatives(...names))] });

/** The reason, in words. */
function refused(request: Buffer | string): string {
  try {
    readCsr(request);
  } catch (error) {
    if (error instanceof CsrRefused) return error.reason;
    throw error;
  }
  return 'taken';
}

describe('a signing request', () => {
  it('says who asks for which names', () => {
    const subject: DistinguishedName = [
      ['C', 'AT'],
      ['ST', 'Wien'],
      ['L', 'Wien'],
      ['O', 'Åcme'],
      ['OU', 'IT'],
      ['CN', 'a.example.com'],
    ];
    const uri = element(0x86, Buffer.from('urn:a'));
    const names = [
      dns('A.example.com'),
      dns('*.b.example'),
      ip(192, 0, 2, 1),
      ip(...Buffer.alloc(15), 1),
      uri,
    ];
    const request = csr({ subject: nameDer(subject), attributes: [requesting(alternatives(...names))] });
    const expected = {
      subject,
      publicKey: spki(ec.publicKey),
      dns: ['A.example.com', '*.b.example'],
      ips: ['192.0.2.1', '::1'],
      others: ['uri:urn:a'],
    };
    expect(readCsr(request)).toEqual(expected);
    const text = pem('CERTIFICATE', request).replaceAll('CERTIFICATE', 'CERTIFICATE REQUEST');
    expect(readCsr(text)).toEqual(expected);
    expect(readCsr(`\r\n${text.replaceAll('CERTIFICATE', 'NEW CERTIFICATE')}\n`)).toEqual(expected);
  });

  it('may ask for nothing but its key', () => {
    const none = { subject: null, publicKey: spki(ec.publicKey), dns: [], ips: [], others: [] };
    expect(readCsr(csr({ subject: sequence() }))).toEqual(none);
    // An e-mail address in the subject is none of the attributes that are certified.
    const email = sequence(
      element(SET, sequence(oid('2a864886f70d010901'), element(0x16, Buffer.from('a@b.c')))),
    );
    expect(readCsr(csr({ subject: email }))).toEqual(none);
  });

  it('is signed by its own key', () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    expect(refused(csr({ signer: other.privateKey }))).toBe('its signature is not of its own key');
    expect(refused(csr({ algorithm: SIGNED_BY.rsa }))).toBe('its signature is not of its own key');
    expect(refused(csr({ algorithm: SIGNED_BY.ed25519 }))).toBe('its signature is not of its own key');
    expect(refused(csr({ hash: 'sha384' }))).toBe('its signature is not of its own key');
    const changed = named(dns('a.example.com'));
    changed[changed.indexOf('a.example.com')] = 0x62;
    expect(refused(changed)).toBe('its signature is not of its own key');
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const by = { publicKey: spki(rsa.publicKey), signer: rsa.privateKey };
    expect(refused(csr({ ...by, algorithm: SIGNED_BY.rsa }))).toBe('taken');
    expect(refused(csr({ ...by, algorithm: SIGNED_BY.sha1, hash: 'sha1' }))).toBe(
      'its signature is of an algorithm that is not taken',
    );
  });

  it('has a key that is strong enough, of a kind that is known', () => {
    const ofKey = (publicKey: Buffer) => refused(csr({ publicKey }));
    const rsa = (modulusLength: number, publicExponent = 0x10001) =>
      ofKey(spki(generateKeyPairSync('rsa', { modulusLength, publicExponent }).publicKey));
    expect(rsa(1_024)).toBe('its RSA key has 1024 bits: 2048 to 4096 are taken');
    expect(rsa(2_048, 3)).toBe('the exponent of its RSA key is not 65537');
    const jwk = { kty: 'RSA', n: Buffer.alloc(2_048, 0xff).toString('base64url'), e: 'AQAB' };
    expect(ofKey(spki(createPublicKey({ key: jwk, format: 'jwk' })))).toContain('has 16384 bits');
    for (const namedCurve of ['secp256k1', 'secp521r1', 'prime192v1']) {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve });
      expect(ofKey(spki(publicKey))).toBe('its curve is neither P-256 nor P-384');
    }
    const explicit = generateKeyPairSync('ec', { namedCurve: 'prime256v1', paramEncoding: 'explicit' });
    expect(ofKey(spki(explicit.publicKey))).toBe('its curve is not named, or its point is compressed');
    for (const { publicKey } of [
      generateKeyPairSync('rsa-pss', { modulusLength: 2_048 }),
      generateKeyPairSync('ed448'),
      generateKeyPairSync('x25519'),
    ])
      expect(ofKey(spki(publicKey))).toBe('its key is neither RSA, ECDSA nor Ed25519');
    const off = Buffer.from(spki(ec.publicKey));
    off.fill(0xff, off.length - 32);
    expect(ofKey(off)).toBe('its public key cannot be read');
  });

  it('can be read, to its end', () => {
    const unreadable = 'it is no certificate signing request that can be read (RFC 2986)';
    const request = csr();
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from('30', 'hex'),
      Buffer.from('3080', 'hex'),
      Buffer.from('3000', 'hex'),
      Buffer.from('30850000000000', 'hex'),
      Buffer.from('not a request'),
      randomBytes(1_000),
      request.subarray(0, -1),
      Buffer.concat([request, Buffer.alloc(1)]),
      sequence(request),
      csr({ version: 1 }),
      // As deep as there is room for.
      Array.from({ length: 8_000 }).reduce<Buffer>(
        (inner) => (inner.length < 32_000 ? sequence(inner) : inner),
        Buffer.alloc(0),
      ),
    ])
      expect([bytes.subarray(0, 20).toString('hex'), refused(bytes)]).toEqual([
        expect.any(String),
        unreadable,
      ]);
    for (let at = 0; at < request.length; at += 1) {
      const changed = Buffer.from(request);
      changed[at]! ^= 0x41;
      expect([at, refused(changed)]).not.toEqual([at, 'taken']);
    }
  });

  it('is one PEM block of its label', () => {
    const label = 'it is not one PEM block that is labelled CERTIFICATE REQUEST';
    const text = pem('CERTIFICATE', csr());
    const request = text.replaceAll('CERTIFICATE', 'CERTIFICATE REQUEST');
    for (const other of [
      '',
      text,
      request + request,
      `${request}x`,
      request.replace('MI', '*I'),
      request.slice(5),
    ])
      expect([other, refused(other)]).toEqual([other, label]);
  });

  it('has an end: bytes, names, attributes', () => {
    expect(refused(Buffer.alloc(32 * 1_024 + 1))).toBe('it has more than 32768 bytes');
    expect(refused('x'.repeat(64 * 1_024 + 1))).toBe('it has more than 32768 bytes');
    const names = (count: number) => named(...Array.from({ length: count }, (_, n) => dns(`a${n}.example`)));
    expect(readCsr(names(100)).dns).toHaveLength(100);
    expect(refused(names(101))).toBe('it has more than 100 alternative names');
    const many = nameDer(Array.from({ length: 21 }, () => ['OU', 'x'] as const));
    expect(refused(csr({ subject: many }))).toBe('its subject has more than 20 attributes');
  });

  it('asks for extensions once, and not to be an authority', () => {
    const one = requesting(alternatives(dns('a.example')));
    const twice = 'it requests extensions more than once';
    expect(refused(csr({ attributes: [one, requesting(alternatives(dns('b.example')))] }))).toBe(twice);
    const microsofts = sequence(oid('2b0601040182370201 0e'.replace(' ', '')), element(SET, sequence()));
    expect(refused(csr({ attributes: [one, microsofts] }))).toBe(twice);
    const two = element(SET, sequence(), sequence());
    expect(refused(csr({ attributes: [sequence(EXTENSION_REQUEST, two)] }))).toBe(twice);
    const names = alternatives(dns('a.example'));
    expect(refused(csr({ attributes: [requesting(names, names)] }))).toBe(
      'it requests an extension more than once',
    );
    const authority = extension(BASIC_CONSTRAINTS, sequence(Buffer.from('0101ff', 'hex')));
    expect(refused(csr({ attributes: [requesting(authority)] }))).toBe(
      'it asks for a certificate of an authority',
    );
    expect(refused(csr({ attributes: [requesting(extension(BASIC_CONSTRAINTS, sequence()))] }))).toBe(
      'taken',
    );
    const garbage = element(SET, integer(Buffer.from([1])));
    expect(refused(csr({ attributes: [sequence(EXTENSION_REQUEST, garbage)] }))).toContain('cannot be read');
    expect(
      refused(csr({ attributes: [requesting(extension(ALTERNATIVE_NAMES, Buffer.from('05', 'hex')))] })),
    ).toBe('its alternative names cannot be read');
  });

  it('has no name that others would read as another', () => {
    for (const name of [
      '',
      'a.example\0.evil.example',
      'a example',
      'a\n.example',
      'ä.example',
      '\u202e.example',
      'x'.repeat(1_025),
    ])
      expect([name, refused(named(dns(name)))]).toEqual([name, expect.stringContaining('DNS name of it is')]);
    expect(refused(named(element(0x81, Buffer.from('a@b\0c'))))).toContain('alternative name of it is');
    for (const bytes of [[], [1, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8], Array.from({ length: 32 }, () => 0)])
      expect(refused(named(ip(...bytes)))).not.toBe('taken');
    for (const text of ['', 'a\0b', 'a\nb', 'x'.repeat(65)])
      expect([text, refused(csr({ subject: commonName(element(0x0c, Buffer.from(text))) }))]).toEqual([
        text,
        expect.stringContaining('CN of its subject'),
      ]);
    const twice = Buffer.concat(
      [nameDer([['CN', 'a']]), nameDer([['CN', 'b']])].map((name) => name.subarray(2)),
    );
    expect(refused(csr({ subject: sequence(twice) }))).toBe('its subject has more than one CN');
    const country = sequence(element(SET, sequence(oid('550406'), element(0x13, Buffer.from('AUT')))));
    expect(refused(csr({ subject: country }))).toBe('C of its subject must be a country of two letters');
  });
});

withOpenssl(() => {
  let tools: PkiTools;
  beforeAll(() => {
    tools = openPkiTools();
  });
  afterAll(() => tools.close());

  it.each([
    ['rsa:2048'],
    ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384'],
    ['ed25519'],
  ])('a request for a key of %s %s %s is read as what it says', async (kind, ...more) => {
    const names = 'subjectAltName=DNS:a.example.com,IP:2001:db8::1,URI:urn:x,email:a@b.c';
    const path = tools.file('request.pem', '');
    const written = ['-keyout', tools.file('key.pem', ''), '-nodes', '-out', path];
    const subject = [
      '-subj',
      '/C=AT/O=Acme/CN=a.example.com',
      '-addext',
      names,
      '-addext',
      'keyUsage=digitalSignature',
    ];
    const { code, text } = await tools.openssl(
      'req',
      '-new',
      '-newkey',
      kind,
      ...more,
      ...written,
      ...subject,
    );
    expect([code, text]).toEqual([0, expect.any(String)]);
    expect(readCsr(tools.read('request.pem').toString())).toEqual({
      subject: [
        ['C', 'AT'],
        ['O', 'Acme'],
        ['CN', 'a.example.com'],
      ],
      publicKey: expect.any(Buffer),
      dns: ['a.example.com'],
      ips: ['2001:db8::1'],
      others: ['uri:urn:x', 'email:a@b.c'],
    });
  });
});
