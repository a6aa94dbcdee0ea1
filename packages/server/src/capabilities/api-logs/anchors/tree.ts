import { assert } from '../../../kernel/assert.js';
import { sha256Latin1 } from '../../../platform/crypto/hashing.js';

/** A step from a leaf to the root: the neighbour's hash, and whether it stands on the right. */
export interface ProofStep {
  readonly hash: Buffer;
  readonly right: boolean;
}

export interface Tree {
  readonly root: Buffer;
  pathOf(leafIndex: number): ProofStep[];
}

/** The root of a tree that grows leaf by leaf, of which nothing else is kept. */
export interface GrowingTree {
  readonly leafCount: number;
  add(leaf: string): void;
  root(): Buffer;
}

/**
 * The tree of RFC 6962 §2.1. Pairing from the left, where a node that is left over goes up as it is, makes the same tree
 * as splitting at the largest power of two. Hashes are strings of a character a byte.
 */
export function treeOf(leaves: readonly string[]): Tree {
  assert(leaves.length > 0, 'a tree has a leaf');
  const levels: (readonly string[])[] = [leaves];
  for (let level = leaves; level.length > 1; levels.push(level)) level = parentsOf(level);
  return {
    root: bytesOf(levels.at(-1)![0]!),
    pathOf(leafIndex) {
      const steps: ProofStep[] = [];
      let index = leafIndex;
      for (const level of levels) {
        const right = index % 2 === 0;
        const hash = level[right ? index + 1 : index - 1];
        if (hash !== undefined) steps.push({ hash: bytesOf(hash), right });
        index >>= 1;
      }
      return steps;
    },
  };
}

/** The same tree. Whole subtrees stand side by side, each smaller than the one before; two of one size become one. */
export function createGrowingTree(): GrowingTree {
  const subtrees: string[] = [];
  let leafCount = 0;
  return {
    get leafCount() {
      return leafCount;
    },
    add(leaf) {
      let node = leaf;
      // Each one bit of the count, from below, is a subtree of that size.
      for (let bits = leafCount; bits % 2 === 1; bits >>= 1) node = nodeHash(subtrees.pop()!, node);
      subtrees.push(node);
      leafCount++;
    },
    root() {
      assert(leafCount > 0, 'a tree has a leaf');
      return bytesOf(subtrees.reduceRight((right, left) => nodeHash(left, right)));
    },
  };
}

export function bytesOf(hash: string): Buffer {
  return Buffer.from(hash, 'latin1');
}

function parentsOf(level: readonly string[]): string[] {
  const parents: string[] = [];
  for (let at = 0; at < level.length; at += 2) {
    const [left, right] = [level[at]!, level[at + 1]];
    parents.push(right === undefined ? left : nodeHash(left, right));
  }
  return parents;
}

const PAIR = Buffer.alloc(65, 1);

/** `SHA-256(0x01 || left || right)`: no node is ever taken for a leaf. */
function nodeHash(left: string, right: string): string {
  PAIR.write(left, 1, 'latin1');
  PAIR.write(right, 33, 'latin1');
  return sha256Latin1(PAIR);
}
