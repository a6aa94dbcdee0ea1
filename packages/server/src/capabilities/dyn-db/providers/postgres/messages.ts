import type { Duplex } from 'node:stream';
import pg from 'pg';

/** A type byte, and the length that counts itself. */
const HEADER_BYTES = 5;
const LENGTH_BYTES = 4;
/** Of a message in tiny pieces not every piece is kept. */
const PIECES_MAX = 64;
/** ErrorResponse and NoticeResponse: fields that a zero ends. */
const FIELD_LISTS: readonly number[] = [0x45, 0x4e];

/** What the server sent is no message of PostgreSQL. */
export class NotPostgres extends Error {
  override readonly name = 'NotPostgres';
}

/**
 * `pg` with its reader of messages behind a guard: it believes what a server writes, throws out of the socket's own event
 * where a count is wrong, which ends the process, and never comes back from a list of fields that no zero ends.
 */
export class GuardedConnection extends pg.Connection {
  // Called by the constructor of the driver's client; the types do not have it.
  attachListeners(stream: Duplex): void {
    const guarded = {
      on(event: string, listener: (...given: unknown[]) => void) {
        stream.on(event, event === 'data' ? guard(stream, listener) : listener);
        return guarded;
      },
    };
    (pg.Connection.prototype as unknown as GuardedConnection & typeof guarded).attachListeners.call(
      this,
      guarded as unknown as Duplex,
    );
  }
}

function guard(stream: Duplex, onMessage: (message: Buffer) => void): (chunk: Buffer) => void {
  const take = wholeMessages((message) => {
    if (FIELD_LISTS.includes(message[0]!) && !isFieldList(message)) throw new NotPostgres();
    onMessage(message);
  });
  return (chunk) => {
    try {
      take(chunk);
    } catch {
      // What it says may quote the message.
      stream.destroy(new NotPostgres());
    }
  };
}

function wholeMessages(onMessage: (message: Buffer) => void): (chunk: Buffer) => void {
  let pieces: Buffer[] = [];
  let length = 0;
  let wanted = HEADER_BYTES;
  return (chunk) => {
    pieces.push(chunk);
    length += chunk.length;
    if (length < wanted && pieces.length < PIECES_MAX) return;
    const bytes = pieces.length === 1 ? chunk : Buffer.concat(pieces, length);
    let at = 0;
    wanted = HEADER_BYTES;
    while (bytes.length - at >= HEADER_BYTES) {
      const counted = bytes.readUInt32BE(at + 1);
      if (counted < LENGTH_BYTES) throw new NotPostgres();
      wanted = 1 + counted;
      if (bytes.length - at < wanted) break;
      onMessage(bytes.subarray(at, at + wanted));
      at += wanted;
      wanted = HEADER_BYTES;
    }
    pieces = at < bytes.length ? [bytes.subarray(at)] : [];
    length = bytes.length - at;
  };
}

/** A letter and a text that a zero ends, any number of times, then a zero. */
function isFieldList(message: Buffer): boolean {
  let at = HEADER_BYTES;
  while (at < message.length && message[at] !== 0) {
    const end = message.indexOf(0, at + 1);
    if (end === -1) return false;
    at = end + 1;
  }
  return at < message.length;
}
