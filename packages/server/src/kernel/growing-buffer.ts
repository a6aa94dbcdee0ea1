const NONE = Buffer.alloc(0);
/** What is taken keeps at most so many times its own size in memory. */
const PINNED_TIMES_MAX = 4;
const ROOM_MIN = 64;

/**
 * Bytes that arrive in pieces, however small, and leave from the front; each is copied a bounded number of times. A
 * piece that arrives while nothing is held is kept as it is. No byte is written twice: what has left stays as it was.
 */
export class GrowingBuffer {
  #bytes: Buffer = NONE;
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  append(piece: Buffer): void {
    if (piece.length === 0) return;
    if (this.length === 0) {
      this.#bytes = piece;
      this.#start = 0;
      this.#end = piece.length;
      return;
    }
    if (this.#end + piece.length > this.#bytes.length) this.#moveToRoomFor(piece.length);
    this.#bytes.set(piece, this.#end);
    this.#end += piece.length;
  }

  /** All that is held; not copied. */
  view(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** The first bytes, which are no longer held then. */
  take(length: number): Buffer {
    const taken = this.view().subarray(0, length);
    const pinsTooMuch = taken.length * PINNED_TIMES_MAX < this.#bytes.length;
    this.drop(taken.length);
    return pinsTooMuch ? Buffer.from(taken) : taken;
  }

  drop(length: number): void {
    this.#start = Math.min(this.#start + length, this.#end);
    if (this.#start < this.#end) return;
    this.#bytes = NONE;
    this.#start = 0;
    this.#end = 0;
  }

  /** With room for as many bytes again as are copied, so that the copies of all moves stay linear. */
  #moveToRoomFor(piece: number): void {
    const held = this.view();
    const bytes = Buffer.allocUnsafe(held.length + piece + Math.max(held.length, ROOM_MIN));
    bytes.set(held);
    this.#bytes = bytes;
    this.#start = 0;
    this.#end = held.length;
  }
}
