import { Readable, type Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** What leaves the last of the transforms when these chunks enter the first. */
export async function through(body: readonly Transform[], chunks: readonly Buffer[]): Promise<Buffer> {
  const out: Buffer[] = [];
  const collected = new Writable({
    write(chunk: Buffer, _encoding, done) {
      out.push(chunk);
      done();
    },
  });
  await pipeline([Readable.from(chunks), ...body, collected]);
  return Buffer.concat(out);
}
