import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { createGrowingTree, treeOf } from './tree.js';

const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
const NODE = Buffer.from([1]);
const leaf = (n: number) => sha256(Buffer.from([0]), Buffer.from(`row ${n}`));
const asTaken = (hashes: readonly Buffer[]) => hashes.map((hash) => hash.toString('latin1'));
const leaves = (count: number) => Array.from({ length: count }, (_, n) => leaf(n));

/** As RFC 6962 §2.1 words it. */
function rfcRoot(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 1) return hashes[0]!;
  let split = 1;
  while (split * 2 < hashes.length) split *= 2;
  return sha256(NODE, rfcRoot(hashes.slice(0, split)), rfcRoot(hashes.slice(split)));
}

it('is the tree of RFC 6962, for every count', () => {
  for (let count = 1; count <= 70; count++)
    expect(treeOf(asTaken(leaves(count))).root, `${count} leaves`).toEqual(rfcRoot(leaves(count)));
});

it('has the same root where it grows leaf by leaf', () => {
  const tree = createGrowingTree();
  const all = leaves(70);
  for (const [at, leaf] of asTaken(all).entries()) {
    tree.add(leaf);
    expect(tree.leafCount).toBe(at + 1);
    expect(tree.root(), `${at + 1} leaves`).toEqual(rfcRoot(all.slice(0, at + 1)));
  }
});

it('leads from each leaf to the root', () => {
  for (let count = 1; count <= 33; count++) {
    const tree = treeOf(asTaken(leaves(count)));
    for (let n = 0; n < count; n++) {
      const root = tree
        .pathOf(n)
        .reduce<Buffer>(
          (acc, { hash, right }) => (right ? sha256(NODE, acc, hash) : sha256(NODE, hash, acc)),
          leaf(n),
        );
      expect(root, `leaf ${n} of ${count}`).toEqual(tree.root);
    }
  }
});

it('takes the vectors of the reference implementation of RFC 6962', () => {
  const inputs = [
    '',
    '00',
    '10',
    '2021',
    '3031',
    '40414243',
    '5051525354555657',
    '606162636465666768696a6b6c6d6e6f',
  ];
  const hashes = inputs.map((hex) => sha256(Buffer.from([0]), Buffer.from(hex, 'hex')));
  expect(treeOf(asTaken(hashes)).root.toString('hex')).toBe(
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  );
});
