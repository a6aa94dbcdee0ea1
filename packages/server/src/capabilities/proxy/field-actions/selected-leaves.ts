import { isUtf8 } from 'node:buffer';
import { parseFieldSelector } from '../../../kernel/field-selectors.js';
import { scanJson } from '../../../kernel/json-scanner.js';
import { LIMITS } from '../../../kernel/limits.js';
import { malformedBody, tooManyValues } from './errors.js';

/** A value that is selected, by its place: a text with its quotes, a number, `true` or `false`. */
export interface Leaf {
  readonly start: number;
  readonly end: number;
}

/** All selectors of an action as one tree: what they have in common is looked at once. */
interface Node {
  readonly names: Map<string, Node>;
  readonly indexes: Map<number, Node>;
  any: Node | null;
  isEnd: boolean;
}

interface Frame {
  readonly isObject: boolean;
  readonly nodes: readonly Node[];
  /** Everything in it is selected. */
  readonly isCovered: boolean;
  index: number;
}

const OPEN_OBJECT = 0x7b;
const N_OF_NULL = 0x6e;
const NONE: readonly Node[] = [];
const trees = new WeakMap<readonly string[], Node>();

/**
 * The values that the selectors name, each once, in the order of the body. Of a list or an object every value in it is taken, at any depth; never
 * null, which stays what it is. 400 where the body is no JSON, or holds too many.
 */
export function selectedLeaves(bytes: Buffer, selectors: readonly string[]): Leaf[] {
  if (!isUtf8(bytes)) throw malformedBody('not UTF-8');
  const leaves: Leaf[] = [];
  const frames: Frame[] = [];
  let next: readonly Node[] = [treeOf(selectors)];

  /** Those that wait for the value that begins now. */
  const arriving = (): readonly Node[] => {
    const frame = frames.at(-1);
    return frame && !frame.isObject ? stepped(frame.nodes, frame.index++) : next;
  };
  const isCovered = (nodes: readonly Node[]) =>
    frames.at(-1)?.isCovered === true || nodes.some(({ isEnd }) => isEnd);

  const problem = scanJson(bytes, {
    key(start, end) {
      const { nodes } = frames.at(-1)!;
      next =
        nodes.length === 0 ? NONE : stepped(nodes, JSON.parse(bytes.toString('utf8', start, end)) as string);
    },
    open(at) {
      const nodes = arriving();
      frames.push({ isObject: bytes[at] === OPEN_OBJECT, nodes, isCovered: isCovered(nodes), index: 0 });
    },
    close() {
      frames.pop();
    },
    scalar(start, end) {
      if (!isCovered(arriving()) || bytes[start] === N_OF_NULL) return;
      // Thrown from within: of millions of values none is kept.
      if (leaves.length === LIMITS.fieldValuesMax) throw tooManyValues();
      leaves.push({ start, end });
    },
  });
  if (problem !== null) throw malformedBody(problem);
  return leaves;
}

/** The body with other values in place of the selected ones; null: that one stays. */
export function replacedLeaves(
  bytes: Buffer,
  leaves: readonly Leaf[],
  texts: readonly (string | null)[],
): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (const [index, { start, end }] of leaves.entries()) {
    const text = texts[index];
    if (text === null || text === undefined) continue;
    parts.push(bytes.subarray(from, start), Buffer.from(text));
    from = end;
  }
  return from === 0 ? bytes : Buffer.concat([...parts, bytes.subarray(from)]);
}

function stepped(nodes: readonly Node[], key: string | number): readonly Node[] {
  if (nodes.length === 0) return NONE;
  const found: Node[] = [];
  for (const node of nodes) {
    const named = typeof key === 'string' ? node.names.get(key) : node.indexes.get(key);
    if (named) found.push(named);
    if (node.any) found.push(node.any);
  }
  return found;
}

function treeOf(selectors: readonly string[]): Node {
  const known = trees.get(selectors);
  if (known) return known;
  const root = newNode();
  for (const selector of selectors) {
    let node = root;
    for (const step of parseFieldSelector(selector)) {
      if (step.kind === 'any') node = node.any ??= newNode();
      else if (step.kind === 'name') node = childOf(node.names, step.name);
      else node = childOf(node.indexes, step.index);
    }
    node.isEnd = true;
  }
  trees.set(selectors, root);
  return root;
}

function childOf<Key>(children: Map<Key, Node>, key: Key): Node {
  const child = children.get(key) ?? newNode();
  children.set(key, child);
  return child;
}

function newNode(): Node {
  return { names: new Map(), indexes: new Map(), any: null, isEnd: false };
}
