import { AsnConvert } from '@peculiar/asn1-schema';
import {
  type Extension,
  Extensions,
  Name,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import { dateOf } from './der.js';
import {
  type AlternativeNames,
  authorityExtensions,
  authorityKeyId,
  type KeyPurpose,
  leafExtensions,
  type StatusUrls,
  statusExtensions,
  subjectKeyId,
} from './extensions.js';
import { keyIdOf } from './key-id.js';
import type { DistinguishedName } from './name.js';
import { nameDer } from './name-der.js';
import { type Sign, signatureAlgorithmDer, signatureAlgorithmOf, signed } from './signer.js';

/** clients-pki.md §3.5. */
export type CertificateProfile =
  | { readonly kind: 'root' }
  | { readonly kind: 'issuing' }
  | {
      readonly kind: 'leaf';
      readonly purposes: readonly KeyPurpose[];
      readonly names: AlternativeNames;
    };

export interface CertificateTerms {
  readonly profile: CertificateProfile;
  readonly serial: Buffer;
  readonly subject: DistinguishedName;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Of a root its own. */
  readonly issuer: DistinguishedName;
  readonly issuerPublicKey: Buffer;
  /** Those of the issuer; null: it has none that others could reach. */
  readonly statusUrls: StatusUrls | null;
}

/** A certificate (RFC 5280 §4.1) in DER. Times are cut to whole seconds. */
export function certificateDer(terms: CertificateTerms, sign: Sign): Buffer {
  const toBeSigned = new TBSCertificate({
    version: Version.v3,
    serialNumber: arrayBufferOf(terms.serial),
    signature: signatureAlgorithmOf(terms.issuerPublicKey),
    issuer: AsnConvert.parse(nameDer(terms.issuer), Name),
    validity: new Validity({
      notBefore: dateOf(terms.notBeforeMs),
      notAfter: dateOf(terms.notAfterMs),
    }),
    subject: AsnConvert.parse(nameDer(terms.subject), Name),
    subjectPublicKeyInfo: AsnConvert.parse(terms.publicKey, SubjectPublicKeyInfo),
    extensions: new Extensions(extensionsOf(terms)),
  });
  const algorithmDer = signatureAlgorithmDer(terms.issuerPublicKey);
  return signed(Buffer.from(AsnConvert.serialize(toBeSigned)), algorithmDer, sign);
}

function extensionsOf(terms: CertificateTerms): Extension[] {
  const { profile, subject, publicKey, issuerPublicKey, statusUrls } = terms;
  const own = subjectKeyId(keyIdOf(publicKey));
  if (profile.kind === 'root') return [...authorityExtensions(1), own];
  return [
    ...(profile.kind === 'issuing'
      ? authorityExtensions(0)
      : leafExtensions(profile.purposes, profile.names, subject.length === 0)),
    own,
    authorityKeyId(keyIdOf(issuerPublicKey)),
    ...(statusUrls ? statusExtensions(statusUrls) : []),
  ];
}

function arrayBufferOf(bytes: Buffer): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
