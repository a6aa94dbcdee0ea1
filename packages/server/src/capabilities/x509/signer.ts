import { AsnConvert } from '@peculiar/asn1-schema';
import { AlgorithmIdentifier, SubjectPublicKeyInfo } from '@peculiar/asn1-x509';
import { assert } from '../../kernel/assert.js';
import { element, sequence } from './der.js';

/** Signs with the key of an authority, by the algorithm that goes with it; the key stays with whoever made the function. */
export type Sign = (message: Buffer) => Buffer;

const BIT_STRING = 0x03;
const NO_UNUSED_BITS = Buffer.alloc(1);
/** RFC 4055 §5: of RSA the parameters are NULL; RFC 5758 §3.2: of ECDSA there are none. */
const NULL = Uint8Array.of(0x05, 0x00).buffer;

const RSA = '1.2.840.113549.1.1.1';
const SHA256_WITH_RSA = new AlgorithmIdentifier({ algorithm: '1.2.840.113549.1.1.11', parameters: NULL });
/** By the DER of the curve's object identifier: P-256, P-384. */
const ECDSA: Readonly<Record<string, AlgorithmIdentifier>> = {
  '06082a8648ce3d030107': new AlgorithmIdentifier({ algorithm: '1.2.840.10045.4.3.2' }),
  '06052b81040022': new AlgorithmIdentifier({ algorithm: '1.2.840.10045.4.3.3' }),
};

/** By which algorithm the authority of that key signs (clients-pki.md §3.5, §3.6). */
export function signatureAlgorithmOf(publicKey: Buffer): AlgorithmIdentifier {
  const { algorithm, parameters } = AsnConvert.parse(publicKey, SubjectPublicKeyInfo).algorithm;
  if (algorithm === RSA) return SHA256_WITH_RSA;
  const found = parameters && ECDSA[Buffer.from(parameters).toString('hex')];
  assert(found, 'a key that no authority has');
  return found;
}

export function signatureAlgorithmDer(publicKey: Buffer): Buffer {
  return Buffer.from(AsnConvert.serialize(signatureAlgorithmOf(publicKey)));
}

/** `SIGNED{…}`: what was signed, by which algorithm, the signature (RFC 5280 §4.1, §5.1). */
export function signed(toBeSigned: Buffer, algorithmDer: Buffer, sign: Sign): Buffer {
  return sequence(toBeSigned, algorithmDer, element(BIT_STRING, NO_UNUSED_BITS, sign(toBeSigned)));
}
