import { KmsFailure } from '../types.js';
import type { Encrypted } from './cloud.js';

const FORMAT = 1;
const HEAD_BYTES = 3;
const NAME_BYTES_MAX = 2_048;

/** `1 ‖ u16be length ‖ name of the key ‖ ciphertext`: a cloud does not always say in its ciphertext whose it is. */
export function packWrapped({ keyName, ciphertext }: Encrypted): Buffer {
  const name = Buffer.from(keyName, 'utf8');
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt8(FORMAT);
  head.writeUInt16BE(name.length, 1);
  return Buffer.concat([head, name, ciphertext]);
}

export function unpackWrapped(wrapped: Buffer): Encrypted {
  const nameEnd = wrapped.length < HEAD_BYTES ? Number.NaN : HEAD_BYTES + wrapped.readUInt16BE(1);
  const isWhole = wrapped[0] === FORMAT && nameEnd <= HEAD_BYTES + NAME_BYTES_MAX && nameEnd < wrapped.length;
  if (!isWhole) throw new KmsFailure('bad_ciphertext', 'key', 'not_wrapped_bytes');
  return {
    keyName: wrapped.toString('utf8', HEAD_BYTES, nameEnd),
    ciphertext: wrapped.subarray(nameEnd),
  };
}
