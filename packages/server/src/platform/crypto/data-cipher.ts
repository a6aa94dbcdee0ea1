import { decrypt, deriveKey, encrypt, lengthPrefixed } from './authenticated-cipher.js';
import type { Random } from './random.js';

/** What a piece of data is bound to: moved to another context it does not open. */
export interface DataContext {
  /** Sets keys for different uses of one data key apart. */
  readonly purpose: string;
  /** Never used twice under one data key: it gives the row a key of its own (docs/decisions/0010). */
  readonly rowId: string;
  /** All that names the row, the tenant and the mode included. */
  readonly parts: readonly string[];
}

/** Many small values under one data key: `iv[12] ‖ tag[16] ‖ ciphertext` under a key derived for the row. */
export function sealData(
  random: Random,
  dataKey: Buffer,
  context: DataContext,
  plaintext: Uint8Array,
): Buffer {
  const rowKey = rowKeyOf(dataKey, context);
  try {
    return encrypt(random, rowKey, lengthPrefixed(context.parts), plaintext);
  } finally {
    rowKey.fill(0);
  }
}

export function openData(dataKey: Buffer, context: DataContext, sealed: Buffer): Buffer {
  const rowKey = rowKeyOf(dataKey, context);
  try {
    return decrypt(rowKey, lengthPrefixed(context.parts), sealed);
  } finally {
    rowKey.fill(0);
  }
}

function rowKeyOf(dataKey: Buffer, { purpose, rowId }: DataContext): Buffer {
  return deriveKey(dataKey, Buffer.from(rowId, 'utf8'), `knox.data.${purpose}`);
}
