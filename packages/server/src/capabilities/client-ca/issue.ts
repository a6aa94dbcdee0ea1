import { wholeSeconds } from '../../kernel/clock.js';
import { modeOf, type Scope } from '../../kernel/ids.js';
import type { Random } from '../../platform/crypto/random.js';
import {
  type CertificateTerms,
  type DistinguishedName,
  nameFault,
  type RevokedEntry,
  type Sign,
  type X509,
} from '../x509/index.js';
import type { CertifiedClient } from './client-ca.js';
import type { Authority, StoredList } from './store.js';
import { BACKDATED_MS, CLIENT_LIFE_MS, ISSUING_LIFE_MS, LIST_LIFE_MS, ROOT_LIFE_MS } from './terms.js';

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
  readonly statusUrls: CertificateTerms['statusUrls'];
}

/** What is certified, when, and by what it is encoded. */
interface Request {
  readonly x509: X509;
  readonly random: Random;
  readonly nowMs: number;
  readonly publicKey: Buffer;
}

export function issueRoot(scope: Scope, request: Request, sign: Sign): Issued {
  const subject = authorityName(scope, 'Clients root', request);
  const issuer = { subject, publicKey: request.publicKey, statusUrls: null };
  return issue({ kind: 'root' }, subject, ROOT_LIFE_MS, request, issuer, sign);
}

export function issueIssuing(scope: Scope, request: Request, issuer: Issuer, sign: Sign): Issued {
  const subject = authorityName(scope, 'Clients issuing', request);
  return issue({ kind: 'issuing' }, subject, ISSUING_LIFE_MS, request, issuer, sign);
}

export function issueClient(client: CertifiedClient, request: Request, issuer: Issuer, sign: Sign): Issued {
  const subject: DistinguishedName = [['CN', commonNameOf(client)]];
  const uris = [`urn:knoxcall:client:${client.id}`];
  return issue({ kind: 'leaf', purposes: ['client'], uris }, subject, CLIENT_LIFE_MS, request, issuer, sign);
}

function issue(
  profile: CertificateTerms['profile'],
  subject: DistinguishedName,
  lifeMs: number,
  { x509, random, nowMs, publicKey }: Request,
  issuer: Issuer,
  sign: Sign,
): Issued {
  const serial = random.bytes(SERIAL_BYTES);
  // Positive, and never shorter: so that its hex is the same wherever it is read.
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const notBeforeMs = wholeSeconds(nowMs - BACKDATED_MS);
  const notAfterMs = wholeSeconds(nowMs + lifeMs);
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

/** No two authorities have the same name: those who verify look issuers up by it. */
function authorityName(scope: Scope, role: string, { x509, publicKey }: Request): DistinguishedName {
  const digest = x509.keyIdOf(publicKey).toString('hex').slice(0, DIGEST_DIGITS);
  return [
    ['O', `KnoxCall ${scope.tenantId}`],
    ['OU', modeOf(scope)],
    ['CN', `${role} ${digest}`],
  ];
}

/** The name where it can stand there, else the id (clients-pki.md §2.4). */
function commonNameOf({ id, name }: CertifiedClient): string {
  return nameFault('CN', name) === null ? name : id;
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
