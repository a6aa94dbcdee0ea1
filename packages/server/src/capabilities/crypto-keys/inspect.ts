import type { JsonText } from '../../kernel/json-text.js';
import { sha256Hex } from '../../platform/crypto/hashing.js';
import { type Portable, parsePortable } from './portable-format.js';
import { isText } from './portable-values.js';

export interface Inspected extends Pick<Portable, 'datatype' | 'keyRef'> {
  readonly fingerprint: string;
}

/** What a text says of itself, without a key; null where the value is no ciphertext. */
export function inspect({ bytes }: JsonText): Inspected | null {
  if (!isText(bytes, 0)) return null;
  const text = JSON.parse(bytes.toString('utf8')) as string;
  const portable = parsePortable(text);
  return portable && { datatype: portable.datatype, keyRef: portable.keyRef, fingerprint: sha256Hex(text) };
}
