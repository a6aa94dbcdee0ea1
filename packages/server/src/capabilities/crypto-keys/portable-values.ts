import { scanJson } from '../../kernel/json-scanner.js';
import { DecryptionRefused } from '../../platform/crypto/authenticated-cipher.js';
import type { PortableDatatype } from './portable-format.js';

const QUOTE = 0x22;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function isText(bytes: Buffer, start: number): boolean {
  return bytes[start] === QUOTE;
}

/** Of what stands in a JSON text; null of `null`, which stays what it is (clients-pki.md §5). */
export function datatypeAt(bytes: Buffer, start: number): 's' | 'n' | 'b' | null {
  switch (bytes[start]) {
    case QUOTE:
      return 's';
    case 0x6e:
      return null;
    case 0x74:
    case 0x66:
      return 'b';
    default:
      return 'n';
  }
}

/**
 * What was sealed, as JSON text. Whoever has the public key can seal any bytes as a number: what is none, or no JSON, or no
 * UTF-8, would be put into the body as it stands.
 */
export function jsonOf(datatype: PortableDatatype, bytes: Buffer): string {
  if (datatype === 'x') return JSON.stringify(bytes.toString('base64'));
  const text = textOf(bytes);
  if (datatype === 's') return JSON.stringify(text);
  if (!isValue(datatype, bytes)) throw new DecryptionRefused();
  return text;
}

function textOf(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new DecryptionRefused();
  }
}

function isValue(datatype: 'n' | 'b' | 'j', bytes: Buffer): boolean {
  // A mark of byte order is skipped by the scan, and is no JSON in the middle of a text.
  if (bytes[0] === 0xef) return false;
  let scalar: number | undefined;
  const problem = scanJson(bytes, {
    scalar(start) {
      scalar = start;
    },
  });
  if (problem !== null || datatype === 'j') return problem === null;
  return scalar === 0 && datatypeAt(bytes, 0) === datatype && !/\s$/.test(bytes.toString('latin1'));
}
