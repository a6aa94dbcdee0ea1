import {
  BasicOCSPResponse,
  type CertID,
  CertStatus,
  id_pkix_ocsp_basic,
  id_pkix_ocsp_nonce,
  KeyHash,
  OCSPRequest,
  OCSPResponse,
  OCSPResponseStatus,
  ResponderID,
  ResponseBytes,
  ResponseData,
  RevokedInfo,
  SingleResponse,
} from '@peculiar/asn1-ocsp';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { CRLReason, type Extension } from '@peculiar/asn1-x509';
import type { Promisable } from '../../kernel/promisable.js';
import { hashBy } from '../../platform/crypto/hashing.js';
import { dateOf } from './der.js';
import { keyBitsOf } from './key-id.js';
import type { DistinguishedName } from './name.js';
import { nameDer } from './name-der.js';
import { CRL_REASONS, type CrlReason } from './reasons.js';
import { signatureAlgorithmOf } from './signer.js';

const HASHES: Readonly<Record<string, 'sha1' | 'sha256' | 'sha384' | 'sha512'>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
/** Anybody may ask, and each of them costs its part of a millisecond. */
const CERTIFICATES_MAX = 20;
/** Room for so many by SHA-384 with a nonce. Looked at before anything is parsed, which takes most of the time. */
const REQUEST_BYTES_MAX = 4 * 1_024;
/** RFC 9654 §2.1: 1 to 128 bytes. */
const NONCE_BYTES_MAX = 128;

/** What somebody asks: of certificates of one issuer or several. */
export interface OcspQuestion {
  readonly certificates: readonly CertID[];
  readonly nonce: Extension | null;
}

export interface OcspIssuer {
  readonly name: DistinguishedName;
  readonly publicKey: Buffer;
}

export type OcspStatus =
  | 'good'
  /** Never issued. */
  | 'unknown'
  | { readonly revokedAtMs: number; readonly reason: CrlReason };

/** Null where it is no request, or asks for too much. */
export function readOcspRequest(der: Buffer): OcspQuestion | null {
  if (der.length > REQUEST_BYTES_MAX) return null;
  let request: OCSPRequest;
  try {
    request = AsnConvert.parse(der, OCSPRequest);
  } catch {
    return null;
  }
  const { requestList, requestExtensions = [] } = request.tbsRequest;
  if (requestList.length === 0 || requestList.length > CERTIFICATES_MAX) return null;
  const nonce = [...requestExtensions].find(({ extnID }) => extnID === id_pkix_ocsp_nonce) ?? null;
  if (nonce && !isNonce(nonce)) return null;
  return { certificates: requestList.map(({ reqCert }) => reqCert), nonce };
}

/** Content is an OCTET STRING in the extension's own. */
function isNonce({ extnValue }: Extension): boolean {
  try {
    const { byteLength } = AsnConvert.parse(extnValue.buffer, OctetString);
    return byteLength >= 1 && byteLength <= NONCE_BYTES_MAX;
  } catch {
    return false;
  }
}

/** Whether the question is about a certificate of that issuer (RFC 6960 §4.1.1). */
export function isOfIssuer(id: CertID, { name, publicKey }: OcspIssuer): boolean {
  const algorithm = HASHES[id.hashAlgorithm.algorithm];
  if (!algorithm) return false;
  const isHashOf = (hashed: OctetString, data: Buffer) =>
    hashBy(algorithm, data).equals(Buffer.from(hashed.buffer));
  return isHashOf(id.issuerNameHash, nameDer(name)) && isHashOf(id.issuerKeyHash, keyBitsOf(publicKey));
}

/** Lower-case hex, without the byte that only says that the number is not negative. */
export function serialOf({ serialNumber }: CertID): string {
  const bytes = Buffer.from(serialNumber);
  return (bytes.length > 1 && bytes[0] === 0 ? bytes.subarray(1) : bytes).toString('hex');
}

export interface OcspAnswer {
  readonly issuer: OcspIssuer;
  readonly statuses: readonly (readonly [CertID, OcspStatus])[];
  readonly nonce: Extension | null;
  readonly nowMs: number;
  readonly nextUpdateMs: number;
}

/** Signed by the issuer itself (RFC 6960 §4.2.2.2), so that it needs no certificate of its own. */
export async function ocspAnswerDer(
  answer: OcspAnswer,
  sign: (message: Buffer) => Promisable<Buffer>,
): Promise<Buffer> {
  const { issuer, statuses, nonce, nowMs, nextUpdateMs } = answer;
  const data = new ResponseData({
    responderID: new ResponderID({ byKey: new KeyHash(hashBy('sha1', keyBitsOf(issuer.publicKey))) }),
    producedAt: dateOf(nowMs),
    responses: statuses.map(
      ([certID, status]) =>
        new SingleResponse({
          certID,
          certStatus: certStatusOf(status),
          thisUpdate: dateOf(nowMs),
          nextUpdate: dateOf(nextUpdateMs),
        }),
    ),
    ...(nonce && { responseExtensions: [nonce] }),
  });
  const signature = await sign(Buffer.from(AsnConvert.serialize(data)));
  const basic = new BasicOCSPResponse({
    tbsResponseData: data,
    signatureAlgorithm: signatureAlgorithmOf(issuer.publicKey),
    signature: Uint8Array.from(signature).buffer,
  });
  const responseBytes = new ResponseBytes({
    responseType: id_pkix_ocsp_basic,
    response: new OctetString(AsnConvert.serialize(basic)),
  });
  return serialized(new OCSPResponse({ responseStatus: OCSPResponseStatus.successful, responseBytes }));
}

export type OcspRefusal = 'malformedRequest' | 'tryLater' | 'unauthorized';

export function ocspRefusalDer(refusal: OcspRefusal): Buffer {
  return serialized(new OCSPResponse({ responseStatus: OCSPResponseStatus[refusal] }));
}

function certStatusOf(status: OcspStatus): CertStatus {
  if (status === 'good') return new CertStatus({ good: null });
  if (status === 'unknown') return new CertStatus({ unknown: null });
  const { reason, revokedAtMs } = status;
  const revoked = new RevokedInfo({
    revocationTime: dateOf(revokedAtMs),
    ...(reason !== 'unspecified' && { revocationReason: new CRLReason(CRL_REASONS[reason]) }),
  });
  return new CertStatus({ revoked });
}

function serialized(value: object): Buffer {
  return Buffer.from(AsnConvert.serialize(value));
}
