import { factsOfDer, factsOfPem } from '../crypto/certificates.js';
import type { PresentedCertificate } from './request-source.js';

/** How a TLS-terminating proxy hands on the certificate of its client (clients-pki.md §2.4, §8.3). */
export const CERTIFICATE_FORMATS = ['xfcc', 'rfc9440', 'pem-urlencoded', 'der-base64', 'sha256-hex'] as const;
export type CertificateFormat = (typeof CERTIFICATE_FORMATS)[number];

interface Format {
  /** For the refusal of what is none. */
  readonly rule: string;
  read(value: string): PresentedCertificate | null;
}

const FORMATS: Record<CertificateFormat, Format> = {
  xfcc: { rule: 'must be elements of Envoy, of which the last has a Cert, Chain or Hash', read: readXfcc },
  rfc9440: { rule: 'must be :<base64 of one certificate in DER>: (RFC 9440)', read: readRfc9440 },
  'pem-urlencoded': { rule: 'must be one certificate in PEM, URL-encoded', read: readEncodedPem },
  'der-base64': { rule: 'must be the base64 of one certificate in DER', read: readBase64 },
  'sha256-hex': { rule: 'must be the SHA-256 of one certificate, 64 hex digits', read: readDigest },
};

/** Strict: a text that can be read in two ways proves nothing. A chain may follow where the format has room for it. */
export function readCertificateHeader(
  format: CertificateFormat,
  value: string,
): PresentedCertificate | { readonly rule: string } {
  const { read, rule } = FORMATS[format];
  return read(value) ?? { rule };
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function derOf(text: string): Buffer | null {
  return text !== '' && BASE64.test(text) ? Buffer.from(text, 'base64') : null;
}

function readRfc9440(value: string): PresentedCertificate | null {
  const der = derOf(/^:(.+):$/.exec(value)?.[1] ?? '');
  return der && factsOfDer([der]);
}

/** Traefik escapes it in old versions, and puts the chain behind it with commas. */
function readBase64(value: string): PresentedCertificate | null {
  const ders = unescaped(value)?.split(',').map(derOf) ?? [];
  return ders.length > 0 && ders.every((der) => der !== null) ? factsOfDer(ders) : null;
}

function readEncodedPem(value: string): PresentedCertificate | null {
  const pem = unescaped(value);
  return pem === null ? null : factsOfPem(pem);
}

function readDigest(value: string): PresentedCertificate | null {
  const hex = value.replaceAll(':', '').toLowerCase();
  return /^[0-9a-f]{64}$/.test(hex) ? { sha256Thumbprint: hex, notBeforeMs: null, notAfterMs: null } : null;
}

/** A plus stays one: it is base64's. */
function unescaped(value: string): string | null {
  try {
    return decodeURIComponent(value);
  } catch {
    return null;
  }
}

/** By lower-case key. */
type XfccElement = ReadonlyMap<string, string>;

/** The last element is that of the hop which is trusted; those before it came to that hop from elsewhere. */
function readXfcc(value: string): PresentedCertificate | null {
  const element = value.startsWith('[') ? lastOfJson(value) : lastOfText(value);
  if (!element) return null;
  const hash = element.get('hash');
  const pem = element.get('cert') ?? element.get('chain');
  const digest = hash === undefined ? null : readDigest(hash);
  if (pem === undefined) return digest;
  const facts = readEncodedPem(pem);
  return hash === undefined || digest?.sha256Thumbprint === facts?.sha256Thumbprint ? facts : null;
}

/** From envoyproxy/envoy#43855 on: an array of objects with the same keys. */
function lastOfJson(value: string): XfccElement | null {
  try {
    const list: unknown = JSON.parse(value);
    const last: unknown = Array.isArray(list) ? list.at(-1) : null;
    if (typeof last !== 'object' || last === null) return null;
    const members = Object.entries(last).flatMap(([key, text]): [string, string][] =>
      typeof text === 'string' ? [[key.toLowerCase(), text]] : [],
    );
    return elementOf(members);
  } catch {
    return null;
  }
}

/** `Key=value` or `Key="value"`, the value's quotes escaped by a backslash. */
const XFCC_PAIR = /([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;=]*))(;|,|$)/y;

/** Read from the front to the end, so that a quote which an earlier hop left open spoils the whole. */
function lastOfText(value: string): XfccElement | null {
  let pairs: [string, string][] = [];
  XFCC_PAIR.lastIndex = 0;
  for (;;) {
    const [whole, key = '', quoted, plain = '', end] = XFCC_PAIR.exec(value) ?? [];
    if (whole === undefined) return null;
    pairs.push([key.toLowerCase(), quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1')]);
    if (end === '') return elementOf(pairs);
    if (end === ',') pairs = [];
  }
}

/** A key of which we read the value stands once; names of the subject may come several times. */
function elementOf(pairs: readonly [string, string][]): XfccElement | null {
  const element = new Map(pairs);
  const isOnce = (key: string) => pairs.filter(([other]) => other === key).length < 2;
  return ['hash', 'cert', 'chain'].every(isOnce) ? element : null;
}
