import { createRequire } from 'node:module';
import type { Transform, TransformCallback } from 'node:stream';
import { type Document, MongoParseError } from 'mongodb';

/** The largest document there is has 16 MiB, and an answer holds one. */
const PENDING_BYTES_MAX = 17 * 1024 * 1024;
/** Six times what servers have; PostgreSQL's driver draws the line here too. */
const SCRAM_ITERATIONS_MAX = 100_000;
const OP_COMPRESSED = 2012;
const HEADER_BYTES = 16;
const OPCODE_AT = 12;

interface MessageTransform extends Transform {
  readonly bufferPool: { readonly length: number };
}

interface Pool {
  getInt32(): number | null;
}

interface DriverConnection {
  command(...call: unknown[]): Promise<Document | null>;
}

let isBounded = false;

/**
 * What the driver believes a server, and has no option against. Its version is pinned, and the suite of hostile servers
 * tells when this no longer holds:
 * - the length of a message, for which it would make room; of no bytes it would read one message after the other, and
 *   never do anything else again;
 * - compression that was never agreed on: 17 MiB of it are 17 GiB;
 * - how often SCRAM hashes the password. Four billion times take half an hour of one of the four threads that the whole
 *   process has for hashing, files and names, and nothing ends it.
 */
export function boundDriver(): void {
  if (isBounded) return;
  isBounded = true;
  const require = createRequire(import.meta.url);
  const connections = require('mongodb/lib/cmap/connection.js') as {
    SizedMessageTransform: { readonly prototype: MessageTransform };
    Connection: { readonly prototype: DriverConnection };
  };
  const compression = require('mongodb/lib/cmap/wire_protocol/compression.js') as {
    decompressResponse(message: Uint8Array): Promise<unknown>;
  };
  boundMessages(connections.SizedMessageTransform.prototype);
  const { BufferPool } = require('mongodb/lib/utils.js') as { BufferPool: { readonly prototype: Pool } };
  boundLengths(BufferPool.prototype);
  boundHashing(connections.Connection.prototype);
  const { decompressResponse } = compression;
  compression.decompressResponse = async (message) => {
    if (Buffer.from(message.subarray(0, HEADER_BYTES)).readInt32LE(OPCODE_AT) === OP_COMPRESSED)
      throw new MongoParseError('the answer is compressed, which was not agreed on');
    return decompressResponse(message);
  };
}

function boundMessages(prototype: MessageTransform): void {
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

/** Only lengths are read in this way; the driver refuses negative ones. */
function boundLengths(prototype: Pool): void {
  const { getInt32 } = prototype;
  prototype.getInt32 = function (this: Pool) {
    const length = getInt32.call(this);
    return length !== null && length < HEADER_BYTES ? -1 : length;
  };
}

/** A log-in's first answer comes with the greeting or by itself. */
function boundHashing(prototype: DriverConnection): void {
  const { command } = prototype;
  prototype.command = async function (this: DriverConnection, ...call) {
    const answer = await command.apply(this, call);
    requireFewIterations(answer?.payload);
    requireFewIterations(answer?.speculativeAuthenticate?.payload);
    return answer;
  };
}

/** RFC 5802 §5.1; of an attribute that stands twice the driver takes the last. */
function requireFewIterations(payload: unknown): void {
  const bytes: unknown = payload instanceof Uint8Array ? payload : (payload as Document | null)?.buffer;
  if (!(bytes instanceof Uint8Array)) return;
  for (const [, count] of Buffer.from(bytes)
    .toString('utf8')
    .matchAll(/(?:^|,)i=([^,]*)/g))
    if (!(Number(count) <= SCRAM_ITERATIONS_MAX))
      throw new MongoParseError('the server has the password hashed more often than any needs');
}
