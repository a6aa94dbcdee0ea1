import { assert } from '../../../kernel/assert.js';
import { sha256 } from '../../../platform/crypto/hashing.js';

/** A step from a leaf to the root: the neighbour's hash, and whether it stands on the right. */
export interface ProofStep {
  readonly hash: Buffer;
  readonly right: boolean;
}

export interface Tree {
  readonly root: Buffer;
  pathOf(leafIndex: number): ProofStep[];
}

/**
 * The tree of RFC 6962 §2.1. Pairing from the left, where a node that is left over goes up as it is, makes the same tree
 * as splitting at the largest power of two.
 */
export function treeOf(leaves: readonly Buffer[]): Tree {
  assert(leaves.length > 0, 'a tree has a leaf');
  const levels: (readonly Buffer[])[] = [leaves];
  for (let level = leaves; level.length > 1; levels.push(level)) level = parentsOf(level);
  return {
    root: levels.at(-1)![0]!,
    pathOf(leafIndex) {
      const steps: ProofStep[] = [];
      let index = leafIndex;
      for (const level of levels) {
        const right = index % 2 === 0;
        const hash = level[right ? index + 1 : index - 1];
        if (hash) steps.push({ hash, right });
        index >>= 1;
      }
      return steps;
    },
  };
}

function parentsOf(level: readonly Buffer[]): Buffer[] {
  const parents: Buffer[] = [];
  for (let at = 0; at < level.length; at += 2) {
    const [left, right] = [level[at]!, level[at + 1]];
    parents.push(right ? nodeHash(left, right) : left);
  }
  return parents;
}

const PAIR = Buffer.alloc(65);

/** `SHA-256(0x01 || left || right)`: no node is ever taken for a leaf. */
function nodeHash(left: Buffer, right: Buffer): Buffer {
  PAIR[0] = 1;
  left.copy(PAIR, 1);
  right.copy(PAIR, 33);
  return sha256(PAIR);
}
