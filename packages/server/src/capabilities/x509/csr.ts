import { CertificationRequest } from '@peculiar/asn1-csr';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  type Attribute,
  BasicConstraints,
  type Extension,
  Extensions,
  id_ce_basicConstraints,
  id_ce_subjectAltName,
} from '@peculiar/asn1-x509';
import { type CertifiableKey, certifiableKey } from '../../platform/crypto/certificate-signature.js';
import { alternativeNamesIn, type RequestedNames, subjectIn } from './csr-names.js';
import { CsrRefused } from './csr-refused.js';
import { isWholeElement } from './der.js';
import type { DistinguishedName } from './name.js';

/** What a certificate signing request (RFC 2986) asks for, once its own signature was verified. */
export interface CertificateRequest extends RequestedNames {
  /** Of its attributes those that are known; null where it has none. */
  readonly subject: DistinguishedName | null;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Buffer;
}

/** Room for 100 names of full length. */
const CSR_BYTES_MAX = 32 * 1_024;
const PEM =
  /^\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END \1CERTIFICATE REQUEST-----\s*$/;
/** PKCS #9, and what Microsoft's programs write in place of it. */
const EXTENSION_REQUESTS = ['1.2.840.113549.1.9.14', '1.3.6.1.4.1.311.2.1.14'];

/** By the object identifier of the algorithm: which key signs with it, after which hash. */
const SIGNATURES: Readonly<
  Record<string, { readonly kinds: readonly CertifiableKey['kind'][]; readonly hash: Hash }>
> = {
  '1.2.840.113549.1.1.11': { kinds: ['rsa'], hash: 'sha256' },
  '1.2.840.113549.1.1.12': { kinds: ['rsa'], hash: 'sha384' },
  '1.2.840.113549.1.1.13': { kinds: ['rsa'], hash: 'sha512' },
  '1.2.840.10045.4.3.2': { kinds: ['p256', 'p384'], hash: 'sha256' },
  '1.2.840.10045.4.3.3': { kinds: ['p256', 'p384'], hash: 'sha384' },
  '1.2.840.10045.4.3.4': { kinds: ['p256', 'p384'], hash: 'sha512' },
  '1.3.101.112': { kinds: ['ed25519'], hash: null },
};
type Hash = Parameters<CertifiableKey['isSignerOf']>[0];

/** Of DER, or of a PEM text. Throws `CsrRefused`. */
export function readCsr(input: Buffer | string): CertificateRequest {
  const der = typeof input === 'string' ? derOf(input) : input;
  if (der.length > CSR_BYTES_MAX) throw new CsrRefused(`it has more than ${CSR_BYTES_MAX} bytes`);
  const request = parsed(der);
  const info = request.certificationRequestInfo;
  const key = certifiableKey(Buffer.from(AsnConvert.serialize(info.subjectPKInfo)));
  if (typeof key === 'string') throw new CsrRefused(key);
  verify(request, key);
  const extensions = extensionsIn(info.attributes ?? []);
  const names = of(extensions, id_ce_subjectAltName);
  return {
    subject: subjectIn(info.subject),
    publicKey: key.publicKey,
    ...alternativeNamesIn(names ?? null),
  };
}

function derOf(text: string): Buffer {
  // Four characters for three bytes, and line breaks: looked at before the pattern is.
  if (text.length > CSR_BYTES_MAX * 2) throw new CsrRefused(`it has more than ${CSR_BYTES_MAX} bytes`);
  const base64 = PEM.exec(text)?.[2];
  if (base64 === undefined)
    throw new CsrRefused('it is not one PEM block that is labelled CERTIFICATE REQUEST');
  return Buffer.from(base64, 'base64');
}

function parsed(der: Buffer): CertificationRequest {
  if (!isWholeElement(der)) throw new CsrRefused(UNREADABLE);
  try {
    const request = AsnConvert.parse(der, CertificationRequest);
    if (request.certificationRequestInfo.version === 0) return request;
  } catch {
    // Said below: what the parser finds is in terms of its own.
  }
  throw new CsrRefused(UNREADABLE);
}

const UNREADABLE = 'it is no certificate signing request that can be read (RFC 2986)';

function verify(request: CertificationRequest, key: CertifiableKey): void {
  const { signatureAlgorithm, signature, certificationRequestInfoRaw } = request;
  const known = SIGNATURES[signatureAlgorithm.algorithm];
  if (!known) throw new CsrRefused('its signature is of an algorithm that is not taken');
  const message = Buffer.from(certificationRequestInfoRaw!);
  const isItsOwn =
    known.kinds.includes(key.kind) && key.isSignerOf(known.hash, message, Buffer.from(signature));
  if (!isItsOwn) throw new CsrRefused('its signature is not of its own key');
}

function extensionsIn(attributes: readonly Attribute[]): Extension[] {
  const requests = attributes.filter(({ type }) => EXTENSION_REQUESTS.includes(type));
  const [values = [], ...more] = requests.map((request) => request.values);
  if (more.length > 0 || values.length > 1) throw new CsrRefused('it requests extensions more than once');
  if (values.length === 0) return [];
  const extensions = [...read(values[0]!, Extensions)];
  const constraints = of(extensions, id_ce_basicConstraints);
  if (constraints && read(constraints.extnValue.buffer, BasicConstraints).cA)
    throw new CsrRefused('it asks for a certificate of an authority');
  return extensions;
}

function of(extensions: readonly Extension[], id: string): Extension | undefined {
  const [found, ...more] = extensions.filter(({ extnID }) => extnID === id);
  if (more.length > 0) throw new CsrRefused('it requests an extension more than once');
  return found;
}

function read<T>(der: ArrayBuffer, type: new () => T): T {
  try {
    return AsnConvert.parse(der, type);
  } catch {
    throw new CsrRefused('the extensions that it requests cannot be read');
  }
}
