import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { createTestCa, type IssuedCertificate } from '../../testing/tls-upstream.js';
import { type CertificateFormat, readCertificateHeader } from './certificate-header.js';

interface Sample {
  readonly pem: string;
  readonly base64: string;
  /** SHA-256 of its DER. */
  readonly digest: string;
}

function sampleOf(pem: string): Sample {
  const base64 = pem.replaceAll(/-----[^-]+-----|\s/g, '');
  const digest = createHash('sha256').update(Buffer.from(base64, 'base64')).digest('hex');
  return { pem: pem.trim(), base64, digest };
}

let client: Sample;
let issuer: Sample;
let stranger: Sample;

beforeAll(async () => {
  const [ca, other] = await Promise.all([createTestCa(), createTestCa('Other')]);
  const issue = async (from: typeof ca): Promise<IssuedCertificate> => from.issue(['client']);
  client = sampleOf((await issue(ca)).certPem);
  stranger = sampleOf((await issue(other)).certPem);
  issuer = sampleOf(ca.caPem);
});

const url = (text: string) => encodeURIComponent(text);
/** As AWS load balancers write it. */
const amazon = (text: string) =>
  url(text).replaceAll('%2B', '+').replaceAll('%2F', '/').replaceAll('%3D', '=');

describe('a certificate is read', () => {
  const good: [CertificateFormat, string, () => string][] = [
    ['rfc9440', 'as RFC 9440 has it', () => `:${client.base64}:`],
    ['pem-urlencoded', 'of nginx', () => url(`${client.pem}\n`)],
    ['pem-urlencoded', 'of an AWS load balancer', () => amazon(client.pem)],
    ['pem-urlencoded', 'with its issuer behind it', () => amazon(`${client.pem}\n${issuer.pem}`)],
    ['der-base64', 'bare', () => client.base64],
    ['der-base64', 'escaped, of an old Traefik', () => url(client.base64)],
    ['der-base64', 'with its issuer behind it', () => `${client.base64},${issuer.base64}`],
    ['xfcc', 'as Cert', () => `By=spiffe://a/b;Cert="${url(client.pem)}";Subject="CN=\\"a\\", O=b"`],
    ['xfcc', 'as Cert with its Hash', () => `Hash=${client.digest};Cert="${url(client.pem)}"`],
    ['xfcc', 'as Chain', () => `HASH=${client.digest};Chain="${url(`${client.pem}\n${issuer.pem}`)}"`],
    ['xfcc', 'in the last element', () => `Hash=${stranger.digest},By=x;cert="${url(client.pem)}"`],
    ['xfcc', 'in JSON', () => JSON.stringify([{ Hash: stranger.digest }, { cert: url(client.pem) }])],
    ['xfcc', 'in JSON, not escaped', () => JSON.stringify([{ hash: client.digest, cert: client.pem }])],
  ];

  it.each(good)('%s %s', (format, _, value) => {
    const read = readCertificateHeader(format, value());
    expect(read).toEqual({
      sha256Thumbprint: client.digest,
      notBeforeMs: expect.any(Number),
      notAfterMs: expect.any(Number),
    });
    const { notBeforeMs, notAfterMs } = read as { notBeforeMs: number; notAfterMs: number };
    expect((notAfterMs - notBeforeMs) / 86_400_000).toBe(60);
  });

  const digests: [CertificateFormat, string, (hex: string) => string][] = [
    ['sha256-hex', 'of CloudFront', (hex) => hex],
    ['sha256-hex', 'of HAProxy', (hex) => hex.toUpperCase()],
    ['sha256-hex', 'with colons', (hex) => hex.replaceAll(/..(?=.)/g, '$&:')],
    ['xfcc', 'alone', (hex) => `By=spiffe://a/b;Hash=${hex};Subject="CN=a";URI=u;URI=v;DNS=x;DNS=y`],
    ['xfcc', 'in JSON', (hex) => JSON.stringify([{ hash: hex, dns: ['a', 'b'] }])],
  ];

  it.each(digests)('%s: its digest %s, without dates', (format, _, value) => {
    expect(readCertificateHeader(format, value(client.digest))).toEqual({
      sha256Thumbprint: client.digest,
      notBeforeMs: null,
      notAfterMs: null,
    });
  });
});

