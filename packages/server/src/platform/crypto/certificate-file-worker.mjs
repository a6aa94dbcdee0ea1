import { createPrivateKey, X509Certificate } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';

/** What a file is refused for, in words of its own fields: nothing of what is in it is told. */
class Refused extends Error {
  constructor(field, rule) {
    super(rule);
    this.field = field;
  }
}

const FILE = 'content';
const KEY = 'privateKey';
const PASSPHRASE = 'passphrase';

const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----[\s\S]*?-----END \1-----/g;
/** A name that is longer is cut: it is for people. */
const NAME_CHARACTERS_MAX = 1_000;
const SIGNED_DATA = '1.2.840.113549.1.7.2';

/** Loaded for the files that Node does not read: it takes longer than all the rest. */
const forge = needsForge(workerData) ? await loadForge() : null;

function needsForge({ format, content }) {
  return ['pfx', 'p12', 'pkcs7', 'p7b', 'p7c'].includes(format) || content.includes('BEGIN PKCS7');
}

async function loadForge() {
  const { default: loaded } = await import('node-forge');
  // It knows RSA alone: what it cannot read it gives as it stands, which is what is wanted of all.
  loaded.pki.certificateFromAsn1 = unread;
  loaded.pki.privateKeyFromAsn1 = unread;
  return loaded;
}

function unread() {
  throw new Error('left as it is');
}

