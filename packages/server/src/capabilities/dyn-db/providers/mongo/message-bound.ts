import { createRequire } from 'node:module';
import type { Transform, TransformCallback } from 'node:stream';
import { MongoParseError } from 'mongodb';

/** The largest document there is has 16 MiB, and an answer holds one. */
const PENDING_BYTES_MAX = 17 * 1024 * 1024;

interface MessageTransform extends Transform {
  readonly bufferPool: { readonly length: number };
}

let isBounded = false;

/**
 * The driver keeps what arrives until a message is whole, and believes the message about its length: a server that says
 * 2 GiB would be given the memory. It has no option against that. Its version is pinned, and the suite of hostile servers
 * tells when this no longer holds.
 */
export function boundMessages(): void {
  if (isBounded) return;
  isBounded = true;
  const { SizedMessageTransform } = createRequire(import.meta.url)('mongodb/lib/cmap/connection.js') as {
    SizedMessageTransform: { readonly prototype: MessageTransform };
  };
  const { prototype } = SizedMessageTransform;
  const { _transform: transform } = prototype;
  prototype._transform = function (
    this: MessageTransform,
    chunk: Uint8Array,
    encoding: BufferEncoding,
    callback: TransformCallback,
  ) {
    if (this.bufferPool.length + chunk.length > PENDING_BYTES_MAX)
      callback(new MongoParseError('the answer is longer than any can be'));
    else transform.call(this, chunk, encoding, callback);
  };
}