describe('nothing is read', () => {
  const bad: [CertificateFormat, string, () => string][] = [
    ['rfc9440', 'without colons', () => client.base64],
    ['rfc9440', 'of two', () => `:${client.base64}:, :${stranger.base64}:`],
    ['rfc9440', 'with parameters', () => `:${client.base64}:;a=b`],
    ['rfc9440', 'of no certificate', () => `:${Buffer.from('certificate').toString('base64')}:`],
    ['rfc9440', 'of PEM in base64', () => `:${Buffer.from(client.pem).toString('base64')}:`],
    [
      'rfc9440',
      'with bytes behind it',
      () => `:${Buffer.concat([Buffer.from(client.base64, 'base64'), Buffer.from('x')]).toString('base64')}:`,
    ],
    [
      'rfc9440',
      'of base64url',
      () => `:${client.base64.replaceAll('+', '-').replaceAll('/', '_').replace(/=*$/, '')}*:`,
    ],
    ['rfc9440', 'empty', () => '::'],
    ['pem-urlencoded', 'of bare base64', () => client.base64],
    ['pem-urlencoded', 'of a broken escape', () => `${url(client.pem)}%`],
    ['pem-urlencoded', 'of a key', () => url('-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----')],
    ['pem-urlencoded', 'of two that do not belong together', () => url(`${stranger.pem}\n${client.pem}`)],
    ['pem-urlencoded', 'of eleven', () => url(`${client.pem}\n${`${issuer.pem}\n`.repeat(10)}`)],
    ['der-base64', 'of PEM', () => client.pem.replaceAll('\n', ' ')],
    ['der-base64', 'of two that do not belong together', () => `${stranger.base64},${client.base64}`],
    ['der-base64', 'of a digest', () => client.digest],
    ['sha256-hex', 'of SHA-1', () => client.digest.slice(0, 40)],
    ['sha256-hex', 'of 63 digits', () => client.digest.slice(1)],
    ['sha256-hex', 'of two', () => `${client.digest}, ${client.digest}`],
    ['sha256-hex', 'of a certificate', () => client.base64],
    ['xfcc', 'without any of the three', () => 'By=spiffe://a/b;Subject="CN=a"'],
    ['xfcc', 'where the Hash is of another', () => `Hash=${stranger.digest};Cert="${url(client.pem)}"`],
    ['xfcc', 'where the last element has none', () => `Hash=${client.digest},By=x`],
    ['xfcc', 'of a key that stands twice', () => `Hash=${client.digest};Hash=${stranger.digest}`],
    [
      'xfcc',
      'of a quote that an earlier hop left open',
      () => `By=",By=x;Hash=${client.digest};Subject="CN=a"`,
    ],
    ['xfcc', 'of a quote without an end', () => `Hash=${client.digest};Subject="CN=a`],
    ['xfcc', 'of text without a key', () => client.digest],
    ['xfcc', 'of an empty JSON list', () => '[]'],
    ['xfcc', 'of JSON that is none', () => '[{'],
    ['xfcc', 'of a JSON list of texts', () => JSON.stringify([`Hash=${client.digest}`])],
    [
      'xfcc',
      'of a JSON key that stands twice',
      () => `[{"hash":"${client.digest}","Hash":"${stranger.digest}"}]`,
    ],
  ];

  it.each(bad)('%s %s', (format, _, value) => {
    const read = readCertificateHeader(format, value());
    expect(read).toEqual({ rule: expect.stringMatching(/^must be /) });
  });
});