function answerOf(input) {
  try {
    return { read: read(input) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { refused: { field: error.field, rule: error.message } };
  }
}

function read({ content, format, privateKey, passphrase, certificatesMax }) {
  const found = contentsOf(content, format, passphrase, certificatesMax);
  if (privateKey !== null) {
    if (found.keys.length > 0)
      throw new Refused(KEY, 'must not be sent with a file that holds a private key');
    found.keys.push(keyOfText(privateKey, KEY, passphrase));
  }
  if (found.keys.length > 1) throw new Refused(FILE, 'must hold one private key');
  const [key] = found.keys;
  if (found.certificates.length === 0 && format !== 'key') throw new Refused(FILE, 'holds no certificate');
  if (found.certificates.length > certificatesMax)
    throw new Refused(FILE, `must hold at most ${certificatesMax} certificates`);
  const certificates = inOrder(found.certificates.map(certificateOf), key);
  return {
    certificates: certificates.map(({ raw }) => raw),
    leaf: certificates.length === 0 ? null : factsOf(certificates[0]),
    key: key === undefined ? null : key.export({ type: 'pkcs8', format: 'pem' }),
  };
}

function contentsOf(content, format, passphrase, certificatesMax) {
  const blocks = [...content.matchAll(BLOCK)].map(([text, label]) => ({ text, label }));
  const isBinary = blocks.length === 0;
  switch (format) {
    case 'pfx':
    case 'p12':
      return ofPkcs12(binaryOf(content), passphrase);
    case 'pkcs7':
    case 'p7b':
    case 'p7c':
      return { certificates: ofPkcs7(isBinary ? binaryOf(content) : derOf(blocks[0].text)), keys: [] };
    case 'key':
      return { certificates: [], keys: [keyOfText(content, FILE, passphrase)] };
    default:
      if (isBinary) return { certificates: [binaryOf(content)], keys: [] };
      return ofBlocks(blocks, passphrase, certificatesMax);
  }
}

function ofBlocks(blocks, passphrase, certificatesMax) {
  const certificates = [];
  const keys = [];
  for (const { text, label } of blocks) {
    if (label === 'CERTIFICATE' || label === 'X509 CERTIFICATE') certificates.push(derOf(text));
    else if (label === 'PKCS7') certificates.push(...ofPkcs7(derOf(text)));
    else if (label.endsWith('PRIVATE KEY')) keys.push(keyOfText(text, FILE, passphrase));
    else if (label !== 'EC PARAMETERS' && label !== 'DH PARAMETERS')
      throw new Refused(FILE, 'holds a block that is neither a certificate nor a private key');
    if (certificates.length > certificatesMax || keys.length > 1) break;
  }
  return { certificates, keys };
}

function binaryOf(content) {
  const text = content.replace(/\s/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new Refused(FILE, 'must be PEM, or base64 of the file');
  return Buffer.from(text, 'base64');
}

function derOf(block) {
  return binaryOf(block.replace(/-----[^-]+-----/g, '').replace(/^[A-Za-z-]+:.*$/gm, ''));
}

function certificateOf(der) {
  const unreadable = new Refused(FILE, 'holds a certificate that cannot be read');
  let certificate;
  try {
    certificate = new X509Certificate(der);
  } catch {
    throw unreadable;
  }
  // It reads PEM as well, and what follows the DER it does not see.
  if (!certificate.raw.equals(der)) throw unreadable;
  if (Number.isNaN(Date.parse(certificate.validTo)) || Number.isNaN(Date.parse(certificate.validFrom)))
    throw unreadable;
  return certificate;
}

function factsOf({ subject, issuer, serialNumber, validFrom, validTo, fingerprint256 }) {
  return {
    subject: nameText(subject),
    issuer: nameText(issuer),
    serialNumber: serialNumber.toLowerCase(),
    sha256Fingerprint: fingerprint256.replaceAll(':', '').toLowerCase(),
    notBeforeMs: Date.parse(validFrom),
    notAfterMs: Date.parse(validTo),
  };
}

function nameText(name) {
  return (name ?? '').replaceAll('\n', ', ').slice(0, NAME_CHARACTERS_MAX);
}

function keyOfText(text, field, passphrase) {
  const isPem = text.includes('-----BEGIN');
  const isSealed = /ENCRYPTED/.test(text);
  if (isPem && isSealed && passphrase === null)
    throw new Refused(PASSPHRASE, 'is required: the private key is encrypted');
  const secret = passphrase === null ? {} : { passphrase };
  try {
    if (isPem) return createPrivateKey({ key: text, format: 'pem', ...secret });
    return createPrivateKey({ key: binaryOf(text), format: 'der', type: 'pkcs8', ...secret });
  } catch (error) {
    if (error instanceof Refused) throw new Refused(field, error.message);
    if (isSealed) throw new Refused(PASSPHRASE, 'does not open the private key');
    throw new Refused(field, 'is not a private key that can be read: PEM, or base64 of PKCS #8');
  }
}

/** RFC 7292; what Windows, macOS, Java and OpenSSL write, old ciphers too. */
function ofPkcs12(der, passphrase) {
  const bags = safeBags(der, passphrase);
  const certificates = bags(forge.pki.oids.certBag);
  const keys = [...bags(forge.pki.oids.pkcs8ShroudedKeyBag), ...bags(forge.pki.oids.keyBag)];
  return { certificates, keys: keys.map(keyOfDer) };
}

function safeBags(der, passphrase) {
  let asn1;
  try {
    asn1 = forge.asn1.fromDer(forge.util.createBuffer(der.toString('latin1')));
  } catch {
    throw new Refused(FILE, 'is not PKCS #12: it cannot be read');
  }
  try {
    const file = forge.pkcs12.pkcs12FromAsn1(asn1, passphrase ?? '');
    return (bagType) => (file.getBags({ bagType })[bagType] ?? []).map(({ asn1: found }) => derOfAsn1(found));
  } catch (error) {
    const isSealed = /password|MAC|decrypt/i.test(error instanceof Error ? error.message : '');
    if (isSealed && passphrase === null) throw new Refused(PASSPHRASE, 'is required: the file is encrypted');
    if (isSealed) throw new Refused(PASSPHRASE, 'does not open the file');
    throw new Refused(FILE, 'is not PKCS #12, or uses what is not read here');
  }
}

function keyOfDer(der) {
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } catch {
    throw new Refused(FILE, 'holds a private key that cannot be read');
  }
}

/** RFC 5652 §5.1: the certificates of a SignedData that signs nothing. */
function ofPkcs7(der) {
  try {
    const [type, content] = forge.asn1.fromDer(forge.util.createBuffer(der.toString('latin1'))).value;
    if (forge.asn1.derToOid(type.value) !== SIGNED_DATA) throw new Error('not SignedData');
    const [signedData] = content.value;
    const set = signedData.value.find(
      ({ tagClass, type: tag }) => tagClass === forge.asn1.Class.CONTEXT_SPECIFIC && tag === 0,
    );
    return set === undefined ? [] : set.value.map(derOfAsn1);
  } catch {
    throw new Refused(FILE, 'is not PKCS #7 with certificates');
  }
}

function derOfAsn1(asn1) {
  return Buffer.from(forge.asn1.toDer(asn1).getBytes(), 'latin1');
}

/** The certificate of the key first, or the one that issued none of the others, then each with its issuer behind it. */
function inOrder(all, key) {
  const left = unique(all);
  if (left.length === 0) return [];
  const leaf =
    key === undefined
      ? (left.find((one) => !left.some((other) => other !== one && other.checkIssued(one))) ?? left[0])
      : left.find((one) => one.checkPrivateKey(key));
  if (leaf === undefined) throw new Refused(FILE, 'holds no certificate of that private key');
  const ordered = [];
  for (let next = leaf; next !== undefined; next = left.find((one) => ordered.at(-1).checkIssued(one))) {
    ordered.push(next);
    left.splice(left.indexOf(next), 1);
  }
  return [...ordered, ...left];
}

function unique(all) {
  return [...new Map(all.map((one) => [one.fingerprint256, one])).values()];
}

parentPort.postMessage(answerOf(workerData));
