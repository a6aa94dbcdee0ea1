import { sha256 } from '../../crypto/hashing.js';
import type { CopiedRow } from './copied-table.js';

const MODULUS = 1n << 256n;
const NULL_LENGTH = 0xffff_ffff;

/** What a table holds, whatever the order of its rows: their number, and the sum of their hashes. */
export interface TableSum {
  add(rows: readonly CopiedRow[]): void;
  readonly rows: number;
  readonly digest: string;
}

export function createTableSum(): TableSum {
  let rows = 0;
  let sum = 0n;
  return {
    add(batch) {
      for (const row of batch) sum = (sum + BigInt(`0x${sha256(bytesOfRow(row)).toString('hex')}`)) % MODULUS;
      rows += batch.length;
    },
    get rows() {
      return rows;
    },
    get digest() {
      return sum.toString(16).padStart(64, '0');
    },
  };
}

/** Each value as u32be length ‖ bytes, so that no two rows give the same bytes. */
function bytesOfRow(row: CopiedRow): Buffer {
  return Buffer.concat(
    row.flatMap((value) => {
      const length = Buffer.alloc(4);
      if (value === null) {
        length.writeUInt32BE(NULL_LENGTH);
        return [length];
      }
      const bytes = bytesOfValue(value);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

function bytesOfValue(value: string | bigint | number | Buffer): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (typeof value !== 'number') return Buffer.from(String(value), 'utf8');
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
}
