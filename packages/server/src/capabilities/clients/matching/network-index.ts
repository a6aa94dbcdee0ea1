import type { IpAddress } from '../../../kernel/ip-address.js';

/**
 * Networks of one address family with what belongs to each. Two networks lie in each other or have nothing in common, so
 * the ones that an address lies in are the nearest one below it and those around that: one binary search and a walk
 * outwards, the longest prefix first.
 */
export interface NetworkIndex<T> {
  /** What `accept` takes first, of the longest prefix and in the order in which it was added. */
  find(address: IpAddress, accept: (item: T) => boolean): T | undefined;
}

export interface NetworkIndexBuilder<T> {
  /** In the order of keys (`Network.key`). */
  add(key: string, item: T): void;
  build(): NetworkIndex<T>;
}

const WORD_DIGITS = 8;
const NONE = -1;

export function createNetworkIndexBuilder<T>(family: 4 | 6): NetworkIndexBuilder<T> {
  const words = family === 4 ? 1 : 4;
  const starts: number[] = [];
  const prefixes: number[] = [];
  const parents: number[] = [];
  const items: T[][] = [];
  let lastKey = '';

  const contains = (network: number, address: ArrayLike<number>, at: number) =>
    isWithin(address, at, starts, network * words, prefixes[network]!);

  return {
    add(key, item) {
      if (key === lastKey) {
        items.at(-1)!.push(item);
        return;
      }
      lastKey = key;
      const at = starts.length;
      for (let word = 0; word < words; word++)
        starts.push(Number.parseInt(key.slice(1 + word * WORD_DIGITS, 1 + (word + 1) * WORD_DIGITS), 16));
      prefixes.push(Number.parseInt(key.slice(-2), 16));
      let parent = items.length - 1;
      while (parent !== NONE && !contains(parent, starts, at)) parent = parents[parent]!;
      parents.push(parent);
      items.push([item]);
    },

    build() {
      const starting = Uint32Array.from(starts);
      const lengths = Uint8Array.from(prefixes);
      const around = Int32Array.from(parents);
      const address = new Uint32Array(words);

      /** The last network that does not start behind the address. */
      function nearest(): number {
        let low = 0;
        let high = around.length;
        while (low < high) {
          const middle = (low + high) >>> 1;
          if (isBehind(starting, middle * words, address)) high = middle;
          else low = middle + 1;
        }
        return low - 1;
      }

      return {
        find({ bytes }, accept) {
          const numbers = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
          for (let word = 0; word < words; word++) address[word] = numbers.getUint32(word * 4);
          for (let network = nearest(); network !== NONE; network = around[network]!) {
            if (!isWithin(address, 0, starting, network * words, lengths[network]!)) continue;
            const found = items[network]!.find(accept);
            if (found !== undefined) return found;
          }
          return undefined;
        },
      };
    },
  };
}

/** Whether the two have their first `prefix` bits in common. */
function isWithin(
  address: ArrayLike<number>,
  addressAt: number,
  starts: ArrayLike<number>,
  startAt: number,
  prefix: number,
): boolean {
  for (let word = 0, bits = prefix; bits > 0; word++, bits -= 32) {
    const different = address[addressAt + word]! ^ starts[startAt + word]!;
    if ((bits >= 32 ? different : different >>> (32 - bits)) !== 0) return false;
  }
  return true;
}

function isBehind(starts: Uint32Array, startAt: number, address: Uint32Array): boolean {
  for (let word = 0; word < address.length; word++) {
    const start = starts[startAt + word]!;
    const asked = address[word]!;
    if (start !== asked) return start > asked;
  }
  return false;
}
