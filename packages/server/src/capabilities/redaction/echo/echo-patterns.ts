const NONE = -1;

/** All values at once (Aho and Corasick 1975): one step a byte, whatever their number. State 0 is the beginning. */
export class EchoPatterns {
  /** How many bytes of a value the state stands for. */
  readonly depth: Int32Array;
  readonly firstBytes: readonly number[];
  /** From the beginning, by byte. */
  readonly #first = new Int32Array(256);
  readonly #byte: Uint8Array;
  readonly #child: Int32Array;
  readonly #sibling: Int32Array;
  /** The longest end of what was read that another value begins with. */
  readonly #fail: Int32Array;
  /** The value that is complete in the state, or in the nearest end of it. */
  readonly #complete: Int32Array;
  readonly #lengths: readonly number[];
  #size = 1;

  constructor(values: readonly Buffer[]) {
    const most = values.reduce((sum, value) => sum + value.length, 1);
    this.depth = new Int32Array(most);
    this.#byte = new Uint8Array(most);
    this.#child = new Int32Array(most);
    this.#sibling = new Int32Array(most);
    this.#fail = new Int32Array(most);
    this.#complete = new Int32Array(most).fill(NONE);
    this.#lengths = values.map((value) => value.length);
    this.firstBytes = values.map((value) => value[0]!);
    for (const [index, value] of values.entries()) this.#insert(value, index);
    this.#link();
  }

  step(from: number, byte: number): number {
    let state = from;
    while (state !== 0) {
      const next = this.#childOf(state, byte);
      if (next !== 0) return next;
      state = this.#fail[state]!;
    }
    return this.#first[byte]!;
  }

  /** The longest value that ends here; -1 when none does. */
  completeAt(state: number): number {
    return this.#complete[state]!;
  }

  lengthOf(value: number): number {
    return this.#lengths[value]!;
  }

  #insert(value: Buffer, index: number): void {
    let state = 0;
    for (const byte of value) {
      const known = this.#childOf(state, byte);
      state = known === 0 ? this.#add(state, byte) : known;
    }
    if (this.#complete[state] === NONE) this.#complete[state] = index;
  }

  #add(parent: number, byte: number): number {
    const state = this.#size++;
    this.#byte[state] = byte;
    this.depth[state] = this.depth[parent]! + 1;
    this.#sibling[state] = this.#child[parent]!;
    this.#child[parent] = state;
    if (parent === 0) this.#first[byte] = state;
    return state;
  }

  #childOf(state: number, byte: number): number {
    if (state === 0) return this.#first[byte]!;
    let child = this.#child[state]!;
    while (child !== 0 && this.#byte[child] !== byte) child = this.#sibling[child]!;
    return child;
  }

  /** By depth, so that what a state falls back to is linked before it. */
  #link(): void {
    const queue = new Int32Array(this.#size);
    let end = 1;
    for (let at = 0; at < end; at++) {
      const parent = queue[at]!;
      for (let state = this.#child[parent]!; state !== 0; state = this.#sibling[state]!) {
        queue[end++] = state;
        if (parent !== 0) this.#fail[state] = this.step(this.#fail[parent]!, this.#byte[state]!);
        if (this.#complete[state] === NONE) this.#complete[state] = this.#complete[this.#fail[state]!]!;
      }
    }
  }
}
