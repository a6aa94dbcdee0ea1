const NONE = Buffer.alloc(0);
const BYTES_MIN = 1024;

/**
 * Bytes that come in pieces, joined as they come: a million pieces of one byte, each kept as a buffer of its own, would
 * take hundreds of times their size. Never more than three times the bytes, whatever the pieces are.
 */
export class ByteCollector {
  #bytes: Buffer = NONE;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The first piece is kept as it is, and must not be written to any more. */
  add(piece: Buffer): void {
    if (this.#length === 0) {
      this.#bytes = piece;
      this.#length = piece.length;
      return;
    }
    const needed = this.#length + piece.length;
    if (needed > this.#bytes.length) this.#grow(needed);
    piece.copy(this.#bytes, this.#length);
    this.#length = needed;
  }

  /** All of them; nothing is left. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = NONE;
    this.#length = 0;
    return taken;
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, needed, BYTES_MIN));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
