import { wholeSeconds } from '../../kernel/clock.js';
import type { Random } from '../../platform/crypto/random.js';
import {
  type CertificateTerms,
  type DistinguishedName,
  NAME_CHARACTERS_MAX,
  type RevokedEntry,
  type Sign,
  type X509,
} from '../x509/index.js';
import type { Authority, LeafTerms } from './authorities.js';
import type { StoredList } from './store.js';
import { BACKDATED_MS, LIST_LIFE_MS } from './terms.js';

const SERIAL_BYTES = 16;
const DIGEST_DIGITS = 8;

export interface Issued {
  readonly serial: string;
  readonly subject: DistinguishedName;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly der: Buffer;
}

export interface Issuer {
  readonly subject: DistinguishedName;
  readonly publicKey: Buffer;
  readonly notAfterMs: number;
  readonly statusUrls: CertificateTerms['statusUrls'];
}

/** What is certified, when, for how long, and by what it is encoded. */
export interface Request {
  readonly x509: X509;
  readonly random: Random;
  readonly nowMs: number;
  readonly lifeMs: number;
  readonly publicKey: Buffer;
}

export function issueRoot(subject: DistinguishedName, request: Request, sign: Sign): Issued {
  const { publicKey } = request;
  const issuer = { subject, publicKey, notAfterMs: Number.POSITIVE_INFINITY, statusUrls: null };
  return issue({ kind: 'root' }, subject, request, issuer, sign);
}

export function issueIssuing(request: Request, issuer: Issuer, sign: Sign): Issued {
  return issue({ kind: 'issuing' }, issuingName(issuer.subject, request), request, issuer, sign);
}

export function issueLeaf(terms: LeafTerms, request: Request, issuer: Issuer, sign: Sign): Issued {
  const { purposes, dns, ips, uris, subject } = terms;
  return issue({ kind: 'leaf', purposes, names: { dns, ips, uris } }, subject, request, issuer, sign);
}

function issue(
  profile: CertificateTerms['profile'],
  subject: DistinguishedName,
  { x509, random, nowMs, lifeMs, publicKey }: Request,
  issuer: Issuer,
  sign: Sign,
): Issued {
  const serial = random.bytes(SERIAL_BYTES);
  // Positive, and never shorter: so that its hex is the same wherever it is read.
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const notBeforeMs = wholeSeconds(nowMs - BACKDATED_MS);
  // Nothing outlives what signs it (clients-pki.md §3.3).
  const notAfterMs = Math.min(wholeSeconds(nowMs + lifeMs), issuer.notAfterMs);
  const terms = {
    profile,
    serial,
    subject,
    publicKey,
    notBeforeMs,
    notAfterMs,
    issuer: issuer.subject,
    issuerPublicKey: issuer.publicKey,
    statusUrls: issuer.statusUrls,
  };
  return {
    serial: serial.toString('hex'),
    subject,
    notBeforeMs,
    notAfterMs,
    der: x509.certificateDer(terms, sign),
  };
}

/** No two of them have the same name: those who verify look issuers up by it. */
function issuingName(root: DistinguishedName, { x509, publicKey }: Request): DistinguishedName {
  const digest = x509.keyIdOf(publicKey).toString('hex').slice(0, DIGEST_DIGITS);
  const end = ` issuing ${digest}`;
  const [, name = ''] = root.find(([attribute]) => attribute === 'CN') ?? [];
  const begin = [...name].slice(0, NAME_CHARACTERS_MAX - end.length).join('');
  return [...root.filter(([attribute]) => attribute !== 'CN'), ['CN', `${begin}${end}`.trim()]];
}

/** The next list of an authority. */
export function nextList(
  x509: X509,
  authority: Pick<Authority, 'subject' | 'publicKey' | 'revocations'>,
  number: number,
  revoked: readonly RevokedEntry[],
  nowMs: number,
  sign: Sign,
): StoredList {
  const thisUpdateMs = wholeSeconds(nowMs);
  const nextUpdateMs = thisUpdateMs + LIST_LIFE_MS;
  const { subject: issuer, publicKey: issuerPublicKey, revocations } = authority;
  const der = x509.crlDer({ issuer, issuerPublicKey, number, thisUpdateMs, nextUpdateMs, revoked }, sign);
  return { der, number, revocations, thisUpdateMs, nextUpdateMs };
}
