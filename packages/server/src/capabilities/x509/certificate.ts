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
import { SIGNATURE_ALGORITHM, type Sign, signed } from './signer.js';

/** clients-pki.md §3.5. */
export type CertificateProfile =
  | { readonly kind: 'root' }
  | { readonly kind: 'issuing' }
  | {
      readonly kind: 'leaf';
      readonly purposes: readonly KeyPurpose[];
      /** Its alternative names, at least one. */
      readonly uris: readonly string[];
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
    signature: SIGNATURE_ALGORITHM,
    issuer: AsnConvert.parse(nameDer(terms.issuer), Name),
    validity: new Validity({
      notBefore: dateOf(terms.notBeforeMs),
      notAfter: dateOf(terms.notAfterMs),
    }),
    subject: AsnConvert.parse(nameDer(terms.subject), Name),
    subjectPublicKeyInfo: AsnConvert.parse(terms.publicKey, SubjectPublicKeyInfo),
    extensions: new Extensions(extensionsOf(terms)),
  });
  return signed(Buffer.from(AsnConvert.serialize(toBeSigned)), sign);
}

function extensionsOf({ profile, publicKey, issuerPublicKey, statusUrls }: CertificateTerms): Extension[] {
  const own = subjectKeyId(keyIdOf(publicKey));
  if (profile.kind === 'root') return [...authorityExtensions(1), own];
  return [
    ...(profile.kind === 'issuing' ? authorityExtensions(0) : leafExtensions(profile.purposes, profile.uris)),
    own,
    authorityKeyId(keyIdOf(issuerPublicKey)),
    ...(statusUrls ? statusExtensions(statusUrls) : []),
  ];
}

function arrayBufferOf(bytes: Buffer): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
