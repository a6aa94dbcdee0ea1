import type { RankedRule } from './rule.js';

/** A stretch of a text that is replaced as one, and all rules that found a part of it; `end` is exclusive. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly rules: FoundBy;
}

/** The rules of a stretch, the one that found the last part of it first. */
class FoundBy {
  readonly #places = new Map<RankedRule, number>();
  #firstPlace = 0;
  #lastPlace = 0;

  constructor(rule: RankedRule) {
    this.#places.set(rule, 0);
  }

  get count(): number {
    return this.#places.size;
  }

  inOrder(): RankedRule[] {
    if (this.#places.size === 1) return [...this.#places.keys()];
    return [...this.#places].sort(([, a], [, b]) => a - b).map(([rule]) => rule);
  }

  putFirst(rule: RankedRule): void {
    this.#places.set(rule, --this.#firstPlace);
  }

  /** One that is among them stays where it is. */
  putLast(rule: RankedRule): void {
    if (!this.#places.has(rule)) this.#places.set(rule, ++this.#lastPlace);
  }
}

/** A block that grows beyond this is cut in two; what is moved for one find is bounded by it. */
const BLOCK_MAX = 512;

/**
 * Stretches by their place, none overlapping another. Finds come rule by rule, not by place, and by the hundred
 * thousand: each is put in its place by two binary searches, and nothing but its block is moved.
 */
export class Stretches {
  /** None is empty. */
  #blocks: Stretch[][] = [];

  get first(): Stretch | undefined {
    return this.#blocks[0]?.[0];
  }

  /** Becomes one with those that it overlaps. */
  add(start: number, end: number, rule: RankedRule): void {
    const blockAt = countUntil(this.#blocks, (block) => block.at(-1)!.end > start);
    if (blockAt === this.#blocks.length) {
      this.#append({ start, end, rules: new FoundBy(rule) });
      return;
    }
    const at = countUntil(this.#blocks[blockAt]!, (stretch) => stretch.end > start);
    const overlapped = this.#takeBefore(end, blockAt, at);
    this.#insert(blockAt, at, {
      start: Math.min(start, overlapped[0]?.start ?? start),
      end: Math.max(end, overlapped.at(-1)?.end ?? end),
      rules: foundBy(rule, overlapped),
    });
  }

  removeFirst(): void {
    const block = this.#blocks[0];
    block?.shift();
    if (block?.length === 0) this.#blocks.shift();
  }

  clear(): void {
    this.#blocks = [];
  }

  #append(stretch: Stretch): void {
    const last = this.#blocks.at(-1);
    if (last && last.length < BLOCK_MAX) last.push(stretch);
    else this.#blocks.push([stretch]);
  }

  /** Takes out those from a place on that begin before `end`; the block may be left empty. */
  #takeBefore(end: number, blockAt: number, at: number): Stretch[] {
    const block = this.#blocks[blockAt]!;
    let to = at;
    while (to < block.length && block[to]!.start < end) to++;
    const taken = block.splice(at, to - at);
    if (at < block.length) return taken;
    let blocksTo = blockAt + 1;
    for (; blocksTo < this.#blocks.length; blocksTo++) {
      const next = this.#blocks[blocksTo]!;
      const inside = countUntil(next, (stretch) => stretch.start >= end);
      for (const stretch of next.splice(0, inside)) taken.push(stretch);
      if (next.length > 0) break;
    }
    this.#blocks.splice(blockAt + 1, blocksTo - blockAt - 1);
    return taken;
  }

  #insert(blockAt: number, at: number, stretch: Stretch): void {
    const block = this.#blocks[blockAt]!;
    block.splice(at, 0, stretch);
    if (block.length > BLOCK_MAX) this.#blocks.splice(blockAt + 1, 0, block.splice(BLOCK_MAX / 2));
  }
}

/** The smaller are put to the largest: hundreds of rules may have found one long stretch that grows find by find. */
function foundBy(rule: RankedRule, overlapped: readonly Stretch[]): FoundBy {
  let largest = 0;
  for (const [at, { rules }] of overlapped.entries()) {
    if (rules.count > overlapped[largest]!.rules.count) largest = at;
  }
  const all = overlapped[largest]?.rules;
  if (!all) return new FoundBy(rule);
  for (const { rules } of overlapped.slice(0, largest).reverse()) {
    for (const before of rules.inOrder().reverse()) all.putFirst(before);
  }
  for (const { rules } of overlapped.slice(largest + 1)) {
    for (const behind of rules.inOrder()) all.putLast(behind);
  }
  all.putFirst(rule);
  return all;
}

/** How many stand before the first that the test holds for; it holds for all behind that one too. */
function countUntil<Item>(items: readonly Item[], holds: (item: Item) => boolean): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(items[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
