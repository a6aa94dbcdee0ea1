import { AsnConvert } from '@peculiar/asn1-schema';
import { element, integer, integerOf, sequence, time } from './der.js';
import { authorityKeyId } from './extensions.js';
import { keyIdOf } from './key-id.js';
import type { DistinguishedName } from './name.js';
import { nameDer } from './name-der.js';
import { CRL_REASONS, type CrlReason } from './reasons.js';
import { type Sign, signatureAlgorithmDer, signed } from './signer.js';

export interface RevokedEntry {
  readonly serial: Buffer;
  readonly revokedAtMs: number;
  readonly reason: CrlReason;
}

export interface CrlTerms {
  readonly issuer: DistinguishedName;
  readonly issuerPublicKey: Buffer;
  readonly number: number;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly revoked: readonly RevokedEntry[];
}

const VERSION_2 = integerOf(1);
const EXTENSIONS = 0xa0;
const OCTET_STRING = 0x04;
const ENUMERATED = 0x0a;
/** 2.5.29.20 and 2.5.29.21 (RFC 5280 §5.2.3, §5.3.1). */
const CRL_NUMBER = Buffer.from('0603551d14', 'hex');
const REASON_CODE = Buffer.from('0603551d15', 'hex');

/**
 * A certificate revocation list (RFC 5280 §5.1) in DER. The entries are written here: 20,000 of them as objects of a library
 * take seconds (docs/decisions/0075).
 */
export function crlDer(terms: CrlTerms, sign: Sign): Buffer {
  const { issuer, issuerPublicKey, number, thisUpdateMs, nextUpdateMs, revoked } = terms;
  const extensions = sequence(
    Buffer.from(AsnConvert.serialize(authorityKeyId(keyIdOf(issuerPublicKey)))),
    sequence(CRL_NUMBER, element(OCTET_STRING, integerOf(number))),
  );
  const algorithmDer = signatureAlgorithmDer(issuerPublicKey);
  const toBeSigned = sequence(
    VERSION_2,
    algorithmDer,
    nameDer(issuer),
    time(thisUpdateMs),
    time(nextUpdateMs),
    // An empty list is left out (§5.1.2.6).
    ...(revoked.length === 0 ? [] : [sequence(...revoked.map(entryDer))]),
    element(EXTENSIONS, extensions),
  );
  return signed(toBeSigned, algorithmDer, sign);
}

function entryDer({ serial, revokedAtMs, reason }: RevokedEntry): Buffer {
  const extensions = REASON_EXTENSIONS[reason];
  return sequence(integer(serial), time(revokedAtMs), ...(extensions ? [extensions] : []));
}

/** Absent where nothing is known, as §5.3.1 advises. */
const REASON_EXTENSIONS = Object.fromEntries(
  Object.entries(CRL_REASONS).map(([reason, code]) => {
    const value = element(OCTET_STRING, element(ENUMERATED, Buffer.from([code])));
    return [reason, code === CRL_REASONS.unspecified ? null : sequence(sequence(REASON_CODE, value))];
  }),
) as Readonly<Record<CrlReason, Buffer | null>>;
