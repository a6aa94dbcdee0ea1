import { AsnConvert } from '@peculiar/asn1-schema';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';
import { element, sequence } from './der.js';

/** Signs with ECDSA, P-256 and SHA-256; the key stays with whoever made the function. */
export type Sign = (message: Buffer) => Buffer;

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const BIT_STRING = 0x03;
const NO_UNUSED_BITS = Buffer.alloc(1);

export const SIGNATURE_ALGORITHM = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
export const SIGNATURE_ALGORITHM_DER = Buffer.from(AsnConvert.serialize(SIGNATURE_ALGORITHM));

/** `SIGNED{…}`: what was signed, by which algorithm, the signature (RFC 5280 §4.1, §5.1). */
export function signed(toBeSigned: Buffer, sign: Sign): Buffer {
  const signature = element(BIT_STRING, NO_UNUSED_BITS, sign(toBeSigned));
  return sequence(toBeSigned, SIGNATURE_ALGORITHM_DER, signature);
}
