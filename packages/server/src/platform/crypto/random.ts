import { randomBytes, randomUUID } from 'node:crypto';
import { assert } from '../../kernel/assert.js';
import { type Clock, systemClock } from '../../kernel/clock.js';
import type { IdSource } from '../../kernel/ids.js';

/** The one source of randomness; injected, so that tests can fix or watch what is drawn. */
export interface Random {
  bytes(length: number): Buffer;
  /** A whole number in 0..bound-1, each equally likely; `bound` ≤ 2^48. */
  below(bound: number): number;
  /** `length` characters of `alphabet` (2..256 of them), each equally likely. */
  text(alphabet: string, length: number): string;
}

const BITS_48 = 2 ** 48;

export function createRandom(bytes: (length: number) => Buffer): Random {
  return {
    bytes,
    below(bound) {
      assert(Number.isSafeInteger(bound) && bound >= 1 && bound <= BITS_48, 'bound out of range');
      // What lies past the last whole multiple of the bound would favour small results.
      const usable = BITS_48 - (BITS_48 % bound);
      for (;;) {
        const drawn = bytes(6).readUIntBE(0, 6);
        if (drawn < usable) return drawn % bound;
      }
    },
    text(alphabet, length) {
      assert(alphabet.length >= 2 && alphabet.length <= 256, 'alphabet out of range');
      const usable = 256 - (256 % alphabet.length);
      let text = '';
      while (text.length < length) {
        for (const byte of bytes(length - text.length)) {
          if (byte < usable) text += alphabet[byte % alphabet.length];
        }
      }
      return text;
    },
  };
}

const POOL_BYTES = 4_096;
const POOLED_BYTES_MAX = 64;

/** Drawn from the system some dozens at a time: each draw there costs more than its bytes. */
function pooledBytes(): (length: number) => Buffer {
  let pool = Buffer.alloc(0);
  let used = 0;
  return (length) => {
    if (length > POOLED_BYTES_MAX) return randomBytes(length);
    if (used + length > pool.length) {
      pool = randomBytes(POOL_BYTES);
      used = 0;
    }
    const drawn = Buffer.alloc(length);
    pool.copy(drawn, 0, used, used + length);
    // Who has it is the only one who has it.
    pool.fill(0, used, used + length);
    used += length;
    return drawn;
  };
}

export const systemRandom: Random = createRandom(pooledBytes());

/** Hex digits of a 48-bit time: the first 12 of a UUID. */
const TIME_DIGITS = 12;

/**
 * UUIDs of version 4 in form whose first 48 bits are the time, so that rows made together stand together: an index on
 * wholly random ids writes a page of its own for every row (docs/decisions/0006-ids-in-order-of-time.md). 74 bits are
 * random; an id is no secret.
 */
export function createIds(clock: Pick<Clock, 'nowMs'>): IdSource {
  let prefixMs = Number.NaN;
  let prefix = '';
  return {
    uuid() {
      const nowMs = clock.nowMs();
      if (nowMs !== prefixMs) {
        const time = nowMs.toString(16).padStart(TIME_DIGITS, '0');
        prefix = `${time.slice(0, 8)}-${time.slice(8)}`;
        prefixMs = nowMs;
      }
      return prefix + randomUUID().slice(prefix.length);
    },
  };
}

export const systemIds: IdSource = createIds(systemClock);
